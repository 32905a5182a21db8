"""What the cells of one process share: data read once, and the step from a request to a fully determined cell."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cells.backbones import backbones_of, notes_on, refuse_backbones
from harness.cells.cell import CORE_VERSIONS, Cell
from harness.cells.checks import check_numbers, check_plan_against
from harness.cells.compatibility import DataFacts, check_combination, granted_beyond_the_wall
from harness.cells.methods import ResolvedMethod, resolve_method
from harness.cells.request import DEFAULT_TRUSTED, MODALITIES, TOLD_OPTIONS, CellRequest
from harness.data.assemble import DataProtocol, check_plan, trusted_rows
from harness.data.broken import without_broken
from harness.data.cards import DatasetCard
from harness.data.features.imported_plan import plan_of_index_file
from harness.data.features.sources import (
    DataSource,
    card_of,
    features_source,
    raw_source,
    read_dataset,
    ready_source,
)
from harness.data.parts import Choice, recorded
from harness.data.raw import RawDataset
from harness.data.splits import database_images, query_images, training_images
from harness.data.table import FeatureTable
from harness.errors import HarnessError
from harness.noise.index_file import INDEX_FILE
from harness.noise.plan import NoisePlan, read_plan
from harness.plugin.declarations import Component, ProtocolDeclaration
from harness.plugin.loading import Registry
from harness.runtime.context import device_to_plan_for
from harness.runtime.precision import AUTO, FP32, check_precision, resolve_precision

log = logging.getLogger(__name__)


NOT_IN_THE_HASH = (
    "row", "preset", "images", "granted", "precisions", "copies",
    *(name for name, fact in TOLD_OPTIONS.items() if not fact.hashed),
)  # fmt: skip
"""Facts that follow from others, or whose effect is hashed itself (the split codes)."""


@dataclass(frozen=True)
class DataJob:
    """The data of a cell, fully determined, before features are computed.

    Attributes:
        source: The data.
        protocol: The data protocol.
        split: (n_images,) split codes.
        facts: What the record says of them.
        offered: What they can grant to a method.
        notes: Remarks for the record and the user.
    """

    source: DataSource
    protocol: DataProtocol
    split: NDArray[np.int8]
    facts: Mapping[str, Any]
    offered: DataFacts
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A cell that is ready to run.

    Attributes:
        request: What was asked for.
        cell: The cell, with its hash.
        method: The resolved method.
        data: Its data.
    """

    request: CellRequest
    cell: Cell
    method: ResolvedMethod
    data: DataJob

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the record and the user."""
        return self.data.notes


@dataclass
class Workbench:
    """Resolves requests, reading data sets and plans once.

    Attributes:
        registry: What is registered.
        device: Where cells will be trained, as ``--device`` says it; decides what ``--precision auto`` is.
        shared: This process is one of several that read the same features: ready ones are kept as memory maps, too.
    """

    registry: Registry
    device: str = "auto"
    shared: bool = False
    _sources: dict[tuple[object, ...], DataSource] = field(default_factory=dict)
    _read: dict[tuple[object, ...], tuple[RawDataset | FeatureTable, tuple[str, ...]]] = field(default_factory=dict)
    _plans: dict[Path, NoisePlan] = field(default_factory=dict)
    _hashes: dict[tuple[str, str], str] = field(default_factory=dict)

    def prepare_data(self, request: CellRequest) -> DataJob:
        """Determine the data of a cell, without computing features.

        Args:
            request: What was asked for; its method plays no part.

        Returns:
            Data, protocol, split and what the record says of them.

        Raises:
            HarnessError: Something in the request cannot be used.
        """
        check_numbers(request)
        source = self._source(request)
        choice = Choice(
            request.data_seed, request.split, request.validation, request.relevance, request.drop_duplicates
        )
        parts = source.parts(choice)
        split = parts.split
        notes: list[str] = [*source.notes, *notes_on(source.image), *parts.notes]
        train = training_images(split)
        protocol = self._protocol(request, source, train, notes)
        if protocol.plan is not None:
            check_plan(protocol.plan, source.data, train)
        elif request.noise is None and source.ready is not None and source.ready.holds_plan:
            notes.append(
                f"{request.features} also holds a noise plan, which is not used: add --noise-plan {request.features} "
                "to use it"
            )
        trusted = _trusted(request, source, protocol, train, notes)
        mask_known = protocol.noise.takes_rate or source.data.wrong is not None
        if protocol.plan is not None:
            mask_known = protocol.plan.wrong is not None
        facts = {
            "dataset": source.name,
            "noise": protocol.rate,
            "protocol": protocol.noise.name,
            "trusted": round(float(trusted.mean()), 6) if source_brings_trusted(source, protocol) else protocol.trusted,
            "data_seed": request.data_seed,
            "standardise": request.standardise,
            "limit": source.limited,
            "backbones": source.backbones(),
            **recorded(parts, choice),
            "images": {
                "train": len(train),
                "trusted": int(trusted.sum()),
                "query": len(query_images(split)),
                "database": len(database_images(split)),
            },
        }
        offered = DataFacts(len(train), int(trusted.sum()), source.shared_space, mask_known)
        return DataJob(source, protocol, split, facts, offered, tuple(notes))

    def prepare(self, request: CellRequest) -> Job:
        """Determine a cell completely, without computing features or training.

        Args:
            request: What was asked for.

        Returns:
            The job.

        Raises:
            HarnessError: Something in the request cannot be used, or the combination cannot work.
        """
        method = resolve_method(self.registry, request.method)
        data = self.prepare_data(request)
        check_combination(method, data.offered)
        precision = self.precision(request, method)
        facts = {
            "row": method.row,
            "method": method.name,
            "preset": method.preset,
            "hasher": method.hasher.name,
            "detector": method.components["detector"].name,
            "objective": method.components["objective"].name if "objective" in method.components else None,
            "bits": request.bits,
            "seed": request.seed,
            "granted": list(granted_beyond_the_wall(method).names),
            "parameters": dict(method.parameters),
            **data.facts,
            "precision": precision,
            "precisions": sorted(method.precisions),
        }
        identity = self._identity(facts, method, data)
        # The command that repeats the cell names what auto was, where there is a choice.
        request = replace(request, precision=AUTO if method.precisions == {FP32} else precision)
        return Job(request, Cell(facts, identity), method, data)

    def _identity(self, facts: Mapping[str, Any], method: ResolvedMethod, data: DataJob) -> dict[str, Any]:
        """Everything that determines the result, from which the hash is made: the facts that are chosen, and the data
        and the code behind them.
        """
        source, protocol = data.source, data.protocol
        # Records of label relevance are older than the choice.
        left_out = {*NOT_IN_THE_HASH, *(["relevance"] if facts["relevance"] == "label" else [])}
        sources = {role: self.source_hash(component) for role, component in method.components.items()}
        sources["protocol"] = self.source_hash(protocol.noise)
        encoders = {"image": source.image, "text": source.text}
        sources |= {modality: choice.source for modality, choice in encoders.items() if choice is not None}
        return {
            **{key: value for key, value in facts.items() if key not in left_out},
            "phases": [[phase.name, phase.pairs, phase.trust, phase.epochs, phase.restart] for phase in method.phases],
            "learners": method.learners,
            "data": source.data.fingerprint,
            "split": hashlib.sha256(data.split.tobytes()).hexdigest()[:16],
            "plan": None if protocol.plan is None else protocol.plan.fingerprint,
            "protocol_version": protocol.noise.version,
            "sources": sources,
            "versions": CORE_VERSIONS,
        }

    def precision(self, request: CellRequest, method: ResolvedMethod) -> str:
        """What a cell is computed in; torch is not imported where that is fp32 whatever the device can do.

        Raises:
            HarnessError: There is no such precision, or the device does not have it.
        """
        check_precision(request.precision)
        if request.precision == FP32 or (request.precision == AUTO and method.precisions == {FP32}):
            return FP32
        return resolve_precision(request.precision, method.precisions, device_to_plan_for(self.device))

    def source_hash(self, component: Component) -> str:
        """Hash of the code of a component, as it was when this process loaded it."""
        key = component.kind, component.name
        if key not in self._hashes:  # once: a file that is edited later is not what this process has loaded
            self._hashes[key] = self.registry.source_hash(component)
        return self._hashes[key]

    def _source(self, request: CellRequest) -> DataSource:
        key: tuple[object, ...]
        seed_of_limit = request.data_seed if request.limit is not None else 0
        if request.features is not None:
            refuse_backbones(request, MODALITIES, "--features, which brings its features")
            key = (request.features, request.limit, seed_of_limit)
            if key not in self._sources:
                self._sources[key] = features_source(request.features, request.limit, request.data_seed, self.shared)
            return self._sources[key]
        card = card_of(self.registry, request.dataset)
        if card.backbones is None:
            refuse_backbones(request, MODALITIES, f"{card.name!r}, which comes as ready features")
            image, text = None, None
        else:
            # Before images are read: a missing file of weights is found at once.
            image, text = backbones_of(self.registry, request, card.backbones, self.source_hash)
        root = _absolute(request.data_root)
        data, skipped = self._data(request, card)
        if isinstance(data, FeatureTable):
            refuse_backbones(request, MODALITIES, f"{card.name!r}, which comes as ready features")
            key = (request.dataset, root, request.limit, seed_of_limit)
            if key not in self._sources:
                self._sources[key] = ready_source(data, request.limit, request.data_seed, self.shared, card)
            return self._sources[key]
        if data.text_features is not None:
            refuse_backbones(request, ("text",), f"{card.name!r}, whose texts come as features")
            text = None
        assert image is not None
        key = (
            request.dataset, root, request.limit, seed_of_limit, request.skip_broken, image.key,
            None if text is None else text.key,
        )  # fmt: skip
        if key not in self._sources:
            source = raw_source(data, image, text, request.limit, request.data_seed, card)
            self._sources[key] = replace(source, skipped=skipped)
        return self._sources[key]

    def _data(self, request: CellRequest, card: DatasetCard) -> tuple[RawDataset | FeatureTable, tuple[str, ...]]:
        """The data of a card, read once, and what the record says of broken images that were left out."""
        key = (request.dataset, _absolute(request.data_root), request.skip_broken)
        if key not in self._read:
            data = read_dataset(self.registry, card, request.data_root, complete=not request.skip_broken)
            self._read[key] = (
                without_broken(data) if isinstance(data, RawDataset) and request.skip_broken else (data, ())
            )
        return self._read[key]

    def _protocol(
        self, request: CellRequest, source: DataSource, train: NDArray[np.int64], notes: list[str]
    ) -> DataProtocol:
        """Noise protocol, rate and plan: what was asked for, what the data bring, or the defaults."""
        plan = self._plan(request, source, train)
        if plan is None:
            declaration = _drawing_protocol(self.registry, request, source)
            drawn = 0.0 if request.noise is None else request.noise
            rate = drawn if declaration.takes_rate else None
        else:
            check_plan_against(request, plan)
            declaration, rate = self.registry.get("protocol", plan.protocol), plan.rate
            if declaration.version != plan.protocol_version:
                notes.append(
                    f"the noise plan was drawn by version {plan.protocol_version} of protocol {plan.protocol}; this is "
                    f"{declaration.version}"
                )
        return DataProtocol(declaration, rate, _given_trusted(request), request.data_seed, request.standardise, plan)

    def _plan(self, request: CellRequest, source: DataSource, train: NDArray[np.int64]) -> NoisePlan | None:
        """The noise plan that was asked for, read once; None where one is to be drawn."""
        file = request.noise_plan
        if file is None:
            return None
        if file.suffix == ".npy":
            return plan_of_index_file(
                file, request.noise, source, train, self.registry.get("protocol", INDEX_FILE),
                trusted=_given_trusted(request), data_seed=request.data_seed,
            )  # fmt: skip
        if file not in self._plans:
            self._plans[file] = read_plan(file)
        return self._plans[file]


def _drawing_protocol(registry: Registry, request: CellRequest, source: DataSource) -> ProtocolDeclaration:
    """The protocol that draws a plan, and fits what was asked for and what the data bring.

    Raises:
        HarnessError: It does not.
    """
    name = request.protocol or ("given" if source.brings_noise and request.noise is None else "derangement")
    declaration: ProtocolDeclaration = registry.get("protocol", name)
    if not declaration.takes_rate and request.noise:
        raise HarnessError(
            f"protocol {name!r} takes the noise as it is in the data: leave out --noise {request.noise:g}."
        )
    if declaration.takes_rate and source.brings_noise:
        raise HarnessError(
            f"the data {source.name!r} say themselves which pairs are wrong (array or column 'wrong'): use "
            "--protocol given and leave out --noise, or remove it."
        )
    if declaration.edits_captions and (source.raw is None or source.text is None):
        who = repr(source.name) if request.features is None else "--features"
        raise HarnessError(
            f"protocol {name!r} changes words of captions, and {who} has their features only: use it with raw "
            "captions (--dataset)."
        )
    if declaration.edits_captions and request.text_views:
        raise HarnessError(
            f"protocol {name!r} changes words of captions, and augmented captions are made from the unchanged "
            "ones: leave out --text-views."
        )
    return declaration


def _absolute(root: Path | None) -> Path | None:
    """The command of a cell says a data root in full: it is the same data."""
    return None if root is None else root.absolute()


def _given_trusted(request: CellRequest) -> float:
    return DEFAULT_TRUSTED if request.trusted is None else request.trusted


def source_brings_trusted(source: DataSource, protocol: DataProtocol) -> bool:
    """The data or the plan say which pairs are trusted, so that ``--trusted`` has no say."""
    return protocol.plan is not None or source.data.trusted is not None


def _trusted(
    request: CellRequest, source: DataSource, protocol: DataProtocol, train: NDArray[np.int64], notes: list[str]
) -> NDArray[np.bool_]:
    """(n_train,) the trusted pairs of the cell."""
    if protocol.plan is not None:
        trusted = protocol.plan.trusted
    else:
        trusted, _ = trusted_rows(source.data.trusted, source.data.wrong, train, protocol.trusted, protocol.data_seed)
    if not source_brings_trusted(source, protocol):
        return trusted
    if request.trusted is not None and abs(request.trusted - trusted.mean()) > 0.5 / max(len(trusted), 1):
        brought = "the noise plan" if protocol.plan is not None else f"the data {source.name!r}"
        notes.append(
            f"--trusted {request.trusted:g} is not used: {brought} says which pairs are trusted ({int(trusted.sum())} "
            f"of {len(trusted)})"
        )
    return trusted
