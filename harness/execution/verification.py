"""A stored run against the same cell run again: everything that it holds, and what has changed around it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.cells.identity import differences, entries
from harness.cells.workbench import Workbench
from harness.errors import HarnessError
from harness.execution.attempt import attempt
from harness.files.npz import read_npz
from harness.files.whole import read_plain_file
from harness.plugin.loading import load_registry
from harness.plugin.metric_ids import DIRECTIONS, declared_metric, metrics_with
from harness.records.contradictions import contradictions, differing_facts
from harness.records.facts import metric_values
from harness.records.repeat import deterministic_in, request_of_record, threads_of_record
from harness.records.run_files import MODEL_LIMIT_BYTES, model_bytes
from harness.runtime.settings import RunSettings

if TYPE_CHECKING:
    from harness.plugin.declarations import MetricDeclaration
    from harness.plugin.registry import Registry
    from harness.records.schema import RunRecord
    from harness.records.store import StoredRun

HEADER_BYTES = 2**20
"""Limit of the header of a model file, in bytes."""

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
        """Absolute difference; infinite where one of the two is not defined, or no number."""
        if not isinstance(self.stored, int | float) or not isinstance(self.now, int | float):
            return math.inf
        return abs(self.stored - self.now)


@dataclass
class Verification:
    """The comparison of a stored run with the same cell run again.

    Attributes:
        hash: Hash of the stored run.
        hash_now: Hash of the cell that its command makes now.
        codes: One entry for each part and modality.
        metrics: Number of metrics that both have.
        differing: Those that differ, the largest difference first.
        not_computed: Metrics of the record that nothing computes now; they were not compared.
        facts: One phrase for each fact of the record that is wrong.
        arrays: Number of arrays that both have.
        differing_arrays: Names of those that differ, codes aside.
        tensors: Number of tensors of the model that both have.
        differing_tensors: Names of those that differ.
        lacking: Metrics, arrays and tensors that the cell has now and the stored run has not.
        same_program: Whether the same version of this program made the run, so that it should lack nothing.
        changes: Differences of code, libraries and machine, the likely reason first.
        device: Device of the repeated run.
        threads: Threads of the repeated run.
        seconds: Seconds that the repeated run took.
    """

    hash: str
    hash_now: str
    codes: list[CodeDifference]
    metrics: int
    differing: list[MetricDifference]
    not_computed: list[str]
    facts: list[str]
    arrays: int
    differing_arrays: list[str]
    tensors: int
    differing_tensors: list[str]
    lacking: list[str]
    same_program: bool
    changes: list[str] = field(default_factory=list)
    device: str = ""
    threads: int = 1
    seconds: float = 0.0

    @property
    def identical(self) -> bool:
        """Whether everything that both have is equal, and nothing is missing that should be there."""
        return not (
            self.differing
            or self.facts
            or self.differing_arrays
            or self.differing_tensors
            or (self.lacking and self.same_program)
            or any(code.differing_items for code in self.codes)
        )


def verify(stored: StoredRun, device: str | None = None, data_root: Path | None = None) -> Verification:
    """Run a cell again, with the threads and on the device of its record, and compare. Nothing is written.

    Args:
        stored: The run.
        device: Device to run on; None for that of the record.
        data_root: Folder of the data sets; None for that of the record.

    Returns:
        The comparison.

    Raises:
        HarnessError: The run did not finish, its codes are missing or a file of it is damaged, so that there is nothing
            to compare; or the cell cannot be run now.
    """
    record = stored.record
    if record.status not in ("ok", "invalid"):
        raise HarnessError(
            f"run {record.hash} ended with status {record.status}: there are no codes to compare. To run it again: "
            f"{record.command}"
        )
    request = request_of_record(record)
    arrays = read_npz(stored.folder / "arrays.npz", "the stored run's")
    tensors = _tensors(stored.folder / "model.safetensors")
    if data_root is not None:
        request = replace(request, data_root=data_root)
    settings = _settings(record, device)
    registry = load_registry(request.plugins)
    job = Workbench(registry, settings.device).prepare(request)
    before = metric_values(record)
    result = attempt(job, _metrics(registry, before), settings)
    now = result.record
    if result.arrays is None:
        message = now.error.message if now.error else "it made no codes"
        raise HarnessError(
            f"run {record.hash} cannot be repeated: its cell ends with status {now.status} now: {message}"
        )
    after, arrays_now = metric_values(now), result.arrays
    tensors_now = _contents(model_bytes(result.model))
    both = [name for name in before if name in after]
    differing = [MetricDifference(name, before[name], after[name]) for name in both if before[name] != after[name]]
    return Verification(
        hash=record.hash,
        hash_now=job.cell.hash,
        codes=_compare(arrays, arrays_now, record.cell.bits),
        metrics=len(both),
        differing=sorted(differing, key=lambda difference: -difference.size),
        not_computed=[name for name in before if name not in after],
        facts=[
            *contradictions(record, stored.folder),
            *(differing_facts(record.cell, now.cell) if job.cell.identity == record.identity else []),
            *([] if now.status == record.status else [f"the status is {record.status}, and now {now.status}"]),
        ],
        arrays=len(arrays.keys() & arrays_now.keys()),
        differing_arrays=[
            name for name in arrays if name in arrays_now and not _is_code(name) and not _same(arrays, arrays_now, name)
        ],
        tensors=len(tensors.keys() & tensors_now.keys()),
        differing_tensors=[name for name in tensors if name in tensors_now and tensors[name] != tensors_now[name]],
        lacking=[
            f"{kind} {name}"
            for kind, old, new in (
                ("metric", before, after),
                ("array", arrays, arrays_now),
                ("tensor", tensors, tensors_now),
            )
            for name in new
            if name not in old
        ],
        same_program=_same_program(record.environment, now.environment),
        changes=[
            *differences(record.identity, job.cell.identity),
            *changed_circumstances(record.environment, now.environment),
        ],
        device=str(now.environment.get("device", "")),
        threads=settings.threads,
        seconds=now.timings.get("total", 0.0),
    )


def _settings(record: RunRecord, device: str | None) -> RunSettings:
    """The settings of the record; ``auto`` in place of a GPU that this machine does not have."""
    import torch

    if device is None:
        recorded = str(record.environment.get("device", "auto"))
        device = (
            recorded if recorded == "cpu" or (recorded.startswith("cuda") and torch.cuda.is_available()) else "auto"
        )
    return RunSettings(device=device, threads=threads_of_record(record) or 1, deterministic=deterministic_in(record))


def _metrics(registry: Registry, stored: Mapping[str, Any]) -> list[MetricDeclaration]:
    """All registered metrics, and those that the record has with other cutoffs (`harness score --metric map@15`)."""
    known: list[str] = []
    for metric_id in dict.fromkeys(name.partition("/")[2] for name in stored if name.partition("/")[0] in DIRECTIONS):
        with contextlib.suppress(HarnessError):  # of a plugin that is not here: told as not computed
            known += declared_metric(registry, metric_id).ids
    return metrics_with(registry, known)


def _is_code(name: str) -> bool:
    return name.endswith("_codes") or name in ("query_ids", "database_ids")


def _same(before: Mapping[str, NDArray], after: Mapping[str, NDArray], name: str) -> bool:
    """Whether an array is the same to the last bit."""
    old, new = before[name], after[name]
    return old.dtype == new.dtype and old.shape == new.shape and old.tobytes() == new.tobytes()


def _tensors(path: Path) -> dict[str, dict[str, Any]]:
    """Name to type, shape and bytes of each tensor of a stored model; empty where none was stored.

    Raises:
        HarnessError: The file cannot be read, or is damaged.
    """
    from safetensors import SafetensorError

    try:
        return _contents(read_plain_file(path, MODEL_LIMIT_BYTES + HEADER_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise HarnessError(f"the stored run's {path} cannot be read: {error.strerror}.") from error
    except (SafetensorError, ValueError) as error:
        raise HarnessError(f"the stored run's {path} is damaged: {error}.") from error


def _contents(model: bytes | None) -> dict[str, dict[str, Any]]:
    from safetensors import deserialize

    return dict(deserialize(model)) if model else {}


def _same_program(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the same version of this program wrote both, as far as they say."""
    versions = [entries(environment.get("versions")).get("harness") for environment in (before, after)]
    commits = [entries(environment.get("git")).get("commit") for environment in (before, after)]
    return versions[0] == versions[1] and commits[0] == commits[1]


def _compare(before: Mapping[str, NDArray], after: Mapping[str, NDArray], n_bits: int) -> list[CodeDifference]:
    """Codes by part and modality; arrays are (items, bytes) uint8, unused bits 0."""
    compared = []
    for part in ("query", "database"):
        for modality in ("image", "text"):
            old, new = (arrays.get(f"{part}_{modality}_codes") for arrays in (before, after))
            if old is None or new is None:
                continue
            ids = [arrays.get(f"{part}_ids") for arrays in (before, after)]
            if old.shape != new.shape or not np.array_equal(ids[0], ids[1]):  # type: ignore[arg-type]
                compared.append(CodeDifference(part, modality, len(old), 1.0, 1.0))
                continue
            bits = np.unpackbits(old ^ new, axis=1).sum(axis=1)
            items = max(len(old), 1)
            compared.append(
                CodeDifference(
                    part, modality, len(old), float((bits > 0).sum() / items), float(bits.sum() / (items * n_bits))
                )
            )
    return compared


def changed_circumstances(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two environments and may change a result.

    Args:
        before: Environment of a record.
        after: Environment of the same cell, run again.

    Returns:
        One phrase for each difference: "torch 2.12.0 -> 2.13.0". What one of them does not say is left out.
    """
    changes = [
        f"{name} {before[name]} -> {after[name]}"
        for name in CIRCUMSTANCES
        if name in before and name in after and before[name] != after[name]
    ]
    old, new = (entries(environment.get("versions")) for environment in (before, after))
    changes += [
        f"{name} {version or 'not installed'} -> {new[name] or 'not installed'}"
        for name, version in old.items()
        if name in new and new[name] != version
    ]
    old, new = (entries(environment.get("settings")) for environment in (before, after))
    if "deterministic" in old and "deterministic" in new and old["deterministic"] != new["deterministic"]:
        changes.append(f"deterministic {old['deterministic']} -> {new['deterministic']}")
    old, new = (entries(environment.get("git")) for environment in (before, after))
    for key in ("commit", "diff"):
        if old and new and old.get(key) != new.get(key):
            changes.append(f"{'commit' if key == 'commit' else 'uncommitted changes'} of the harness")
    return changes
