"""One attempt at one cell: whatever happens in it, a record comes out."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.errors import HarnessError, cut, text_of, what_and_where
from harness.execution.cell_log import CellLog
from harness.execution.results import CellResult
from harness.execution.runner import failed_record, run_job
from harness.plugin.declarations import MetricDeclaration
from harness.records.schema import Failure, RunRecord, Status
from harness.runtime.context import Progress, ignore_progress
from harness.runtime.environment import environment
from harness.runtime.settings import RunSettings, applied

if TYPE_CHECKING:
    from harness.cells.workbench import Job
    from harness.execution.trackers.group import Trackers

TRACEBACK_LINES = 20

OUT_OF_GPU_MEMORY = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
"""Signs of the RuntimeErrors that torch raises from cuBLAS and from the CUDA driver."""

OUT_OF_MEMORY = ("can't allocate memory", *OUT_OF_GPU_MEMORY)
"""Signs of RuntimeErrors for lack of memory, of a GPU or of the CPU."""


def attempt(
    job: Job,
    metrics: list[MetricDeclaration],
    settings: RunSettings,
    trackers: Trackers | None = None,
    listener: Callable[[Progress], None] = ignore_progress,
    *,
    number: int = 1,
    placed: Mapping[str, str] | None = None,
    log: CellLog | None = None,
    stopped: Callable[[], bool] = lambda: True,
) -> CellResult:
    """Run a cell; an error becomes a failed record.

    The caller stores the result, and tells the trackers (``trackers.run_finished(record, folder)``) when it is
    stored: nothing that a tracker does may come between a result and the disk.

    Args:
        job: The prepared cell.
        metrics: Metrics to compute.
        settings: Device, threads, determinism.
        trackers: Hear of start and epochs.
        listener: Called with progress.
        number: 2 for the second attempt, as stored in the record.
        placed: Who runs the cell ({"executor": "local", "worker": "0"}), for the record's environment.
        log: The cell's log; one in memory by default.
        stopped: Asked after a KeyboardInterrupt: whether the user wants to stop; otherwise a component raised it.

    Returns:
        What to store: status ``ok``, ``invalid`` (with all its numbers), ``failed`` or ``oom``.

    Raises:
        KeyboardInterrupt: The user wants to stop. Nothing else, ``SystemExit`` and other kinds of BaseException
            included, comes out.
    """
    started = datetime.now(UTC)
    log = log or CellLog()
    if trackers is not None:
        trackers.run_started(job, started)

    def listen(progress: Progress) -> None:
        log.progressed(progress)
        listener(progress)
        if trackers is not None:
            trackers.epoch_reported(progress)

    surroundings: dict[str, object] = {}
    try:
        with log.listening(), applied(settings) as device:
            surroundings = environment(device)
            result = run_job(job, metrics, device, listen)
        record = result.record.model_copy(update={"started": started.isoformat(timespec="milliseconds")})
        record = _with_facts(record, number, settings, placed, surroundings)
        if record.error is not None:
            log.add(f"{record.status}: {record.error.message}")
        return CellResult(record, result.arrays, result.model, log.lines)
    except BaseException as error:  # a component that calls sys.exit must not end the grid
        if isinstance(error, KeyboardInterrupt) and stopped():
            raise
        failure, status = failure_of(error, settings)
        log.add(f"{status}: {failure.message}")
        failure = failure.model_copy(update={"log": log.tail()})
        record = failed_record(job, status, failure, started)
        record = _with_facts(record, number, settings, placed, surroundings or environment(None))
        lines = [*log.lines, *failure.traceback]
    _let_go_of_memory()
    return CellResult(record, log=lines)


def failed_without_a_word(
    job: Job, status: Status, kind: str, reason: str, tail: list[str], settings: RunSettings, started: datetime,
    number: int = 1, worker: str = "",
) -> CellResult:  # fmt: skip
    """The record of a cell whose worker ended without writing one.

    Args:
        job: The cell.
        status: "failed", "timeout" or "oom".
        kind: Kind of the error, where others have the name of an exception.
        reason: One sentence.
        tail: The last lines of the cell's log, where they are known.
        settings: How it was run.
        started: When, at the earliest.
        number: 2 for the second attempt.
        worker: The name of its worker, where it is known.
    """
    failure = Failure(kind=kind, message=reason, traceback=[], log=tail)
    record = failed_record(job, status, failure, started)
    placed = {"worker": worker} if worker else None
    record = _with_facts(record, number, settings, placed, environment(None))
    return CellResult(record, log=[*tail, f"{status}: {reason}"])


def failure_of(error: BaseException, settings: RunSettings) -> tuple[Failure, Status]:
    """What a record says of an error, and the status that follows from it."""
    out_of_memory = _is_out_of_memory(error)
    tail: list[str] = []
    if isinstance(error, HarnessError):
        message = text_of(error)
    elif settings.deterministic and _is_nondeterminism(error):
        message = _nondeterminism(error)
    else:
        message = what_and_where(error)
        lines = "".join(traceback.format_exception(error)).splitlines()
        tail = [cut(line) for line in lines[-TRACEBACK_LINES:]]
    failure = Failure(kind=type(error).__name__, message=message, traceback=tail)
    return failure, "oom" if out_of_memory else "failed"


def of_a_gpu(failure: Failure) -> bool:
    """Whether a cell failed because the memory of a GPU was full, which cells beside it may have filled.

    Torch's own error is named OutOfMemoryError; Python's, for the memory of the machine, is MemoryError.
    """
    return failure.kind == "OutOfMemoryError" or any(sign in failure.message for sign in OUT_OF_GPU_MEMORY)


def _with_facts(
    record: RunRecord,
    number: int,
    settings: RunSettings,
    placed: Mapping[str, str] | None,
    surroundings: Mapping[str, object],
) -> RunRecord:
    """The record with what this attempt knows about itself."""
    facts = {**surroundings, "settings": {"threads": settings.threads, "deterministic": settings.deterministic}}
    if placed:
        facts["placed"] = dict(placed)
    return record.model_copy(update={"attempt": number, "environment": facts})


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(sign in text_of(error) for sign in OUT_OF_MEMORY)
    )


def _is_nondeterminism(error: BaseException) -> bool:
    """Whether torch refused an operation that has no deterministic algorithm; it has two wordings for that."""
    return isinstance(error, RuntimeError) and (
        "does not have a deterministic implementation" in text_of(error) or "CUBLAS_WORKSPACE_CONFIG" in text_of(error)
    )


def _nondeterminism(error: BaseException) -> str:
    before, does_not_have, _ = text_of(error).partition(" does not have")
    operation = before.strip() if does_not_have else "a product"
    lines = [line for line in traceback.extract_tb(error.__traceback__) if "site-packages" not in line.filename]
    where = f" ({lines[-1].filename}, line {lines[-1].lineno})" if lines else ""
    return (
        f"--deterministic: torch has no deterministic {operation} on this device{where}; leave the option out, or use "
        "--device cpu."
    )


def _let_go_of_memory() -> None:
    """Free the memory of a failed cell for the next one; its tensors were held by the traceback."""
    import torch

    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
