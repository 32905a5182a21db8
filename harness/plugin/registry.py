"""The registry: what the loaded plugins registered, by kind and name, and what became of each plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, unknown_name
from harness.plugin.declarations import BOTH, BackboneDeclaration, Component, Declaration, MethodDeclaration
from harness.plugin.parameters import Parameter
from harness.plugin.source_hash import hash_of_component

KINDS = {
    "method": "methods",
    "hasher": "hashers",
    "detector": "detectors",
    "objective": "objectives",
    "backbone": "backbones",
    "dataset": "datasets",
    "reader": "readers",
    "metric": "metrics",
    "protocol": "protocols",
    "executor": "executors",
    "tracker": "trackers",
    "published": "published",
}
"""Singular to plural of everything that can be registered."""


@dataclass(frozen=True)
class PluginState:
    """What became of one plugin.

    Attributes:
        name: Entry point name, or file stem.
        origin: Where it was found: "distribution version", or the path of a file.
        file: Its file, where known.
        error: One sentence if it failed, otherwise "".
        version: Of its distribution, or what a loose file calls ``__version__``; "" where it says nothing.
        api: Version of the plugin API that it says it was written for; None where it says nothing.
        left_out: ``HARNESS_PLUGINS`` says that it is not to be loaded.
    """

    name: str
    origin: str
    file: Path | None
    error: str = ""
    version: str = ""
    api: int | None = None
    left_out: bool = False

    @property
    def state(self) -> str:
        """ "loaded", "broken" or "left out"."""
        return "left out" if self.left_out else "broken" if self.error else "loaded"


class Registry:
    """Everything that the loaded plugins registered, by kind and name."""

    def __init__(self) -> None:
        self._declarations: dict[str, dict[str, Declaration]] = {kind: {} for kind in KINDS}
        self.plugins: list[PluginState] = []
        self._same_results: dict[str, dict[str, str]] = {}

    def all(self, kind: str) -> list[Declaration]:
        """The declarations of a kind ("hasher"), sorted by name."""
        return [self._declarations[kind][name] for name in sorted(self._declarations[kind])]

    def names(self, kind: str) -> list[str]:
        """The names registered for a kind, sorted."""
        return sorted(self._declarations[kind])

    def get(self, kind: str, name: str) -> Any:
        """The declaration of that kind and name.

        Raises:
            HarnessError: There is none; near names are suggested, and plugins that failed to load are named.
        """
        if name in self._declarations[kind]:
            return self._declarations[kind][name]
        broken = [state for state in self.plugins if state.error]
        remark = ""
        if broken:
            listed = "; ".join(f"{state.name} ({state.error.rstrip('.')})" for state in broken)
            remark = f"Plugins that failed to load: {listed}."
        raise unknown_name(kind, name, self._declarations[kind], remark)

    def backbone(self, name: str, modality: str) -> tuple[BackboneDeclaration, str]:
        """The backbone that ``name`` or ``FAMILY/MODEL`` means, and the model ("" where it is no family).

        Raises:
            HarnessError: Unknown, of the other modality, or a family without a model.
        """
        family, _, model = name.partition("/")
        by_name = self._declarations["backbone"]
        declaration = by_name.get(name) or by_name.get(family)
        if declaration is None:
            self.get("backbone", family)
        assert isinstance(declaration, BackboneDeclaration)
        if declaration.modality not in (modality, BOTH):
            raise HarnessError(f"backbone {name!r} encodes {declaration.modality}, not {modality}.")
        if declaration.models and not model:
            raise HarnessError(
                f"backbone {name!r} is a family: write {name}/MODEL, for example as `harness info {name}` shows."
            )
        if model and not declaration.models:
            raise HarnessError(f"backbone {family!r} has no models to choose from: write {family} alone.")
        return declaration, model

    def matching(self, name: str) -> list[Declaration]:
        """Declarations of every kind with that name."""
        return [by_name[name] for by_name in self._declarations.values() if name in by_name]

    def all_names(self) -> list[str]:
        """Every name of every kind, sorted."""
        return sorted({name for by_name in self._declarations.values() for name in by_name})

    def add(self, declaration: Declaration) -> None:
        """Add a declaration.

        Raises:
            HarnessError: The name is taken, and the message names both files; or a fact is of another type.
        """
        _check_types(declaration)
        taken = self._declarations[declaration.kind].get(declaration.name)
        if taken is not None:
            raise HarnessError(
                f"{declaration.kind} {declaration.name!r} is registered twice: by {taken.file or taken.plugin} and by "
                f"{declaration.file or declaration.plugin}; the first one stands."
            )
        self._declarations[declaration.kind][declaration.name] = declaration

    def remove_plugin(self, plugin: str) -> None:
        """Forget what a plugin registered before it failed."""
        for by_name in self._declarations.values():
            for name in [name for name, declaration in by_name.items() if declaration.plugin == plugin]:
                del by_name[name]
        self._same_results.pop(plugin, None)

    def add_same_results(self, plugin: str, same_results: Mapping[str, str]) -> None:
        """Note what a plugin says of edits that changed no result: hash of code now to hash of the earlier code."""
        self._same_results.setdefault(plugin, {}).update(same_results)

    def source_hash(self, component: Component) -> str:
        """The hash of a component's code, as cells and cached features name it (:mod:`harness.plugin.source_hash`)."""
        same_results = {now: then for told in self._same_results.values() for now, then in told.items()}
        return hash_of_component(component, self.plugin_packages(), same_results)

    def plugin_packages(self) -> set[str]:
        """Top-level packages that hold plugins; the content hash follows imports within them."""
        modules = (
            declaration.module_name
            for kind in KINDS
            for declaration in self.all(kind)
            if isinstance(declaration, Component)
        )
        return {module.partition(".")[0] for module in modules if module} - {"harness"}


def _check_types(declaration: Declaration) -> None:
    """Each fact has the type of its default: what a plugin hands over is printed, compared and added up later.

    Raises:
        HarnessError: One has another type.
    """
    title = f"{declaration.kind} {declaration.name!r}"
    for thing in (declaration, *([declaration.recipe] if isinstance(declaration, MethodDeclaration) else ())):
        for fact in fields(thing):
            value = getattr(thing, fact.name)
            default = fact.default_factory() if fact.default_factory is not MISSING else fact.default
            wanted: Any = (list, tuple) if isinstance(default, tuple) else type(default)
            wanted = Mapping if isinstance(default, dict) else wanted
            if default is not MISSING and default is not None and not isinstance(value, wanted):
                raise HarnessError(
                    f"{title}: {fact.name} must be of type {type(default).__name__}, not {type(value).__name__}."
                )
    for parameter in getattr(declaration, "declared_parameters", None) or ():
        if not isinstance(parameter, Parameter):
            raise HarnessError(
                f"{title}: a parameter must be made with Parameter(...), not {type(parameter).__name__}."
            )
