"""Checks that start processes: use in worker processes, executors, trackers."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.cells.methods import resolve_method
from harness.cells.request import CellRequest, MethodRequest
from harness.errors import HarnessError
from harness.execution import FINISH_RUNNING, Ended, Session, Task
from harness.plugin.interfaces import Need
from harness.testing.outcomes import TRAINED, CheckFailed, CheckSkipped, check
from harness.testing.small_data import feature_arrays
from harness.testing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.cells.workbench import Job

LOCAL = "local"
"""The executor that checks use: worker processes on this machine."""


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "small.npz", **feature_arrays())  # type: ignore[arg-type]
        (Path(folder) / "results" / "runs").mkdir(parents=True)
        yield Path(folder)


def _requests(subject: Subject) -> Iterator[MethodRequest]:
    """Registered methods with the subject in its role, the plugin's own first, the cheapest first."""
    registry = subject.registry
    if subject.kind == "method":
        yield MethodRequest(subject.name, preset=subject.preset)
        return
    methods = [method for method in registry.all("method") if not method.name.startswith("check.")]
    own = subject.declaration.plugin
    methods.sort(key=lambda method: (method.plugin != own, bool(method.recipe.phases)))  # type: ignore[attr-defined]
    for method in methods:
        override = {subject.kind: subject.name} if subject.kind in TRAINED else {}
        yield MethodRequest(method.name, **override)  # type: ignore[arg-type]


def _job(subject: Subject, folder: Path, seed: int = 0) -> Job:
    """A small cell with the subject in it, made of registered things only, so that any process can prepare it.

    Raises:
        CheckSkipped: No registered method can take it.
    """
    from harness.cells.workbench import Workbench

    reason = "no method is registered"
    for asked in _requests(subject):
        try:
            known = resolve_method(subject.registry, asked)
            settings = {key: text for key, text in subject.settings.items() if key in known.parameters}
            asked = replace(asked, settings=settings, epochs=2 if known.phases else None)
            if Need.CLASS_LABELS in known.needs and subject.kind not in ("method", "detector", "hasher"):
                continue
            request = CellRequest(
                asked,
                features=folder / "small.npz",
                noise=0.4,
                trusted=0.3,
                bits=16,
                seed=seed,
                plugins=subject.plugins,
            )
            return Workbench(subject.registry, "cpu").prepare(request)
        except HarnessError as refusal:
            reason = str(refusal)
    raise CheckSkipped(f"no registered method can take it: {reason}")


def _task(job: Job, folder: Path) -> Task:
    from harness.cells.command import command_of
    from harness.execution.cells_to_run import Standing
    from harness.execution.worker import Assignment
    from harness.runtime.settings import RunSettings

    settings = RunSettings(device="cpu")
    assignment = Assignment(
        command_of(job.request), job.cell.hash, job.cell.title, folder / "results", Standing("always", ""), settings
    )
    return assignment.task()


def _record(folder: Path, job: Job) -> Mapping[str, Any]:
    files = list(folder.glob(f"results/runs/*/*/{job.cell.hash}/record.json"))
    if not files:
        raise CheckFailed("the worker finished, and left no record.")
    record: Mapping[str, Any] = json.loads(files[0].read_text())
    return record


@check(
    *TRAINED, hint="a worker imports the plugin anew: what a module variable held elsewhere is not there.", slow=True
)
def check_worker_process(subject: Subject) -> str:
    """A cell with it runs in a worker process of the local executor, which finds the plugin by itself."""
    for method in subject.registry.all("method"):
        recipe = method.recipe  # type: ignore[attr-defined]
        if method.plugin == subject.declaration.plugin and subject.name == getattr(recipe, subject.kind, None):
            raise CheckSkipped(f"asked of method {method.name}, which contains it")
    executor = subject.registry.get("executor", LOCAL).load()()
    with _folder() as folder:
        job = _job(subject, folder)
        task = _task(job, folder)
        (ended,) = list(executor.run([task], Session(folder, workers=1, device="cpu", timeout=300)))
        _finished(ended)
        record = _record(folder, job)
        if record["status"] != "ok":
            raise CheckFailed(f"the cell failed there: {record['error']['message']}")
    return f"{job.cell.facts['row']} in {record['timings'].get('total', 0):.1f} s"


def _finished(ended: Ended) -> None:
    from harness.execution.worker import Reply

    if ended.how != "finished":
        raise CheckFailed(f"the worker {ended.how}: {ended.reason} {' | '.join(ended.log[-3:])}")
    reply = Reply.read(ended.reply)
    if reply.refused or reply.unsaved:
        raise CheckFailed(f"the worker refused the cell: {reply.refused or reply.unsaved}")


@check("executor", hint="the contract is harness.execution.Executor.", slow=True)
def check_runs_tasks(subject: Subject) -> str:
    """It runs two cells, yields each once as finished, and their records are written."""
    from harness.execution.sweep import carried_environment

    executor = _executor(subject)
    with _folder() as folder:
        jobs = [_job(subject, folder, seed) for seed in (0, 1)]
        tasks = [_task(job, folder) for job in jobs]
        ended = list(executor.run(tasks, Session(folder, device="cpu", environment=carried_environment())))
        if sorted(one.task.hash for one in ended) != sorted(task.hash for task in tasks):
            raise CheckFailed(f"it was given {len(tasks)} tasks and yielded {len(ended)}, or some of them twice.")
        for one in ended:
            _finished(one)
        for job in jobs:
            _record(folder, job)
    return f"{len(tasks)} cells"


@check("executor", hint="ask session.stopping() before each task; yield Ended(task, 'stopped') for those not begun.",
       slow=True)  # fmt: skip
def check_stops(subject: Subject) -> None:
    """Asked to stop before it began, it runs nothing and yields every task as stopped."""
    from harness.execution.sweep import carried_environment

    executor = _executor(subject)
    with _folder() as folder:
        jobs = [_job(subject, folder, seed) for seed in (0, 1)]
        tasks = [_task(job, folder) for job in jobs]
        session = Session(folder, device="cpu", stopping=lambda: FINISH_RUNNING, environment=carried_environment())
        ended = list(executor.run(tasks, session))
        how = [one.how for one in ended]
        if how != ["stopped"] * len(tasks):
            raise CheckFailed(f"asked to begin nothing new, it yielded {', '.join(how) or 'nothing'}.")


def _executor(subject: Subject) -> Any:
    """The executor, with default parameters.

    Raises:
        CheckSkipped: Its engine is not there.
    """
    parameters = {parameter.name: parameter.default for parameter in subject.declaration.parameters}
    try:
        return subject.declaration.load()(**parameters)
    except (HarnessError, ImportError) as error:
        raise CheckSkipped(f"its engine cannot be used here: {error}") from error


@check("tracker", hint="the contract is harness.execution.trackers.interface.Tracker.", slow=True)
def check_hears_of_a_run(subject: Subject) -> None:
    """It hears of a run from start to record without a complaint, in a process and a folder of its own."""
    from harness.execution.attempt import attempt
    from harness.execution.trackers.group import Trackers, choose_trackers
    from harness.records.store import RunStore
    from harness.runtime.settings import RunSettings

    notes: list[str] = []
    kept = Path.cwd()
    with _folder() as folder:
        job = _job(subject, folder)
        os.chdir(folder)
        try:
            choices = choose_trackers(subject.registry, (subject.name,))
            with Trackers(choices, subject.plugins, notes.append) as trackers:
                outcome = attempt(job, [], RunSettings(device="cpu"), trackers)
                where = RunStore(folder / "results").write(outcome.record, outcome.arrays, outcome.model, outcome.log)
                trackers.run_finished(outcome.record, where)
        finally:
            os.chdir(kept)
    if notes:
        if "install" in notes[0]:
            raise CheckSkipped(notes[0])
        raise CheckFailed(f"it complained: {notes[0]}")
