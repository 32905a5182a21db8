"""Runs one cell of a sweep, wherever an executor calls it: in this process, a pool's, a Slurm job's or a Ray task's.

What goes in and out is text. The worker prepares the cell from the command that repeats it, makes sure that it is the
cell that was planned, leaves it alone if somebody finished it meanwhile, and writes the record itself.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from harness.cells.command import request_of
from harness.cells.workbench import Job, Workbench
from harness.errors import HarnessError, text_of
from harness.execution import Task
from harness.execution.attempt import attempt, of_a_gpu
from harness.execution.cell_log import CellLog
from harness.execution.standing import Standing
from harness.execution.trackers.group import Trackers, open_trackers
from harness.execution.worker_state import Reporter
from harness.plugin.loading import Registry, failure_of_plugin, load_registry
from harness.plugin.metric_ids import metrics_with
from harness.records.store import RunStore
from harness.runtime.context import Progress, ignore_progress
from harness.runtime.settings import RunSettings


@dataclass(frozen=True)
class Assignment:
    """What a worker must know of a cell.

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

    def task(self) -> Task:
        """The task that an executor is given."""
        content = {**asdict(self), "results": str(self.results), "state": self.state and str(self.state)}
        return Task(self.hash, self.title, json.dumps(content))

    @classmethod
    def read(cls, text: str) -> Assignment:
        """The inverse of :meth:`task`."""
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
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Reply:
        """The inverse of :meth:`text`."""
        content = json.loads(text)
        return cls(**{**content, "notes": tuple(content["notes"])})


_workbenches: dict[tuple[tuple[Path, ...], str], Workbench] = {}
_trackers: dict[tuple[tuple[str, ...], tuple[Path, ...]], Trackers] = {}
"""Of this process; they end with it."""


def adopt(workbench: Workbench, plugins: tuple[Path, ...]) -> None:
    """Let cells that are run in this very process use what is loaded already."""
    _workbenches[tuple(file.absolute() for file in plugins), workbench.device] = workbench


def close_trackers() -> None:
    """Let the trackers of this process finish what they were told; also called when the process ends."""
    for key in list(_trackers):
        _trackers.pop(key).close()


atexit.register(close_trackers)


def _trackers_of(assignment: Assignment, job: Job, registry: Registry) -> Trackers:
    key = assignment.settings.trackers, job.request.plugins
    if key not in _trackers:
        _trackers[key] = open_trackers(registry, *key)
    return _trackers[key]


def run_task(
    text: str,
    placed: Mapping[str, str] | None = None,
    progressed: Callable[[Progress], None] = ignore_progress,
    stopped: Callable[[], bool] = lambda: True,
) -> str:
    """Run one cell and write its record.

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
    if placed.get("device"):
        assignment = replace(assignment, settings=replace(assignment.settings, device=placed["device"]))
    store = RunStore(assignment.results)
    try:
        job = _prepared(assignment)
        stored = store.find(*job.cell.place)
        if stored is not None and (
            assignment.standing.holds(stored.record.status, stored.record.finished)
            if assignment.attempt == 1
            else stored.record.status == "ok"  # another sweep finished what ran out of memory here
        ):
            return Reply().text()
    except HarnessError as error:
        return Reply(refused=str(error)).text()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and stopped():
            raise
        if os.environ.get("HARNESS_DEBUG"):
            raise
        what = failure_of_plugin(error) or f"Internal error ({type(error).__name__}): {text_of(error)}"
        return Reply(refused=f"{what}, while the cell was prepared").text()
    return _run(job, assignment, store, placed, progressed, stopped).text()


def _prepared(assignment: Assignment) -> Job:
    """The planned cell, prepared here.

    Raises:
        HarnessError: It cannot be prepared, or is another cell than the planned one.
    """
    request = request_of(assignment.command)
    key = request.plugins, assignment.settings.device
    if key not in _workbenches:
        _workbenches[key] = Workbench(load_registry(request.plugins), assignment.settings.device, shared=True)
    job = _workbenches[key].prepare(request)
    if job.cell.hash != assignment.hash:
        raise HarnessError(
            f"the worker finds cell {job.cell.hash} where {assignment.hash} was planned: data, code or libraries "
            "differ between the two, or were changed since the sweep began; start it again."
        )
    return job


def _run(
    job: Job,
    assignment: Assignment,
    store: RunStore,
    placed: Mapping[str, str],
    progressed: Callable[[Progress], None],
    stopped: Callable[[], bool],
) -> Reply:
    registry = _workbenches[job.request.plugins, assignment.settings.device].registry
    metrics = metrics_with(registry, assignment.metrics)
    trackers = _trackers_of(assignment, job, registry)
    log = CellLog()
    with ExitStack() as stack:
        listen = progressed
        if assignment.state is not None:
            reporter = stack.enter_context(Reporter(assignment.state, placed, job.cell.hash, job.cell.title, log))

            def listen(progress: Progress) -> None:
                reporter.progressed(progress)
                progressed(progress)

        outcome = attempt(
            job,
            metrics,
            assignment.settings,
            trackers,
            listen,
            number=assignment.attempt,
            placed=placed,
            log=log,
            stopped=stopped,
        )
        try:
            folder = store.write(outcome.record, outcome.arrays, outcome.model, outcome.log)
        except HarnessError as error:
            return Reply(unsaved=str(error))
    record = outcome.record
    trackers.run_finished(record, folder)
    retry = record.error is not None and of_a_gpu(record.error) and assignment.attempt == 1
    return Reply(retry=retry, notes=tuple(record.notes[len(job.notes) :]))
