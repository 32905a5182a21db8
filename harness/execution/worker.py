"""Runs one cell of a sweep, wherever an executor calls it: in this process, a pool's, a Slurm job's or a Ray task's.

In the process of the sweep the prepared cell is run as it is. What goes into another process and comes out is text: the
worker there prepares the cell from the command that repeats it, and makes sure that it is the cell that was planned.
Everywhere :meth:`Worker.run_cell` leaves it alone if somebody finished it meanwhile, and writes the record itself.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

from harness.cells.command import request_of
from harness.cells.request import CellRequest
from harness.cells.workbench import Job, Workbench
from harness.errors import HarnessError, text_of
from harness.execution.attempt import attempt, of_a_gpu
from harness.execution.cell_log import CellLog
from harness.execution.cells_to_run import Standing
from harness.execution.engine import Task
from harness.execution.trackers.group import Trackers, choose_trackers
from harness.execution.worker_state import Reporter
from harness.plugin.loading import failure_of_plugin, load_registry
from harness.plugin.metric_ids import metrics_with
from harness.records.schema import RunRecord
from harness.records.store import RunStore
from harness.runtime.context import Progress, ignore_progress
from harness.runtime.settings import RunSettings


@dataclass(frozen=True)
class Assignment:
    """The cell that a worker is to run, and how.

    Attributes:
        command: The command that repeats the cell.
        hash: Its planned hash.
        title: One line for people.
        results: Results folder.
        standing: Which records stand.
        settings: How cells are run.
        metrics: Ids that must be computed beyond those registered.
        state: Folder of the workers' files, or None.
        attempt: 2 where the cell is tried again alone.
    """

    command: str
    hash: str
    title: str
    results: Path
    standing: Standing
    settings: RunSettings
    metrics: tuple[str, ...] = ()
    state: Path | None = None
    attempt: int = 1

    def leaves_alone(self, record: RunRecord) -> bool:
        """Whether the cell is not run, because of the record that it has by now."""
        if self.attempt > 1:  # it ran out of memory here, which made a record; another sweep may have finished it
            return record.status == "ok"
        return self.standing.holds(record.status, record.finished)

    def task(self, run_here: Callable[..., str] | None = None) -> Task:
        """The task that an executor is given, with its ``run_here``."""
        content = {**asdict(self), "results": str(self.results), "state": self.state and str(self.state)}
        return Task(self.hash, self.title, json.dumps(content), run_here)

    @classmethod
    def read(cls, text: str) -> Assignment:
        """The assignment in the text that :meth:`task` made."""
        content = json.loads(text)
        settings = {**content["settings"], "trackers": tuple(content["settings"]["trackers"])}
        return cls(**{
            **content,
            "results": Path(content["results"]),
            "state": None if content["state"] is None else Path(content["state"]),
            "standing": Standing(**content["standing"]),
            "settings": RunSettings(**settings),
            "metrics": tuple(content["metrics"]),
        })  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """What became of a cell; if nothing is said, its record is there, written here or by somebody who was quicker.

    Attributes:
        refused: Why the cell could not even be begun.
        unsaved: Why its record could not be written.
        retry: It ran out of GPU memory beside other cells: try it again alone.
        notes: Remarks beyond those that were known when the cell was planned.
    """

    refused: str = ""
    unsaved: str = ""
    retry: bool = False
    notes: tuple[str, ...] = field(default=())

    def text(self) -> str:
        """This reply as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Reply:
        """The inverse of :meth:`text`."""
        content = json.loads(text)
        return cls(**{**content, "notes": tuple(content["notes"])})


class Worker:
    """Runs cells in this process, with what they share: data and plugins are read once, and trackers hear of all cells.

    Args:
        workbench: Prepares the cells, and keeps the data that they share.
        plugins: Files named with ``--plugin``.
        trackers: As in :class:`harness.runtime.settings.RunSettings`; their processes begin with the first cell.
    """

    def __init__(self, workbench: Workbench, plugins: tuple[Path, ...], trackers: tuple[str, ...]) -> None:
        self.workbench = workbench
        self._trackers: Trackers | None = None
        self._open = lambda: Trackers(choose_trackers(workbench.registry, trackers), plugins)

    def close(self) -> None:
        """Let the trackers finish what they were told."""
        if self._trackers is not None:
            self._trackers.close()
            self._trackers = None

    def prepare(self, request: CellRequest, planned: str) -> Job:
        """A cell of the sweep, prepared here; ``planned`` is its hash where the sweep was begun.

        Raises:
            HarnessError: It cannot be prepared, or is another cell than the planned one.
        """
        job = self.workbench.prepare(request)
        if job.cell.hash != planned:
            raise HarnessError(
                f"the worker finds cell {job.cell.hash} where {planned} was planned: data, code or libraries "
                "differ between the two, or were changed since the sweep began; start it again."
            )
        return job

    def run_cell(
        self,
        job: Job,
        assignment: Assignment,
        placed: Mapping[str, str],
        progressed: Callable[[Progress], None] = ignore_progress,
        stopped: Callable[[], bool] = lambda: True,
    ) -> str:
        """Run a prepared cell as its assignment says, and write its record, unless somebody finished it meanwhile.

        The other arguments, what is returned and what is raised are those of :func:`run_task`.
        """
        store = RunStore(assignment.results)
        try:
            stored = store.find(*job.cell.place)
        except HarnessError as error:
            return Reply(refused=str(error)).text()
        if stored is not None and assignment.leaves_alone(stored.record):
            return Reply().text()
        metrics = metrics_with(self.workbench.registry, assignment.metrics)
        self._trackers = trackers = self._trackers or self._open()
        log = CellLog()
        with ExitStack() as stack:
            listen = progressed
            if assignment.state is not None:
                reporter = stack.enter_context(Reporter(assignment.state, placed, job.cell.hash, job.cell.title, log))

                def listen(progress: Progress) -> None:
                    reporter.progressed(progress)
                    progressed(progress)

            result = attempt(
                job, metrics, assignment.settings, trackers, listen, number=assignment.attempt, placed=placed, log=log,
                stopped=stopped,
            )  # fmt: skip
            try:
                folder = store.write(result.record, result.arrays, result.model, result.log)
            except HarnessError as error:
                return Reply(unsaved=str(error)).text()
        record = result.record
        trackers.run_finished(record, folder)
        retry = record.error is not None and of_a_gpu(record.error) and assignment.attempt == 1
        return Reply(retry=retry, notes=tuple(record.notes[len(job.notes) :])).text()


@cache
def _worker_of_process(plugins: tuple[Path, ...], device: str, trackers: tuple[str, ...]) -> Worker:
    """The worker of a process that only runs cells; closed when the process ends."""
    worker = Worker(Workbench(load_registry(plugins), device, shared=True), plugins, trackers)
    atexit.register(worker.close)
    return worker


def run_task(
    text: str,
    placed: Mapping[str, str] | None = None,
    progressed: Callable[[Progress], None] = ignore_progress,
    stopped: Callable[[], bool] = lambda: True,
) -> str:
    """Run one cell from its text, and write its record.

    Args:
        text: :attr:`harness.execution.Task.text`.
        placed: Names of ``executor`` and ``worker``, and the ``device`` where the engine chose one.
        progressed: Called with the cell's progress, where caller and worker are one process.
        stopped: Asked after a KeyboardInterrupt: whether the user wants to stop; otherwise a component raised it.

    Returns:
        A :class:`Reply` as text. What goes wrong in a cell is in its record, never raised.

    Raises:
        KeyboardInterrupt: The cell was stopped; it leaves no record.
    """
    placed = placed or {}
    assignment = Assignment.read(text)
    settings = assignment.settings
    if placed.get("device"):
        settings = replace(settings, device=placed["device"])
        assignment = replace(assignment, settings=settings)
    try:
        request = request_of(assignment.command)
        worker = _worker_of_process(request.plugins, settings.device, settings.trackers)
        job = worker.prepare(request, assignment.hash)
    except HarnessError as error:
        return Reply(refused=str(error)).text()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and stopped():
            raise
        if os.environ.get("HARNESS_DEBUG"):
            raise
        what = failure_of_plugin(error) or f"Internal error ({type(error).__name__}): {text_of(error)}"
        return Reply(refused=f"{what}, while the cell was prepared").text()
    return worker.run_cell(job, assignment, placed, progressed, stopped)
