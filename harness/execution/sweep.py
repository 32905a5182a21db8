"""Many cells through an executor: what is finished stays, what fails is recorded, and the sweep goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Protocol

from harness.cells.cell import CellRequest
from harness.cells.command import command_of
from harness.cells.workbench import Job, Workbench
from harness.errors import CombinationError, HarnessError, UnsavedError
from harness.execution import STOP_NOW, Ended, Executor, Session, Task
from harness.execution.attempt import failed_without_a_word
from harness.execution.standing import Standing
from harness.execution.sweep_state import SweepState
from harness.execution.worker import Assignment, Reply, adopt
from harness.records.index import End, ends_of
from harness.records.schema import RunRecord, Status
from harness.records.store import RunStore
from harness.runtime.context import Progress
from harness.runtime.processes import no_child_left
from harness.runtime.settings import RunSettings

CARRIED = ("HARNESS_CACHE", "HARNESS_DATA", "HARNESS_PLUGINS_DIR", "HARNESS_PLUGINS", "HARNESS_DEBUG")
"""Environment variables that mean the same on every machine of a shared file system."""


class Listener(Protocol):
    """Whoever shows the progress of a sweep."""

    def grid_started(self, jobs: Sequence[Job], refused: Sequence[Refusal]) -> None:
        """All cells are determined; nothing has run yet."""

    def pending(self, number: int) -> None:
        """All kept cells were told; so many are run now."""

    def cell_started(self, number: int, total: int, job: Job) -> None:
        """Cell ``number`` (from 1) of ``total`` was handed to a worker."""

    def progressed(self, progress: Progress) -> None:
        """News from the running cell, where it runs in this process."""

    def noted(self, note: str) -> None:
        """A remark."""

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
    """Cells to run, and how.

    Attributes:
        jobs: The cells.
        refused: Combinations that cannot work, for the listener.
        ends: From :func:`ends_of_jobs`.
        store: Where records are.
        standing: Which records stand.
        settings: How cells are run.
        executor: What runs them.
        session: What the executor may know.
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

    statuses: dict[str, Status] = field(default_factory=dict)
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


def ends_of_jobs(jobs: Sequence[Job], store: RunStore) -> dict[str, End]:
    """Hash to end of those cells that have a record."""
    return ends_of(store.results, [job.cell.place for job in jobs])


def to_run(jobs: Sequence[Job], ends: Mapping[str, End], standing: Standing) -> list[Job]:
    """The cells that have no standing record: those without one first, as a failed cell may take long to fail again.

    Args:
        jobs: The cells.
        ends: From :func:`ends_of_jobs`.
        standing: Which records stand.
    """
    missing = [job for job in jobs if job.cell.hash not in ends]
    again = [
        job
        for job in jobs
        if (end := ends.get(job.cell.hash)) is not None and not standing.holds(end.status, end.finished)
    ]
    return missing + again


def run_sweep(sweep: Sweep, listener: Listener) -> Result:
    """Run the cells that have no standing record.

    A cell that runs out of GPU memory is tried once more when all others have ended, alone.

    Args:
        sweep: Cells, and how to run them.
        listener: Shows progress.

    Returns:
        What became of the cells.

    Raises:
        UnsavedError: A record could not be saved. What was finished stays.
        HarnessError: The executor cannot work here.
        KeyboardInterrupt: The second Ctrl-C, while cells ran in this very process.
    """
    listener.grid_started(sweep.jobs, sweep.refused)
    run = _Run(sweep, listener)
    run.keep_standing()
    run.run_pending()
    return run.result


class _Run:
    """One pass through a sweep."""

    def __init__(self, sweep: Sweep, listener: Listener) -> None:
        self.sweep, self.listener = sweep, listener
        self.by_hash = {job.cell.hash: job for job in sweep.jobs}
        self.number = {cell_hash: at for at, cell_hash in enumerate(self.by_hash, start=1)}
        self.result = Result()
        self.again: list[Job] = []
        self.began = datetime.now(UTC)
        self.handed_out: dict[str, tuple[datetime, str]] = {}
        self.attempt = 1

    def keep_standing(self) -> None:
        """Cells that need not run are finished at once."""
        pending = {job.cell.hash for job in self.sweep.pending}
        for cell_hash, job in self.by_hash.items():
            if cell_hash not in pending:
                self.result.statuses[cell_hash] = self.sweep.ends[cell_hash].status
                self.listener.cell_kept(job, self.sweep.ends[cell_hash])
        self.listener.pending(len(pending))

    def run_pending(self) -> None:
        """Run what is left, then once more, one by one, what ran out of GPU memory."""
        if not self.sweep.pending:
            return
        adopt(self.sweep.workbench, self.sweep.pending[0].request.plugins)
        try:
            with no_child_left(self.listener.noted):
                self._run_pending()
        except KeyboardInterrupt:
            if self.sweep.session.stopping() < STOP_NOW:  # not the user: a component raised it
                raise
            self._stopped()

    def _run_pending(self) -> None:
        self._pass([self._task(job) for job in self.sweep.pending])
        self.attempt = 2
        for job in self.again:
            if self.sweep.session.stopping():
                self._finished(job, self._stored(job))
                continue
            self.listener.noted(f"{job.cell.title} ran out of GPU memory and is tried again alone")
            self._pass([self._task(job)])

    def _task(self, job: Job) -> Task:
        sweep = self.sweep
        return Assignment(
            command=command_of(job.request),
            hash=job.cell.hash,
            title=job.cell.title,
            results=sweep.store.results.absolute(),
            standing=sweep.standing,
            settings=sweep.settings,
            metrics=sweep.metrics,
            state=None if sweep.state is None else sweep.state.workers.absolute(),
            attempt=self.attempt,
        ).task()

    def _stopped(self) -> None:
        """The second Ctrl-C came at a moment when no executor could take it: settle what it could not say."""
        told = {*self.result.statuses, *(job.cell.hash for job in self.result.unfinished)}
        for job in self.sweep.pending:
            if job.cell.hash not in told:
                self._settle(Ended(self._task(job), "stopped"))

    def _pass(self, tasks: list[Task]) -> None:
        session = replace(self.sweep.session, progressed=self.listener.progressed, began=self._began)
        ended_tasks: Iterator[Ended] = self.sweep.executor.run(tasks, session)
        try:
            for ended in ended_tasks:
                if not isinstance(ended, Ended):
                    raise HarnessError(
                        f"the executor gives {type(ended).__name__} where its contract asks for Ended "
                        "(harness/execution.py)."
                    )
                self._settle(ended)
        finally:
            close = getattr(ended_tasks, "close", None)
            if close is not None:
                close()

    def _began(self, task: Task, worker: str) -> None:
        self.handed_out[task.hash] = datetime.now(UTC), worker
        self.listener.cell_started(self.number[task.hash], len(self.by_hash), self.by_hash[task.hash])

    def _settle(self, ended: Ended) -> None:
        """A task has ended: its record is there, or is made here for a worker that can make none."""
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
        began, _ = self.handed_out.get(job.cell.hash, (self.began, ""))
        if stored is not None and datetime.fromisoformat(stored.record.finished) >= began - timedelta(milliseconds=1):
            self._finished(job, stored.record)  # its worker died after the record was written
        elif ended.how == "stopped":
            self.result.unfinished.append(job)
        else:
            status: Status = {"timeout": "timeout", "memory": "oom"}.get(ended.how, "failed")  # type: ignore[assignment]
            kind = {"timeout": "Timeout", "memory": "MemoryLimit"}.get(ended.how, "WorkerDied")
            self._finished(job, self._failure(job, status, kind, ended.reason, ended))

    def _failure(self, job: Job, status: Status, kind: str, reason: str, ended: Ended) -> RunRecord:
        """The record of a cell whose worker could not write one, stored."""
        tail = [] if self.sweep.state is None else self.sweep.state.tail_of(job.cell.hash)
        began, worker = self.handed_out.get(job.cell.hash, (self.began, ""))
        outcome = failed_without_a_word(
            job, status, kind, reason, [*tail, *ended.log], self.sweep.settings, began, self.attempt, worker
        )
        try:
            self.sweep.store.write(outcome.record, log_lines=outcome.log)
        except HarnessError as error:
            raise UnsavedError(str(error)) from error
        return outcome.record

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
    """What workers on other machines must know, with absolute paths."""
    # An empty HARNESS_PLUGINS says something, too: no plugins of others.
    found = {
        name: os.environ[name]
        for name in CARRIED
        if os.environ.get(name) or (name == "HARNESS_PLUGINS" and name in os.environ)
    }
    folders = ("HARNESS_CACHE", "HARNESS_DATA", "HARNESS_PLUGINS_DIR")
    return {name: str(Path(value).absolute()) if name in folders else value for name, value in found.items()}
