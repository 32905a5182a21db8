"""Many cells through an executor: what is finished stays, what fails is recorded, and the sweep goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

from harness.cells.command import command_of
from harness.cells.request import CellRequest
from harness.cells.workbench import Job, Workbench
from harness.errors import CombinationError, HarnessError, UnsavedError
from harness.execution import STOP_NOW, Ended, Executor, Session, Task
from harness.execution.attempt import failed_without_a_word
from harness.execution.cells_to_run import Standing, to_run
from harness.execution.sweep_state import SweepState
from harness.execution.worker import Assignment, Reply, Worker
from harness.records.index import End
from harness.records.schema import RunRecord, Status
from harness.records.store import RunStore
from harness.runtime.context import Progress
from harness.runtime.processes import no_child_left
from harness.runtime.settings import RunSettings

CARRIED = ("HARNESS_CACHE", "HARNESS_DATA", "HARNESS_PLUGINS_DIR", "HARNESS_PLUGINS", "HARNESS_DEBUG")
"""Environment variables that mean the same on every machine of a shared file system."""

DIED: tuple[Status, str] = ("failed", "WorkerDied")
FAILURES: Mapping[str, tuple[Status, str]] = {"timeout": ("timeout", "Timeout"), "memory": ("oom", "MemoryLimit")}
"""How a task ended without a word, to the status and the kind of failure in its record; otherwise :data:`DIED`."""


class Listener(Protocol):
    """What shows the progress of a sweep."""

    def grid_started(self, jobs: Sequence[Job], refused: Sequence[Refusal]) -> None:
        """All cells are determined; nothing has run yet."""

    def pending(self, number: int) -> None:
        """All cells that keep their records were reported; ``number`` cells are run now."""

    def cell_started(self, number: int, total: int, job: Job) -> None:
        """Cell ``number`` (from 1) of ``total`` was handed to a worker."""

    def progressed(self, progress: Progress) -> None:
        """The running cell reports progress; only where it runs in this process."""

    def noted(self, note: str) -> None:
        """The preparation or a cell has a remark for the user."""

    def cell_kept(self, job: Job, end: End) -> None:
        """A cell has a record from before, which stands."""

    def cell_finished(self, job: Job, record: RunRecord) -> None:
        """A cell has a new record."""


@dataclass(frozen=True)
class Refusal:
    """A point of the grid that cannot work, with the reason."""

    request: CellRequest
    reason: str


@dataclass
class Sweep:
    """The cells of a sweep, and how they are run.

    Attributes:
        jobs: The cells.
        refused: Combinations that cannot work, for the listener.
        ends: From :func:`ends_of_jobs`.
        store: Where records are.
        standing: Which records stand.
        settings: How cells are run.
        executor: What runs them.
        session: The settings for the executor.
        workbench: For cells that run in this process.
        state: State folder of the sweep, or None for a single cell.
        metrics: Metric ids that are computed beyond those registered.
    """

    jobs: Sequence[Job]
    refused: Sequence[Refusal]
    ends: Mapping[str, End]
    store: RunStore
    standing: Standing
    settings: RunSettings
    executor: Executor
    session: Session
    workbench: Workbench
    state: SweepState | None = None
    metrics: tuple[str, ...] = ()

    @cached_property
    def pending(self) -> list[Job]:
        """The cells that have no standing record."""
        return to_run(self.jobs, self.ends, self.standing)


@dataclass
class Result:
    """What became of a sweep.

    Attributes:
        statuses: Hash to status of every cell that has a record now.
        unfinished: Cells without a record: the sweep was stopped.
    """

    statuses: dict[str, str] = field(default_factory=dict)
    unfinished: list[Job] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Cells whose record is not ok."""
        return sum(status != "ok" for status in self.statuses.values())


def prepare_all(workbench: Workbench, requests: Sequence[CellRequest]) -> tuple[list[Job], list[Refusal]]:
    """Determine all cells before any of them runs.

    Args:
        workbench: Where requests become jobs.
        requests: The points of the grid.

    Returns:
        The jobs, each cell once, and the combinations that cannot work.

    Raises:
        HarnessError: A mistake that has nothing to do with a combination (an unknown name, a damaged file), or every
            combination is refused.
    """
    jobs: dict[str, Job] = {}
    refused = []
    for request in requests:
        try:
            job = workbench.prepare(request)
        except CombinationError as error:
            refused.append(Refusal(request, str(error)))
            continue
        jobs.setdefault(job.cell.hash, job)
    if not jobs and refused:
        reasons = list(dict.fromkeys(refusal.reason for refusal in refused))
        raise CombinationError(" ".join(reasons[:3]))
    return list(jobs.values()), refused


def run_sweep(sweep: Sweep, listener: Listener) -> Result:
    """Run the cells that have no standing record.

    A cell that runs out of GPU memory is tried once more when all others have ended, alone.

    Args:
        sweep: Cells, and how to run them.
        listener: Shows progress.

    Returns:
        The status of each cell, and the cells without a record.

    Raises:
        UnsavedError: A record could not be saved. What was finished stays.
        HarnessError: The executor cannot work here.
        KeyboardInterrupt: The second Ctrl-C, while cells ran in this very process.
    """
    listener.grid_started(sweep.jobs, sweep.refused)
    ledger = _Ledger(sweep, listener)
    ledger.keep_standing()
    session = replace(sweep.session, progressed=listener.progressed, began=ledger.began)
    with closing(ledger.worker):
        try:
            with no_child_left(listener.noted):
                for tasks in ledger.rounds():
                    ended_tasks = sweep.executor.run(tasks, session)
                    try:
                        for ended in ended_tasks:
                            ledger.settle(ended)
                    finally:
                        if hasattr(ended_tasks, "close"):
                            ended_tasks.close()
        except KeyboardInterrupt:
            if sweep.session.stopping() < STOP_NOW:  # not the user: a component raised it
                raise
            ledger.stopped()
    return ledger.result


class _Ledger:
    """How each cell of a sweep has ended so far."""

    def __init__(self, sweep: Sweep, listener: Listener) -> None:
        self.sweep, self.listener = sweep, listener
        self.by_hash = {job.cell.hash: job for job in sweep.jobs}
        self.number = {cell_hash: at for at, cell_hash in enumerate(self.by_hash, start=1)}
        self.result = Result()
        self.again: list[Job] = []
        self.start = datetime.now(UTC)
        self.handed_out: dict[str, tuple[datetime, str]] = {}
        self.attempt = 1
        plugins = sweep.jobs[0].request.plugins if sweep.jobs else ()
        self.worker = Worker(sweep.workbench, plugins, sweep.settings.trackers)

    def keep_standing(self) -> None:
        """Report the cells that keep their records, and take over their status."""
        pending = {job.cell.hash for job in self.sweep.pending}
        for cell_hash, job in self.by_hash.items():
            if cell_hash not in pending:
                self.result.statuses[cell_hash] = self.sweep.ends[cell_hash].status
                self.listener.cell_kept(job, self.sweep.ends[cell_hash])
        self.listener.pending(len(pending))

    def rounds(self) -> Iterator[list[Task]]:
        """The cells to run: first all, then those that ran out of GPU memory, one by one."""
        if self.sweep.pending:
            yield [self._task(job) for job in self.sweep.pending]
        self.attempt = 2
        for job in self.again:
            if self.sweep.session.stopping():
                self._finished(job, self._stored(job))
                continue
            self.listener.noted(f"{job.cell.title} ran out of GPU memory and is tried again alone")
            yield [self._task(job)]

    def _task(self, job: Job) -> Task:
        sweep = self.sweep
        state = None if sweep.state is None else sweep.state.workers.absolute()
        assignment = Assignment(
            command_of(job.request), job.cell.hash, job.cell.title, sweep.store.results.absolute(), sweep.standing,
            sweep.settings, sweep.metrics, state, self.attempt,
        )  # fmt: skip
        return assignment.task(partial(self.worker.run_cell, job, assignment))

    def began(self, task: Task, worker: str) -> None:
        """A task was handed to a worker."""
        self.handed_out[task.hash] = datetime.now(UTC), worker
        self.listener.cell_started(self.number[task.hash], len(self.by_hash), self.by_hash[task.hash])

    def stopped(self) -> None:
        """Settle the cells of an executor that a second Ctrl-C ended before it could report them."""
        told = {*self.result.statuses, *(job.cell.hash for job in self.result.unfinished)}
        for job in self.sweep.pending:
            if job.cell.hash not in told:
                self.settle(Ended(self._task(job), "stopped"))

    def settle(self, ended: Ended) -> None:
        """Count a task that has ended; where its worker could not write a record, one is written here.

        Raises:
            UnsavedError: The record could not be saved, or is gone.
            HarnessError: The executor gives something other than :class:`Ended`.
        """
        if not isinstance(ended, Ended):
            raise HarnessError(
                f"the executor gives {type(ended).__name__} where its contract asks for Ended (harness/execution.py)."
            )
        job = self.by_hash[ended.task.hash]
        if ended.how == "finished":
            reply = Reply.read(ended.reply)
            if reply.unsaved:
                raise UnsavedError(reply.unsaved)
            if reply.refused:
                self._finished(job, self._failure(job, "failed", "HarnessError", reply.refused, ended))
                return
            for note in reply.notes:
                self.listener.noted(note)
            if reply.retry:
                self.again.append(job)
                return
            self._finished(job, self._stored(job))
            return
        stored = self.sweep.store.find(*job.cell.place)
        began, _ = self.handed_out.get(job.cell.hash, (self.start, ""))
        if stored is not None and datetime.fromisoformat(stored.record.finished) >= began - timedelta(milliseconds=1):
            self._finished(job, stored.record)  # its worker died after the record was written
        elif ended.how == "stopped":
            self.result.unfinished.append(job)
        else:
            status, kind = FAILURES.get(ended.how, DIED)
            self._finished(job, self._failure(job, status, kind, ended.reason, ended))

    def _failure(self, job: Job, status: Status, kind: str, reason: str, ended: Ended) -> RunRecord:
        """The record of a cell whose worker could not write one, stored."""
        tail = [] if self.sweep.state is None else self.sweep.state.tail_of(job.cell.hash)
        began, worker = self.handed_out.get(job.cell.hash, (self.start, ""))
        failed = failed_without_a_word(
            job, status, kind, reason, [*tail, *ended.log], self.sweep.settings, began, self.attempt, worker
        )
        try:
            self.sweep.store.write(failed.record, log_lines=failed.log)
        except HarnessError as error:
            raise UnsavedError(str(error)) from error
        return failed.record

    def _stored(self, job: Job) -> RunRecord:
        stored = self.sweep.store.find(*job.cell.place)
        if stored is None:
            raise UnsavedError(
                f"the record of {job.cell.title} ({job.cell.hash}) is gone from {self.sweep.store.runs}: the folder "
                "was changed while the sweep ran, or the workers do not share it."
            )
        return stored.record

    def _finished(self, job: Job, record: RunRecord) -> None:
        self.result.statuses[job.cell.hash] = record.status
        self.listener.cell_finished(job, record)


def carried_environment() -> dict[str, str]:
    """The environment variables that workers on other machines need, with absolute paths."""
    # An empty HARNESS_PLUGINS says something, too: no plugins of others.
    carried = {
        name: os.environ[name]
        for name in CARRIED
        if os.environ.get(name) or (name == "HARNESS_PLUGINS" and name in os.environ)
    }
    folders = ("HARNESS_CACHE", "HARNESS_DATA", "HARNESS_PLUGINS_DIR")
    return {name: str(Path(value).absolute()) if name in folders else value for name, value in carried.items()}
