"""The whole plugin surface on one page.

A plugin is a module (a single file is enough) that implements some of the hooks below::

    from harness import Recipe, hookimpl

    @hookimpl
    def register_hashers(register):
        register("my-hasher", MyHasher, summary="What it does, in one line.")

    @hookimpl
    def register_methods(register):
        register("my-method", Recipe(hasher="my-hasher"), summary="What it is.")

Each hook gets one argument, ``register``, a function to call once for each thing registered. ``target`` is the class
(or function) itself, or the text ``"package.module:Name"``, which is imported only when it is used: keep torch and
other heavy imports out of the registering module of an installed plugin, so that listing stays fast. A loose one-file
plugin may import what it likes.

Where plugins are found: entry points of the group ``harness.plugins`` in installed packages, ``*.py`` files in the
folder named by ``HARNESS_PLUGINS_DIR``, and ``--plugin FILE.py``. They are loaded one by one; one that fails is
reported and the others work on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pluggy

from harness.plugin.interfaces import NOTHING, Need, Phase, Recipe
from harness.plugin.parameters import Parameter

hookspec = pluggy.HookspecMarker("harness")
hookimpl = pluggy.HookimplMarker("harness")


class RegisterMethod(Protocol):
    """The function handed to :func:`register_methods`."""

    def __call__(self, name: str, recipe: Recipe, *, summary: str, paper: str = "") -> None:
        """Register a method.

        Args:
            name: Name on the command line and in tables.
            recipe: What it is made of.
            summary: One line.
            paper: Reference: authors, venue, year, address.
        """


class RegisterHasher(Protocol):
    """The function handed to :func:`register_hashers`."""

    def __call__(
        self,
        name: str,
        target: Any,
        *,
        summary: str,
        paper: str = "",
        parameters: Iterable[Parameter] | None = None,
        needs: Need = NOTHING,
        offers: Need = NOTHING,
        uses_weights: bool = True,
        takes_objective: bool = False,
        phases: tuple[Phase, ...] = (),
        precisions: tuple[str, ...] = ("fp32",),
    ) -> None:
        """Register a hasher (:class:`harness.plugin.interfaces.Hasher` or :class:`harness.plugin.interfaces.Learner`).

        Args:
            name: Name on the command line.
            target: Class, or ``"module:Class"``.
            summary: One line.
            paper: Reference.
            parameters: Its parameters; None reads them from the keyword arguments of the class (then it is imported).
            needs: What it cannot work without.
            offers: What it offers to detectors: ``Need.EPOCHS`` says that it is a Learner, ``Need.PAIR_LOSSES`` that it
                has ``pair_losses``, ``Need.TWO_LEARNERS`` that two copies may be trained together.
            uses_weights: False if it cannot weigh pairs; then only pairs with a weight above 0.5 reach it, and the
                record says so.
            takes_objective: True if its loss can be chosen; the objective is passed as keyword argument ``objective``.
            phases: Training phases for recipes that name none; only for Learners.
            precisions: Number formats it can train in, of ``"fp32"``, ``"bf16"`` and ``"tf32"``: name what its
                ``run.autocast()`` or ``run.precision`` makes a difference for. A method computes in fp32 unless one of
                its components declares what ``--precision`` asks for.
        """


class RegisterComponent(Protocol):
    """The function handed to :func:`register_detectors` and :func:`register_objectives`."""

    def __call__(
        self,
        name: str,
        target: Any,
        *,
        summary: str,
        paper: str = "",
        parameters: Iterable[Parameter] | None = None,
        needs: Need = NOTHING,
        precisions: tuple[str, ...] = ("fp32",),
    ) -> None:
        """Register a noise detector or an objective; arguments as for hashers."""


class RegisterBackbone(Protocol):
    """The function handed to :func:`register_backbones`."""

    def __call__(
        self,
        name: str,
        target: Any,
        *,
        modality: str,
        summary: str,
        paper: str = "",
        parameters: Iterable[Parameter] | None = None,
        models: bool = False,
        weights: str = "none",
        shared_space: str = "",
        recipes: tuple[str, ...] = ("standard",),
        whole_folder: bool = False,
        same_results: Mapping[str, str] | None = None,
    ) -> None:
        """Register a backbone (:class:`harness.plugin.interfaces.Backbone`).

        Args:
            name: Name on the command line.
            target: Class, or ``"module:Class"``.
            modality: ``"image"``, ``"text"``, or ``"both"`` for one with a tower for each, whose features can be
                compared directly: it gets ``modality="image"`` or ``"text"`` as keyword argument, and can be chosen
                with ``--backbone``.
            summary: One line.
            paper: Reference.
            parameters: Its parameters.
            models: True for a family: it is then written ``NAME/MODEL`` and gets ``model="MODEL"``.
            weights: ``"none"``, ``"optional"`` or ``"required"``; the value of ``--image-weights`` or
                ``--text-weights`` (or "") is passed as keyword argument ``weights``.
            shared_space: Backbones of both modalities that name the same space produce comparable features, if their
                models and weights are the same, too.
            recipes: Names of the ways to prepare images that ``--image-recipe`` chooses from, ``"standard"`` among
                them; with more than one it gets ``recipe`` as keyword argument.
            whole_folder: Its weights are a folder whose subfolders count.
            same_results: As for :func:`register_same_results`.
        """


class RegisterDataset(Protocol):
    """The function handed to :func:`register_datasets`."""

    def __call__(self, card: Path) -> None:
        """Register a dataset card: a TOML file as described in docs/protocols-and-metrics.md."""


class RegisterReader(Protocol):
    """The function handed to :func:`register_readers`."""

    def __call__(self, name: str, target: Any, *, summary: str) -> None:
        """Register a reader (:class:`harness.plugin.interfaces.DatasetReader`) for a layout that cards can name."""


class RegisterMetric(Protocol):
    """The function handed to :func:`register_metrics`."""

    def __call__(
        self,
        name: str,
        target: Any,
        *,
        summary: str,
        definition: str,
        cutoffs: tuple[int | None, ...] = (None,),
        empty_query: str = "left out",
        paper: str = "",
        bounds: tuple[float, float] | None = None,
    ) -> None:
        """Register a metric.

        Args:
            name: Its id; for a cutoff K the id is ``NAME@K``.
            target: Function of a :class:`harness.retrieval.histograms.DistanceHistogram` (and the cutoff, where there
                are any) to (n_query,) float64, or ``"module:function"``.
            summary: One line.
            definition: The formula in words, stored with every value.
            cutoffs: The values of K (or of a Hamming radius) that are computed; None means no cutoff: the target is
                then called with the histogram alone.
            empty_query: ``"left out"`` of the mean, or ``"counts 0"``, for a query without relevant items.
            paper: Reference.
            bounds: Smallest and largest value that a query can have, ``(0, 1)`` say. A metric that declares them must
                give a number for every query that counts, and a value outside makes the record ``invalid``; None:
                any finite value will do, and queries may be left out with NaN.
        """


class RegisterEngine(Protocol):
    """The function handed to :func:`register_executors` and :func:`register_trackers`."""

    def __call__(
        self, name: str, target: Any, *, summary: str, paper: str = "", parameters: Iterable[Parameter] | None = None
    ) -> None:
        """Register an executor (:class:`harness.execution.Executor`) or a tracker.

        The contract of trackers is :class:`harness.execution.trackers.interface.Tracker`.

        Args:
            name: Name for ``--executor NAME`` or ``--tracker NAME``.
            target: Class, or ``"module:Class"``.
            summary: One line.
            paper: Reference, for example the address of the engine.
            parameters: Its parameters, written ``--executor-option NAME=VALUE`` or
                ``--tracker NAME:PARAMETER=VALUE,...``; None reads them from the keyword arguments of the class (then it
                is imported).
        """


class RegisterProtocol(Protocol):
    """The function handed to :func:`register_protocols`."""

    def __call__(
        self,
        name: str,
        target: Any,
        *,
        summary: str,
        paper: str = "",
        version: int = 1,
        labels: bool = False,
        takes_rate: bool = True,
        touches_trusted: bool = False,
        edits_captions: bool = False,
    ) -> None:
        """Register a noise protocol.

        Args:
            name: Name on the command line.
            target: :class:`harness.plugin.interfaces.NoiseProtocol`, or ``"module:function"``.
            summary: One line.
            paper: Reference.
            version: Raise it when the same seed draws other pairs than before.
            labels: True if it uses class labels to choose captions.
            takes_rate: False if the noise is in the data already.
            touches_trusted: True if trusted pairs may become wrong after the trusted phase.
            edits_captions: True if it changes words of captions; it then works on raw captions only, finds them in
                ``pairs.captions``, and returns a second thing: for each row the text that stands there, or None.
        """


class RegisterPublished(Protocol):
    """The function handed to :func:`register_published`."""

    def __call__(self, name: str, numbers: Path, *, summary: str, paper: str = "") -> None:
        """Register numbers that a paper prints, to stand beside our own.

        Args:
            name: Name of the collection, such as ``"chnr-icip2022"``.
            numbers: A TOML file as described in docs/published.md; it is read when a table asks for it.
            summary: One line.
            paper: Reference.
        """


class RegisterSameResults(Protocol):
    """The function handed to :func:`register_same_results`."""

    def __call__(self, same_results: Mapping[str, str]) -> None:
        """Say that edited code computes what earlier code did.

        Args:
            same_results: Hash of a component's code now to the hash of earlier code that computed exactly the same
                results (records show it under ``sources``), so that records and cached features of then stand. Any
                later edit makes another hash, and the line has no effect any more.
        """


@hookspec
def register_methods(register: RegisterMethod) -> None:
    """Register methods: named recipes of hasher, detector, objective, phases and parameters."""


@hookspec
def register_hashers(register: RegisterHasher) -> None:
    """Register hashers, which learn codes."""


@hookspec
def register_detectors(register: RegisterComponent) -> None:
    """Register noise detectors, which say how far to trust each training pair."""


@hookspec
def register_objectives(register: RegisterComponent) -> None:
    """Register objectives, per-pair losses for hashers that take one."""


@hookspec
def register_backbones(register: RegisterBackbone) -> None:
    """Register backbones, which turn raw images or captions into features."""


@hookspec
def register_datasets(register: RegisterDataset) -> None:
    """Register dataset cards."""


@hookspec
def register_readers(register: RegisterReader) -> None:
    """Register readers of dataset layouts."""


@hookspec
def register_metrics(register: RegisterMetric) -> None:
    """Register retrieval metrics."""


@hookspec
def register_protocols(register: RegisterProtocol) -> None:
    """Register noise protocols."""


@hookspec
def register_executors(register: RegisterEngine) -> None:
    """Register executors, which run the cells of a sweep through an engine."""


@hookspec
def register_trackers(register: RegisterEngine) -> None:
    """Register trackers, which hear of runs: start, epochs, record."""


@hookspec
def register_published(register: RegisterPublished) -> None:
    """Register numbers that papers print, to stand beside our own."""


@hookspec
def register_same_results(register: RegisterSameResults) -> None:
    """Register edits of components that changed no result, so that records made before them stand."""
