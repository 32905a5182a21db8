"""A stored run against the same cell run again: codes, metrics, and what has changed around it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.attempt import attempt
from harness.errors import HarnessError
from harness.identity import differences, entries
from harness.npz_file import read_npz
from harness.plugins import load_registry
from harness.records.facts import metric_values
from harness.records.repeat import deterministic_in, request_of_record, threads_of_record
from harness.settings import RunSettings
from harness.workbench import Workbench

if TYPE_CHECKING:
    from harness.records.schema import RunRecord
    from harness.records.store import StoredRun

CIRCUMSTANCES = ("device", "threads", "gpu", "cuda", "cudnn", "driver", "cpu", "platform", "products")
"""Entries of an environment that may change the last digits, besides versions, settings and commit."""


@dataclass(frozen=True)
class CodeDifference:
    """How far the codes of one part and modality differ.

    Attributes:
        part: "query" or "database".
        modality: "image" or "text".
        items: Number of items.
        differing_items: Share of items whose code is another one; 1 where the items themselves are others.
        differing_bits: Share of bits.
    """

    part: str
    modality: str
    items: int
    differing_items: float
    differing_bits: float


@dataclass(frozen=True)
class MetricDifference:
    """A metric that has another value now; None where it is not defined."""

    metric: str
    stored: float | None
    now: float | None

    @property
    def size(self) -> float:
        """Absolute difference; infinite where one of the two is not defined."""
        if self.stored is None or self.now is None:
            return math.inf
        return abs(self.stored - self.now)


@dataclass
class Verification:
    """What came out.

    Attributes:
        hash: Of the stored run.
        hash_now: Of the cell that its command makes now.
        codes: One entry for each part and modality.
        metrics: Number of metrics that both have.
        differing: Those that differ, the largest difference first.
        not_computed: Metrics of the record that nothing computes now.
        changes: What is different around the cell, the likely reason first.
        device: Where it ran now.
        threads: With how many.
        seconds: How long it took.
    """

    hash: str
    hash_now: str
    codes: list[CodeDifference]
    metrics: int
    differing: list[MetricDifference]
    not_computed: list[str]
    changes: list[str] = field(default_factory=list)
    device: str = ""
    threads: int = 1
    seconds: float = 0.0

    @property
    def identical(self) -> bool:
        """Whether all codes and all metrics that both have are equal."""
        return not self.differing and not any(code.differing_items for code in self.codes)


def verify(stored: StoredRun, device: str | None = None, data_root: Path | None = None) -> Verification:
    """Run a cell again, with the threads and on the device of its record, and compare. Nothing is written.

    Args:
        stored: The run.
        device: Another device.
        data_root: Where the data sets are on this machine.

    Returns:
        The comparison.

    Raises:
        HarnessError: The run did not finish or its codes are missing, so that there is nothing to compare; or the cell
            cannot be run now.
    """
    record = stored.record
    if record.status not in ("ok", "invalid"):
        raise HarnessError(
            f"run {record.hash} ended with status {record.status}: there are no codes to compare. To run it again: "
            f"{record.command}"
        )
    request = request_of_record(record)
    arrays = read_npz(stored.folder / "arrays.npz", "the stored run's", _is_code)
    if data_root is not None:
        request = replace(request, data_root=data_root)
    settings = _settings(record, device)
    registry = load_registry(request.plugins)
    job = Workbench(registry, settings.device).prepare(request)
    metrics: Any = registry.all("metric")
    outcome = attempt(job, metrics, settings)
    now = outcome.record
    if outcome.arrays is None:
        message = now.error.message if now.error else "it made no codes"
        raise HarnessError(
            f"run {record.hash} cannot be repeated: its cell ends with status {now.status} now: {message}"
        )
    before, after = metric_values(record), metric_values(now)
    both = [name for name in before if name in after]
    differing = [MetricDifference(name, before[name], after[name]) for name in both if before[name] != after[name]]
    return Verification(
        hash=record.hash,
        hash_now=job.cell.hash,
        codes=_compare(arrays, outcome.arrays, record.cell.bits),
        metrics=len(both),
        differing=sorted(differing, key=lambda difference: -difference.size),
        not_computed=[name for name in before if name not in after],
        changes=[
            *differences(record.identity, job.cell.identity),
            *changed_circumstances(record.environment, now.environment),
        ],
        device=str(now.environment.get("device", "")),
        threads=settings.threads,
        seconds=now.timings.get("total", 0.0),
    )


def _settings(record: RunRecord, device: str | None) -> RunSettings:
    """Those of the record; a GPU that is not here is replaced by what is."""
    import torch

    if device is None:
        recorded = str(record.environment.get("device", "auto"))
        device = (
            recorded if recorded == "cpu" or (recorded.startswith("cuda") and torch.cuda.is_available()) else "auto"
        )
    return RunSettings(device=device, threads=threads_of_record(record) or 1, deterministic=deterministic_in(record))


def _is_code(name: str) -> bool:
    return name.endswith("_codes") or name in ("query_ids", "database_ids")


def _compare(before: Mapping[str, NDArray], after: Mapping[str, NDArray], n_bits: int) -> list[CodeDifference]:
    """Codes by part and modality; arrays are (items, bytes) uint8, unused bits 0."""
    found = []
    for part in ("query", "database"):
        for modality in ("image", "text"):
            old, new = (arrays.get(f"{part}_{modality}_codes") for arrays in (before, after))
            if old is None or new is None:
                continue
            ids = [arrays.get(f"{part}_ids") for arrays in (before, after)]
            if old.shape != new.shape or not np.array_equal(ids[0], ids[1]):  # type: ignore[arg-type]
                found.append(CodeDifference(part, modality, len(old), 1.0, 1.0))
                continue
            bits = np.unpackbits(old ^ new, axis=1).sum(axis=1)
            items = max(len(old), 1)
            found.append(
                CodeDifference(
                    part, modality, len(old), float((bits > 0).sum() / items), float(bits.sum() / (items * n_bits))
                )
            )
    return found


def changed_circumstances(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two environments and may change a result.

    Args:
        before: Environment of a record.
        after: Another.

    Returns:
        One phrase for each difference: "torch 2.12.0 -> 2.13.0". What one of them does not say is left out.
    """
    found = [
        f"{name} {before[name]} -> {after[name]}"
        for name in CIRCUMSTANCES
        if name in before and name in after and before[name] != after[name]
    ]
    old, new = (entries(environment.get("versions")) for environment in (before, after))
    found += [
        f"{name} {version or 'not installed'} -> {new[name] or 'not installed'}"
        for name, version in old.items()
        if name in new and new[name] != version
    ]
    old, new = (entries(environment.get("settings")) for environment in (before, after))
    if "deterministic" in old and "deterministic" in new and old["deterministic"] != new["deterministic"]:
        found.append(f"deterministic {old['deterministic']} -> {new['deterministic']}")
    old, new = (entries(environment.get("git")) for environment in (before, after))
    for key in ("commit", "diff"):
        if old and new and old.get(key) != new.get(key):
            found.append(f"{'commit' if key == 'commit' else 'uncommitted changes'} of the harness")
    return found
