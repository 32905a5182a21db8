"""From requests to records: what both ``harness.run`` and the command line stand on.

:func:`prepare` turns requests into cells and finds mistakes before anything runs; :func:`run_cells` runs those that
have no standing record. Neither prints anything.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.api.arguments import Given, default_data_root, grid_of
from harness.api.how_to_run import HowToRun, how_to_run, running_request
from harness.cells.applicability import only_what_applies
from harness.cells.plans.file import plan_of_content, read_plan
from harness.cells.plans.values import checked_requests
from harness.cells.request import CellRequest, MethodRequest
from harness.cells.workbench import Job, Workbench
from harness.execution.cells_to_run import ends_of_jobs, read_shard
from harness.execution.cells_to_run import shard as part_of
from harness.execution.estimate import work_of
from harness.execution.sweep import Listener, Refusal, Result, Sweep, prepare_all, run_sweep
from harness.execution.sweep_state import InvocationFile, PlannedCell, SweepState, begin_invocation, open_state
from harness.execution.trackers.group import choose_trackers
from harness.plugin.loading import Registry, load_registry
from harness.plugin.metric_ids import checked_metrics
from harness.records import repeat
from harness.records.store import RunStore
from harness.runtime.context import check_device_name, device_to_plan_for, type_of

DEFAULT_RESULTS = Path("results")

Watch = Callable[[str, int, int | None], None]
"""Takes what is done, how much is done, and of how much (None where nobody knows)."""


@dataclass(frozen=True)
class Prepared:
    """Cells, fully determined, of which none has run.

    Attributes:
        name: Name of the sweep.
        everything: The cells of all machines, which share one state.
        jobs: This machine's part of them.
        refused: Combinations that cannot work.
        part: Which part ``jobs`` is, from 1, and of how many; None for all.
        workbench: Where the requests became cells.
        how: How they are run.
        notes: Remarks for the user.
    """

    name: str
    everything: list[Job]
    jobs: list[Job]
    refused: list[Refusal]
    part: tuple[int, int] | None
    workbench: Workbench
    how: HowToRun
    notes: tuple[str, ...] = ()

    def sweep(self) -> Sweep:
        """The cells, and which of them have a record at this moment."""
        store = RunStore(self.how.results)
        return Sweep(
            self.jobs, self.refused, ends_of_jobs(self.jobs, store), store, self.how.standing, self.how.settings,
            self.how.executor, self.how.session, self.workbench, metrics=self.how.metrics,
        )  # fmt: skip


def prepare_run(
    given: Given,
    settings: Mapping[str, Sequence[str]],
    running: Mapping[str, Any],
    *,
    plugins: Sequence[Path] = (),
    results: Path = DEFAULT_RESULTS,
    metrics: Sequence[str] = (),
    repeated: str | None = None,
    words: Sequence[str] = (),
) -> Prepared:
    """The cells of options, as of ``harness run``.

    Args:
        given: Values of the options that choose cells.
        settings: Key of ``--set`` to its values.
        running: Values of :data:`harness.api.how_to_run.RUNNING_OPTIONS`, by name.
        plugins: Plugin files.
        results: Folder of the records.
        metrics: Metrics of the final tables; none for ``map``.
        repeated: Folder or hash of a run whose cell stands where nothing is given; None for the defaults.
        words: The command line, where there is one.

    Raises:
        HarnessError: A value is wrong, a name is unknown, or no combination can work.
    """
    record = None if repeated is None else RunStore(results).lookup(repeated).record
    base = None if record is None else repeat.request_of_record(record)
    registry = load_registry(tuple(dict.fromkeys([*plugins, *(base.plugins if base else ())])))
    metric_ids = checked_metrics(registry, metrics)
    asked = grid_of(given, settings, plugins, base)
    requests = only_what_applies(registry, asked)
    how = how_to_run(
        registry, running_request(running), results, metric_ids, words=words,
        threads=None if record is None else repeat.threads_of_record(record),
        deterministic=record is not None and repeat.deterministic_in(record),
    )  # fmt: skip
    prepared = prepare(registry, requests, how, name="run")
    if record is not None and repeat.nothing_replaced(asked, base):
        changes = [repeat.changed_since(record, job.cell.hash, job.cell.identity) for job in prepared.jobs]
        prepared = replace(prepared, notes=tuple(filter(None, changes)))
    return prepared


def prepare_sweep(
    plan: str | Path | Mapping[str, Any],
    running: Mapping[str, Any],
    *,
    shard: str | None = None,
    data_root: Path | None = None,
    plugins: Sequence[Path] = (),
    results: Path = DEFAULT_RESULTS,
    metrics: Sequence[str] = (),
    words: Sequence[str] = (),
) -> Prepared:
    """The cells of a plan, as of ``harness sweep``.

    Args:
        plan: A TOML file, the name of a shipped plan, or what such a file holds.
        running: As of :func:`prepare_run`, and so the rest.
        shard: "2/4" for the second of four parts; None for all.
        data_root: Folder of the data sets, whatever the plan says.
        plugins: Plugin files beside those of the plan.
        results: Folder of the records.
        metrics: Metrics of the final tables; none for the plan's.
        words: The command line, where there is one.

    Raises:
        HarnessError: As :func:`prepare_run`, or the plan is wrong; the message says on which line.
    """
    part = None if shard is None else read_shard(shard)
    read = plan_of_content(plan) if isinstance(plan, Mapping) else read_plan(plan)
    read.check_plugins()
    plugins = tuple(dict.fromkeys([*read.plugins, *plugins]))
    registry = load_registry(plugins)
    read.check_names(registry)
    metric_ids = checked_metrics(registry, metrics or read.metrics)
    base = CellRequest(MethodRequest(""), plugins=plugins, data_root=default_data_root())
    requests = read.requests(base, {"data_root": [data_root] if data_root else []})
    requests = checked_requests(read, registry, requests)
    how = how_to_run(registry, running_request(running), results, metric_ids, words=words)
    return prepare(registry, requests, how, name=read.name, part=part)


def prepare(
    registry: Registry,
    requests: Sequence[CellRequest],
    how: HowToRun,
    *,
    name: str,
    part: tuple[int, int] | None = None,
) -> Prepared:
    """Determine cells; nothing is computed or written.

    Args:
        registry: What is registered.
        requests: The points of the grid.
        how: How the cells will be run.
        name: Name of the sweep.
        part: This machine's part of the cells, from 1, and how many parts there are; None for all.

    Raises:
        HarnessError: A request, a tracker or the name of the device is wrong, or no combination can work.
    """
    choose_trackers(registry, how.settings.trackers)
    check_device_name(how.settings.device)
    workbench = Workbench(registry, how.settings.device)
    everything, refused = prepare_all(workbench, requests)
    jobs = everything if part is None else part_of(everything, *part)
    return Prepared(name, everything, jobs, refused, part, workbench, how)


def run_cells(
    prepared: Prepared,
    listening: Callable[[SweepState | None], AbstractContextManager[Listener]],
    *,
    stopping: Callable[[], int],
    checking: Callable[[], AbstractContextManager[Watch]],
) -> Result:
    """Run the cells that have no standing record, and keep the state that ``harness status`` reads.

    Args:
        prepared: The cells.
        listening: Makes what hears of the progress, for as long as cells run. It is given the state of the sweep, None
            for a single cell or where nothing has to run.
        stopping: As :attr:`harness.execution.Session.stopping`.
        checking: Makes what hears how many images were decoded, for as long as that takes.

    Returns:
        What became of the cells.

    Raises:
        UnsavedError: A record could not be saved. What was finished stays.
        HarnessError: The device is not here, the results folder cannot be written, an image is broken, or the executor
            cannot work here.
        KeyboardInterrupt: The second Ctrl-C, while cells ran in this very process.
    """
    how = prepared.how
    if how.in_process:
        device_to_plan_for(how.settings.device)  # one that is not here is found before anything is written
    # It also puts back what killed writers had set aside, so it comes before the look at what has a record.
    RunStore(how.results).check_writable()
    sweep = prepared.sweep()
    with checking() as watch:
        for source in {id(job.data.source): job.data.source for job in sweep.pending}.values():
            source.refuse_broken(partial(watch, "checking images"))  # once, and not in each cell
    state, invocation = _begun(prepared, sweep)
    with tempfile.TemporaryDirectory(prefix="harness-") as spare, listening(state) as listener:
        folder = Path(spare) if state is None else state.folder.absolute()
        sweep = replace(sweep, session=replace(sweep.session, folder=folder, stopping=stopping), state=state)
        outcome = "failed"
        try:
            result = run_sweep(sweep, listener)
            outcome = "stopped" if result.unfinished else "finished"
        except KeyboardInterrupt:
            outcome = "stopped"
            raise
        finally:
            if invocation is not None:
                invocation.ended(outcome)
    return result


def _begun(prepared: Prepared, sweep: Sweep) -> tuple[SweepState, InvocationFile] | tuple[None, None]:
    """The state of a sweep of several cells on disk, and the file in it that says that this process works on it."""
    if len(prepared.everything) < 2 or not sweep.pending:
        return None, None
    cells = [
        PlannedCell(job.cell.hash, *job.cell.place[:2], job.cell.title, work_of(job)) for job in prepared.everything
    ]
    state = open_state(sweep.store.results, prepared.name, cells)
    shard = "" if prepared.part is None else "{}/{}".format(*prepared.part)
    how = prepared.how
    # Where other processes run the cells, "auto" may mean another device for each.
    asked = how.settings.device
    device = type_of(device_to_plan_for(asked)) if how.in_process else asked.partition(":")[0]
    began = begin_invocation(
        state, how.executor_name, how.session.workers, shard, len(sweep.pending), how.words,
        "" if device == "auto" else device, how.settings.threads,
    )  # fmt: skip
    return state, began
