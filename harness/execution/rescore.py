"""Metrics again from stored codes, without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.execution.results import evaluation_arrays
from harness.files.npz import read_npz
from harness.plugin.declarations import MetricDeclaration
from harness.plugin.metric_ids import DIRECTIONS
from harness.records.plausible import NOTE as NOT_VALID
from harness.records.plausible import verdict, violation_notes
from harness.records.run_files import array_bytes, read_files, run_place
from harness.records.schema import RunRecord
from harness.records.store import RunStore, StoredRun, record_bytes
from harness.retrieval.code_file import stored_table
from harness.retrieval.evaluate import Evaluation, definitions, evaluate, failure_notes, failure_prefix

if TYPE_CHECKING:
    import torch

NOTE = "metrics were recomputed from the stored codes"


@dataclass(frozen=True)
class Rescored:
    """A run with its metrics computed again; nothing is written yet.

    Attributes:
        folder: Where the run is.
        record: The record with new metrics.
        arrays: All arrays of the run, those per query and by radius new.
        added: Ids that the record did not have.
        changed: Ids that had another value in some direction.
    """

    folder: Any
    record: RunRecord
    arrays: dict[str, NDArray]
    added: tuple[str, ...]
    changed: tuple[str, ...]


def rescore(
    stored: StoredRun, declared: Sequence[MetricDeclaration], device: torch.device | str | None = None
) -> Rescored:
    """Compute metrics of a finished run from its codes.

    Args:
        stored: The run.
        declared: The metrics to compute; others keep their values.
        device: A CUDA device to count distances on; otherwise the processor counts.

    Returns:
        The record and arrays to write.

    Raises:
        HarnessError: The run has no codes, or they are damaged.
    """
    record, folder = stored.record, stored.folder
    if record.status not in ("ok", "invalid"):
        raise HarnessError(f"run {record.hash} ({record.cell.row}) has no codes: its status is {record.status}.")
    if not (folder / "arrays.npz").is_file():
        raise HarnessError(f"run {record.hash} ({record.cell.row}) has no codes: {folder}/arrays.npz is missing.")
    arrays = read_npz(folder / "arrays.npz", "run")
    table = stored_table(arrays, f"run {record.hash}: {folder / 'arrays.npz'}")
    evaluation = evaluate(table, declared, device)
    metrics = dict(record.metrics)
    added: dict[str, None] = {}
    changed: dict[str, None] = {}
    for direction in DIRECTIONS:
        if direction not in evaluation.metrics:
            continue
        before = metrics.get(direction, {})
        for metric_id, value in evaluation.metrics[direction].items():
            if metric_id not in before:
                added[metric_id] = None
            elif before[metric_id] != value:
                changed[metric_id] = None
        metrics[direction] = {**before, **evaluation.metrics[direction]}
    fresh = evaluation_arrays(table, evaluation)
    arrays.update({name: array for name, array in fresh.items() if name.startswith(("per_query_", "curve_"))})
    mended = tuple(failure_prefix(metric_id) + "," for of_one in evaluation.metrics.values() for metric_id in of_one)
    notes = [note for note in record.notes if not note.startswith(mended)]
    told = [*evaluation.remarks, *failure_notes(evaluation), *violation_notes(evaluation.violations)]
    status, error = verdict(evaluation.violations)
    if status == "ok" and record.status == "invalid" and not _all_again(record, evaluation):
        status, error = record.status, record.error  # what was wrong may be in a metric that was not computed now
    else:
        notes = [note for note in notes if not note.startswith(NOT_VALID)]
    record = record.model_copy(
        update={
            "status": status,
            "error": error,
            "metrics": metrics,
            "metric_definitions": {**record.metric_definitions, **definitions(declared)},
            "queries": {**record.queries, **evaluation.queries},
            "notes": list(dict.fromkeys([*notes, NOTE, *told])),
        }
    )
    return Rescored(folder, record, arrays, tuple(added), tuple(changed))


def _all_again(record: RunRecord, evaluation: Evaluation) -> bool:
    """Whether every metric that the record has was computed, and none failed."""
    return not evaluation.failed and all(
        set(record.metrics[direction]) <= set(evaluation.metrics.get(direction, ()))
        for direction in DIRECTIONS
        if direction in record.metrics
    )


def write_rescored(rescored: Rescored) -> None:
    """Put the run in the place of what was there, whole or not at all; model and log stay as they are, byte for byte.

    Raises:
        HarnessError: The folder is not where runs are, cannot be read or written, or its model or log is damaged.
    """
    from safetensors import SafetensorError, deserialize

    folder, record = rescored.folder.absolute(), rescored.record
    method, dataset = record.cell.method, record.cell.dataset
    place = run_place(method, dataset, record.hash)
    if not folder.as_posix().endswith(f"/runs/{place}"):
        raise HarnessError(
            f"run {record.hash}: {folder} is not where runs are kept (RESULTS/runs/METHOD/DATASET/HASH): move it there "
            "first."
        )
    store = RunStore(folder.parents[3])
    try:
        files = read_files(folder)
        if "model.safetensors" in files:
            deserialize(files["model.safetensors"])
        files.get("log.txt", b"").decode()
    except OSError as error:
        raise HarnessError(f"run {record.hash} in {folder} cannot be read: {error.strerror or error}.") from error
    except (SafetensorError, UnicodeDecodeError) as error:
        raise HarnessError(f"run {record.hash} in {folder} is damaged: {error}.") from error
    files.update({"arrays.npz": array_bytes(rescored.arrays), "record.json": record_bytes(record)})
    store.write_files(method, dataset, record.hash, files)
