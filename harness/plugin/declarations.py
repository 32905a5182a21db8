"""What the registry holds: one declaration for each thing that a plugin registered."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.plugin.interfaces import NOTHING, Need, Phase, Recipe
from harness.plugin.parameters import Parameter, parameters_from_signature
from harness.runtime.precision import FP32

STANDARD = "standard"
"""The recipe of a backbone that has no other."""

BOTH = "both"
"""Modality of a backbone with a tower for each."""


@dataclass(frozen=True)
class Declaration:
    """Facts that every registered thing has.

    Attributes:
        kind: "method", "hasher", "detector", "objective", "backbone", "dataset", "reader", "metric", "protocol",
            "executor", "tracker" or "published".
        name: Its name.
        summary: One line.
        paper: Reference, or "".
        plugin: Name of the plugin that registered it.
        file: File of that plugin, or None for one made in memory.
    """

    kind: str
    name: str
    summary: str = ""
    paper: str = ""
    plugin: str = ""
    file: Path | None = None

    def described(self) -> dict[str, Any]:
        """What ``harness info`` shows of it, by name; plain values, lists and tables."""
        return {
            "kind": self.kind, "name": self.name, "summary": self.summary, "paper": self.paper, "plugin": self.plugin,
            "file": str(self.file or ""),
        }  # fmt: skip


@dataclass(frozen=True)
class MethodDeclaration(Declaration):
    """A method and its recipe."""

    recipe: Recipe = field(default_factory=lambda: Recipe(hasher=""))


@dataclass(frozen=True)
class Component(Declaration):
    """A declaration with code behind it: a class or function, imported when it is first used."""

    target: Any = None
    declared_parameters: tuple[Parameter, ...] | None = None
    needs: Need = NOTHING
    precisions: tuple[str, ...] = (FP32,)

    @property
    def handed(self) -> tuple[str, ...]:
        """Keyword arguments that the harness hands in beside the parameters."""
        return ()

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The declared parameters, or those of the class's keyword arguments that are not :attr:`handed` in."""
        if self.declared_parameters is not None:
            return self.declared_parameters
        if isinstance(self.target, (type, str)):
            loaded = self.load()
            return parameters_from_signature(loaded, self.handed) if isinstance(loaded, type) else ()
        return ()

    @property
    def module_name(self) -> str | None:
        """The module that holds the code, without importing it; None if the target is not importable by name."""
        if isinstance(self.target, str):
            return self.target.partition(":")[0]
        return getattr(self.target, "__module__", None)

    def load(self) -> Any:
        """Import the target.

        Raises:
            HarnessError: It cannot be imported; the message names plugin, file and cause.
        """
        if not isinstance(self.target, str):
            return self.target
        module_name, _, attribute = self.target.partition(":")
        try:
            loaded: Any = importlib.import_module(module_name)
            for part in attribute.split("."):
                loaded = getattr(loaded, part)
        except (ImportError, AttributeError) as error:
            raise HarnessError(
                f"{self.kind} {self.name!r} of plugin {self.plugin!r} cannot be loaded from {self.target!r}: {error}."
            ) from error
        return loaded

    def described(self) -> dict[str, Any]:
        """As for every declaration, and needs, number formats and parameters."""
        facts = {**super().described(), "needs": list(self.needs.names)}
        if self.kind in ("hasher", "detector", "objective"):
            facts["precisions"] = list(self.precisions)
        return {**facts, "parameters": [parameter.described() for parameter in self.parameters]}


@dataclass(frozen=True)
class HasherDeclaration(Component):
    """A hasher; see :class:`harness.plugin.hookspecs.RegisterHasher` for the fields."""

    offers: Need = NOTHING
    uses_weights: bool = True
    takes_objective: bool = False
    phases: tuple[Phase, ...] = ()

    @property
    def handed(self) -> tuple[str, ...]:
        """The objective, for a hasher whose loss can be chosen."""
        return ("objective",) if self.takes_objective else ()

    def described(self) -> dict[str, Any]:
        """As for every component, and what a detector may count on."""
        return {
            **super().described(), "offers": list(self.offers.names), "weighs_pairs": self.uses_weights,
            "takes_objective": self.takes_objective,
        }  # fmt: skip


@dataclass(frozen=True)
class BackboneDeclaration(Component):
    """A backbone; see :class:`harness.plugin.hookspecs.RegisterBackbone` for the fields."""

    modality: str = "image"
    models: bool = False
    weights: str = "none"
    shared_space: str = ""
    recipes: tuple[str, ...] = (STANDARD,)
    whole_folder: bool = False

    @property
    def handed(self) -> tuple[str, ...]:
        """What of model, weights, modality and recipe there is to choose."""
        chosen = {
            "model": self.models,
            "weights": self.weights != "none",
            "modality": self.modality == BOTH,
            "recipe": len(self.recipes) > 1,
        }
        return tuple(name for name, there in chosen.items() if there)

    def described(self) -> dict[str, Any]:
        """As for every component, and what it encodes."""
        own = {"modality": self.modality, "weights": self.weights, "shared_space": self.shared_space}
        return {**super().described(), **own}


@dataclass(frozen=True)
class MetricDeclaration(Component):
    """A metric; see :class:`harness.plugin.hookspecs.RegisterMetric` for the fields."""

    definition: str = ""
    cutoffs: tuple[int | None, ...] = (None,)
    empty_query: str = "left out"
    bounds: tuple[float, float] | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The metric ids that it yields."""
        return tuple(self.name if cutoff is None else f"{self.name}@{cutoff}" for cutoff in self.cutoffs)

    def described(self) -> dict[str, Any]:
        """As for every component, and what it measures."""
        own = {"ids": list(self.ids), "definition": self.definition, "empty_query": self.empty_query}
        return {**super().described(), **own}


@dataclass(frozen=True)
class ProtocolDeclaration(Component):
    """A noise protocol; see :class:`harness.plugin.hookspecs.RegisterProtocol` for the fields."""

    version: int = 1
    labels: bool = False
    takes_rate: bool = True
    touches_trusted: bool = False
    edits_captions: bool = False

    def described(self) -> dict[str, Any]:
        """As for every component, and what it draws from."""
        own = {"version": self.version, "uses_labels": self.labels, "takes_rate": self.takes_rate}
        return {**super().described(), **own}


@dataclass(frozen=True)
class DatasetDeclaration(Declaration):
    """A dataset card, by its path; :func:`harness.data.cards.read_card` reads it."""

    card: Path = field(default_factory=Path)


@dataclass(frozen=True)
class PublishedDeclaration(Declaration):
    """Numbers of a paper, by the path of their file; :func:`harness.report.published.read_published` reads it."""

    numbers: Path = field(default_factory=Path)
