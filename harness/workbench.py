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

from harness.cells import CORE_VERSIONS, DEFAULT_TRUSTED, Cell, CellRequest
from harness.compatibility import DataFacts, check_combination, granted_beyond_the_wall
from harness.context import choose_device
from harness.data.assemble import Protocol, check_plan, trusted_rows
from harness.data.imported_plan import plan_of_index_file
from harness.data.sources import DataSource, backbone_choice, card_of, features_source, raw_dataset, raw_source
from harness.data.splits import database_images, query_images, training_images
from harness.data.standardise import CHOICES as STANDARDISE
from harness.declarations import ProtocolDeclaration
from harness.errors import HarnessError, unknown_name
from harness.methods import ResolvedMethod, resolve_method
from harness.noise.index_file import INDEX_FILE
from harness.noise.plan import NoisePlan, read_plan
from harness.plugins import Registry
from harness.precision import AUTO, FP32, check_precision, resolve_precision
from harness.source_hash import hash_of_component

log = logging.getLogger(__name__)


NOT_IN_THE_HASH = ("row", "preset", "images", "granted", "precisions")
"""Facts that follow from others."""


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
    protocol: Protocol
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
    _plans: dict[Path, NoisePlan] = field(default_factory=dict)
    _packages: set[str] | None = None
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
        _check_numbers(request)
        source = self._source(request)
        split = source.split(request.data_seed)
        notes: list[str] = []
        protocol = self._protocol(request, source, notes)
        train = training_images(split)
        if protocol.plan is not None:
            check_plan(protocol.plan, source.data, train)
        elif request.noise is None and source.ready is not None and source.ready.holds_plan:
            notes.append(
                f"{request.features} also holds a noise plan, which is not used: add --noise-plan {request.features} "
                "to use it"
            )
        trusted = _trusted(request, source, protocol, train, notes)
        mask_known = protocol.noise.takes_rate or (source.ready is not None and source.ready.wrong is not None)
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
        precision = self._precision(request, method)
        source, protocol = data.source, data.protocol
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
        identity = {
            **{key: value for key, value in facts.items() if key not in NOT_IN_THE_HASH},
            "phases": [[phase.name, phase.pairs, phase.trust, phase.epochs, phase.restart] for phase in method.phases],
            "learners": method.learners,
            "data": source.data.fingerprint,
            "split": hashlib.sha256(data.split.tobytes()).hexdigest()[:16],
            "plan": None if protocol.plan is None else protocol.plan.fingerprint,
            "protocol_version": protocol.noise.version,
            "sources": {
                **{role: self._source_hash(component) for role, component in method.components.items()},
                "protocol": self._source_hash(protocol.noise),
                **(
                    {}
                    if source.image is None or source.text is None
                    else {"image": source.image.source, "text": source.text.source}
                ),
            },
            "versions": CORE_VERSIONS,
        }
        # The command that repeats the cell names what auto was, where there is a choice.
        request = replace(request, precision=AUTO if method.precisions == {FP32} else precision)
        return Job(request, Cell(facts, identity), method, data)

    def _precision(self, request: CellRequest, method: ResolvedMethod) -> str:
        """What the cell is computed in. Nothing is asked of torch where the answer is fp32 anyway."""
        check_precision(request.precision)
        if request.precision == FP32 or (request.precision == AUTO and method.precisions == {FP32}):
            return FP32
        return resolve_precision(request.precision, method.precisions, choose_device(self.device))

    def _source_hash(self, component: object) -> str:
        from harness.declarations import Component

        assert isinstance(component, Component)
        if self._packages is None:
            self._packages = self.registry.plugin_packages()
        key = component.kind, component.name
        if key not in self._hashes:  # once: a file that is edited later is not what this process has loaded
            self._hashes[key] = hash_of_component(component, self._packages)
        return self._hashes[key]

    def _source(self, request: CellRequest) -> DataSource:
        key: tuple[object, ...]
        seed_of_limit = request.data_seed if request.limit is not None else 0
        if request.features is not None:
            for option, value in (
                *((f"--set {key}", text) for key, text in request.backbone_settings.items()),
                ("--image-backbone", request.image_backbone),
                ("--text-backbone", request.text_backbone),
                ("--image-weights", request.image_weights),
                ("--text-weights", request.text_weights),
            ):
                if value is not None:
                    raise HarnessError(
                        f"{option} {value} has no use with --features, which brings its features: leave one of them "
                        "out."
                    )
            key = (request.features, request.limit, seed_of_limit)
            if key not in self._sources:
                self._sources[key] = features_source(request.features, request.limit, request.data_seed)
            return self._sources[key]
        card = card_of(self.registry, request.dataset)
        choices = []
        for modality in ("image", "text"):
            default = getattr(card.backbones, modality)
            named = getattr(request, f"{modality}_backbone") or default
            weights = getattr(request, f"{modality}_weights")
            if weights is None:
                weights = getattr(card.backbones, f"{modality}_weights") if named == default else ""
            declaration, _ = self.registry.backbone(named, modality)
            choices.append(
                backbone_choice(
                    self.registry, named, modality, weights, request.backbone_settings, self._source_hash(declaration)
                )
            )
        image, text = choices
        key = (
            request.dataset, request.data_root, request.limit, seed_of_limit, image.name, image.weights, text.name,
            text.weights, tuple(sorted(image.parameters.items())), tuple(sorted(text.parameters.items())),
        )  # fmt: skip
        if key not in self._sources:
            for choice in choices:
                choice.weights_fingerprint  # noqa: B018 - a missing file is found before images are read
            raw_key = (request.dataset, request.data_root)
            if raw_key not in self._sources:
                raw = raw_dataset(self.registry, card, request.data_root)
                self._sources[raw_key] = raw_source(raw, image, text, None, 0)
            raw = self._sources[raw_key].raw
            assert raw is not None
            self._sources[key] = raw_source(raw, image, text, request.limit, request.data_seed)
        return self._sources[key]

    def _protocol(self, request: CellRequest, source: DataSource, notes: list[str]) -> Protocol:
        """Noise protocol, rate and plan: what was asked for, what the data bring, or the defaults."""
        plan = None
        if request.noise_plan is not None:
            if request.noise_plan.suffix == ".npy":
                share = _given_trusted(request)
                index_file: ProtocolDeclaration = self.registry.get("protocol", INDEX_FILE)
                plan = plan_of_index_file(
                    request.noise_plan, request.noise, source, index_file, trusted=share, data_seed=request.data_seed
                )
            else:
                if request.noise_plan not in self._plans:
                    self._plans[request.noise_plan] = read_plan(request.noise_plan)
                plan = self._plans[request.noise_plan]
            _check_plan_against(request, plan)
            declaration: ProtocolDeclaration = self.registry.get("protocol", plan.protocol)
            if declaration.version != plan.protocol_version:
                notes.append(
                    f"the noise plan was drawn by version {plan.protocol_version} of protocol {plan.protocol}; this is "
                    f"{declaration.version}"
                )
            return Protocol(
                declaration, plan.rate, _given_trusted(request), request.data_seed, request.standardise, plan
            )
        name = request.protocol or ("given" if source.brings_noise and request.noise is None else "derangement")
        declaration = self.registry.get("protocol", name)
        rate: float | None = 0.0 if request.noise is None else request.noise
        if not declaration.takes_rate:
            if request.noise:
                raise HarnessError(
                    f"protocol {name!r} takes the noise as it is in the data: leave out --noise {request.noise:g}."
                )
            rate = None
        elif source.brings_noise:
            raise HarnessError(
                f"the features {source.name!r} say themselves which pairs are wrong (array 'wrong'): use --protocol "
                "given and leave out --noise, or remove that array."
            )
        if declaration.edits_captions and source.raw is None:
            raise HarnessError(
                f"protocol {name!r} changes words of captions, and --features has their features only: use it with raw "
                "data (--dataset)."
            )
        return Protocol(declaration, rate, _given_trusted(request), request.data_seed, request.standardise)


def _given_trusted(request: CellRequest) -> float:
    return DEFAULT_TRUSTED if request.trusted is None else request.trusted


def source_brings_trusted(source: DataSource, protocol: Protocol) -> bool:
    """The data or the plan say which pairs are trusted, so that ``--trusted`` has no say."""
    return protocol.plan is not None or (source.ready is not None and source.ready.trusted is not None)


def _trusted(
    request: CellRequest, source: DataSource, protocol: Protocol, train: NDArray[np.int64], notes: list[str]
) -> NDArray[np.bool_]:
    """(n_train,) the trusted pairs of the cell."""
    ready = source.ready
    if protocol.plan is not None:
        trusted = protocol.plan.trusted
    else:
        brought = (None, None) if ready is None else (ready.trusted, ready.wrong)
        trusted, _ = trusted_rows(*brought, train, protocol.trusted, protocol.data_seed)
    if not source_brings_trusted(source, protocol):
        return trusted
    if request.trusted is not None and abs(request.trusted - trusted.mean()) > 0.5 / max(len(trusted), 1):
        brought = "the noise plan" if protocol.plan is not None else f"the features {source.name!r}"
        notes.append(
            f"--trusted {request.trusted:g} is not used: {brought} says which pairs are trusted ({int(trusted.sum())} "
            f"of {len(trusted)})"
        )
    return trusted


def _check_plan_against(request: CellRequest, plan: NoisePlan) -> None:
    """What the plan says must not contradict what was asked for (a known trap of older code: it read the file whatever
    the rate said)."""
    if request.noise is not None and plan.rate is not None and abs(request.noise - plan.rate) > 1e-9:
        raise HarnessError(
            f"--noise {request.noise:g} contradicts --noise-plan {request.noise_plan}, which was drawn at rate "
            f"{plan.rate:g}: leave out --noise."
        )
    if request.noise and plan.rate is None:
        raise HarnessError(
            f"--noise {request.noise:g} contradicts --noise-plan {request.noise_plan}, which holds natural noise: "
            "leave out --noise."
        )
    if request.protocol is not None and request.protocol != plan.protocol:
        raise HarnessError(
            f"--protocol {request.protocol} contradicts --noise-plan {request.noise_plan}, drawn by {plan.protocol!r}: "
            "leave out --protocol."
        )


def _check_numbers(request: CellRequest) -> None:
    """Numbers that mean something.

    Raises:
        HarnessError: One does not.
    """
    check_shares_and_seeds(request.noise, request.trusted, request.seed, request.data_seed)
    if request.bits < 1:
        raise HarnessError(f"--bits {request.bits}: expected at least 1.")
    if request.limit is not None and request.limit < 1:
        raise HarnessError(f"--limit {request.limit}: expected at least 1.")
    if request.method.epochs is not None and request.method.epochs < 1:
        raise HarnessError(f"--epochs {request.method.epochs}: expected at least 1.")
    if request.standardise not in STANDARDISE:
        raise unknown_name("value of --standardise", request.standardise, STANDARDISE)


def check_shares_and_seeds(noise: float | None, trusted: float | None, seed: int, data_seed: int | None) -> None:
    """Shares lie in [0, 1), seeds are not negative.

    Raises:
        HarnessError: One does not.
    """
    for option, value in (("--noise", noise), ("--trusted", trusted)):
        if value is not None and not 0 <= value < 1:
            raise HarnessError(f"{option} {value:g}: expected a share from 0 up to, but not including, 1.")
    for option, number in (("--seed", seed), ("--data-seed", data_seed)):
        if number is not None and number < 0:
            raise HarnessError(f"{option} {number}: expected 0 or more.")
