"""What ``harness run`` and ``harness sweep`` share: options that say how cells are run, and the way from requests to
tables.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.json_output import print_json
from harness.cli.options import JSON, OUTPUT, RESULTS, RUNNING, results_option
from harness.quantities import check_whole
from harness.text import counted

if TYPE_CHECKING:
    from harness.cells.request import CellRequest
    from harness.cells.workbench import Job
    from harness.execution import Session
    from harness.execution.cells_to_run import Standing
    from harness.execution.sweep import Result, Sweep
    from harness.plugin.loading import Registry
    from harness.records.store import RunStore
    from harness.runtime.settings import RunSettings


MOST_WORKERS = 100_000
"""More is a slip of the keyboard."""


def running_options(executor: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that say how cells are run.

    Args:
        executor: The default executor of the verb.
    """
    options = [
        RUNNING("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1, mps."),
        RUNNING("--threads", type=int, metavar="N", help="Threads of each cell.  [default: 1]"),
        RUNNING(
            "--deterministic", is_flag=True, help="Deterministic algorithms only, and an error where there is none."
        ),
        RUNNING(
            "--executor",
            default=executor,
            show_default=True,
            metavar="NAME",
            help="What runs the cells, as `harness list executors` shows.",
        ),
        RUNNING(
            "--executor-option",
            "executor_options",
            multiple=True,
            metavar="KEY=VALUE",
            help="Parameter of the executor, as `harness info NAME` shows.",
        ),
        RUNNING("--workers", type=int, metavar="N", help="Cells at a time.  [default: what the machine has room for]"),
        RUNNING(
            "--cells-per-gpu", type=int, default=1, show_default=True, metavar="N", help="Cells that share one GPU."
        ),
        RUNNING(
            "--tracker",
            "trackers",
            multiple=True,
            metavar="NAME[:KEY=VALUE,...]",
            help="Tell a tracker of the runs, as `harness list trackers` shows; repeat for several.",
        ),
        RUNNING("--timeout", metavar="TIME", help="Longest time of a cell: 90, 15m, 2h."),
        RUNNING("--memory-limit", metavar="SIZE", help="Most memory of a cell's process: 800MB, 4GB."),
        RUNNING(
            "--overwrite",
            default="failed",
            show_default=True,
            metavar="WHAT",
            help="Cells with a record that run again: never, failed, always.",
        ),
        RUNNING(
            "--since",
            default="",
            metavar="TIME",
            help="With --overwrite always: records finished later stand (for going on after a stop).",
        ),
        RUNNING("--dry-run", is_flag=True, help="Show the cells, what is done already and how long the rest takes."),
        RESULTS,
        OUTPUT(
            "--metric",
            "metrics",
            multiple=True,
            metavar="ID",
            help="Metric of the final table; repeat for several.  [default map]",
        ),
        JSON,
    ]

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def metric_ids_of(registry: Registry, said: Sequence[str], default: Sequence[str] = ("map",)) -> list[str]:
    """The metrics that ``--metric`` names.

    Raises:
        HarnessError: One is unknown; near ids are suggested.
    """
    from harness.cli.axes import texts
    from harness.plugin.metric_ids import declared_metric

    ids = texts(said) or list(default)
    for metric_id in ids:
        declared_metric(registry, metric_id)
    return ids


def standing_of(options: dict[str, Any]) -> Standing:
    """The overwrite policy asked for.

    Raises:
        HarnessError: It has no meaning.
    """
    from harness.execution.cells_to_run import Standing

    return Standing(options["overwrite"], options["since"]).checked()


def run_requests(
    ctx: click.Context,
    registry: Registry,
    requests: Sequence[CellRequest],
    options: dict[str, Any],
    *,
    name: str,
    metric_ids: list[str],
    threads: int | None = None,
    deterministic: bool = False,
    chosen: Callable[[list[Job]], list[Job]] | None = None,
    shard: str = "",
    prepared: Callable[[list[Job]], None] | None = None,
) -> None:
    """Run a grid and print its tables; the command ends with its exit code.

    Args:
        ctx: The command.
        registry: What is registered.
        requests: The points of the grid.
        options: Values of :func:`running_options` by name.
        name: Name of the sweep.
        metric_ids: Metrics of the final tables.
        threads: Threads of a cell where ``--threads`` does not say it; None for 1.
        deterministic: As if ``--deterministic`` were said.
        chosen: Takes this machine's share of the cells.
        shard: "2/4", for the state of the sweep.
        prepared: Called with all cells before anything is run.

    Raises:
        HarnessError: A mistake of the user, or a record that cannot be saved.
    """
    from harness.cells.workbench import Workbench
    from harness.errors import UnsavedError
    from harness.execution.cells_to_run import ends_of_jobs
    from harness.execution.sweep import Sweep, prepare_all
    from harness.execution.sweep_state import resume_command
    from harness.execution.trackers.group import choose_trackers
    from harness.records.store import RunStore
    from harness.runtime.context import check_device_name, choose_device
    from harness.runtime.settings import RunSettings

    standing = standing_of(options)
    resume = resume_command(sys.argv, datetime.now(UTC))
    settings = RunSettings(
        device=options["device"],
        threads=next(number for number in (options["threads"], threads, 1) if number is not None),
        deterministic=options["deterministic"] or deterministic,
        trackers=options["trackers"],
    )
    choose_trackers(registry, settings.trackers)  # a mistake in them is found before anything runs
    session = session_of(options, settings)  # so are values that cannot be read
    check_device_name(options["device"])
    workbench = Workbench(registry, options["device"])
    everything, refused = prepare_all(workbench, requests)
    jobs = chosen(everything) if chosen else everything
    if prepared:
        prepared(jobs)
    store = RunStore(options["results"])
    executor = make_executor(registry, options["executor"], options["executor_options"])
    in_process = bool(getattr(executor, "in_process", False))
    if not options["dry_run"]:
        if in_process:
            choose_device(settings.device)  # a device that is not here is found before the first cell
        store.check_writable()  # it also puts back what killed writers had set aside, so it comes before the look
    sweep = Sweep(
        jobs, refused, ends_of_jobs(jobs, store), store, standing, settings, executor, session, workbench,
        metrics=tuple(metric_ids),
    )  # fmt: skip
    if options["dry_run"]:
        from harness.cli.running.planned import show_plan

        show_plan(sweep, options["as_json"])
        return
    _refuse_broken(sweep.pending)
    try:
        result = _run(sweep, everything, options, name, shard, in_process)
    except UnsavedError:
        click.echo(f"go on with: {resume}", err=True)
        raise
    if options["as_json"]:
        records = (store.find(*job.cell.place) for job in jobs)
        print_json([stored.record.to_json() for stored in records if stored is not None])
    else:
        _print_tables(jobs, store, metric_ids, result)
    click.echo(f"\n{_closing(result, len(jobs), store)}", err=options["as_json"])
    if result.unfinished or result.failed:
        click.echo(f"go on with: {resume}", err=True)
    ctx.exit(130 if result.unfinished else 1 if refused or result.failed else 0)


def _refuse_broken(jobs: Sequence[Job]) -> None:
    """Find images that cannot be decoded once, before the grid, and not in each of its cells.

    Raises:
        HarnessError: There is one.
    """
    from functools import partial

    from harness.cli.bars import bars_shown

    with bars_shown("images") as watch:
        for source in {id(job.data.source): job.data.source for job in jobs}.values():
            source.refuse_broken(partial(watch, "checking images"))


def _run(
    sweep: Sweep, everything: list[Job], options: dict[str, Any], name: str, shard: str, in_process: bool
) -> Result:
    """Run the cells, with their progress shown and their state kept.

    Args:
        sweep: This machine's cells.
        everything: The cells of all machines, which share one state.
        options: Values of :func:`running_options` by name.
        name: Name of the sweep.
        shard: "2/4", or "".
        in_process: Cells run one by one in this process.
    """
    import tempfile

    from harness.cli.running.progress import make_listener
    from harness.cli.running.stopping import stop_signals
    from harness.execution.sweep import run_sweep
    from harness.execution.sweep_state import PlannedCell, begin_invocation, open_state

    state = invocation = None
    if len(everything) > 1 and sweep.pending:
        cells = [PlannedCell(job.cell.hash, *job.cell.place[:2], job.cell.title) for job in everything]
        state = open_state(sweep.store.results, name, cells)
        invocation = begin_invocation(state, options["executor"], options["workers"], shard, len(sweep.pending))
    with (
        tempfile.TemporaryDirectory(prefix="harness-") as spare,
        stop_signals(in_process) as stops,
        make_listener(state, len(sweep.jobs), in_process) as listener,
    ):
        stops.say = listener.say
        listener.elsewhere = results_option(sweep.store.results)
        folder = Path(spare) if state is None else state.folder.absolute()
        sweep = replace(sweep, session=replace(sweep.session, folder=folder, stopping=stops.level), state=state)
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


def session_of(options: dict[str, Any], settings: RunSettings) -> Session:
    """What an executor may know of this command; its folder is not chosen yet.

    Raises:
        HarnessError: A time, a size or a number has no meaning.
    """
    from harness.execution import Session
    from harness.execution.sweep import carried_environment
    from harness.quantities import seconds_of, size_of
    from harness.runtime.settings import MOST_THREADS

    check_whole("--threads", settings.threads, 1, MOST_THREADS)
    check_whole("--workers", options["workers"], 1, MOST_WORKERS)
    check_whole("--cells-per-gpu", options["cells_per_gpu"], 1, MOST_WORKERS)
    return Session(
        folder=Path(),
        workers=options["workers"],
        threads=settings.threads,
        device=options["device"],
        cells_per_gpu=options["cells_per_gpu"],
        timeout=None if options["timeout"] is None else seconds_of(options["timeout"], "--timeout"),
        memory_limit=None if options["memory_limit"] is None else size_of(options["memory_limit"], "--memory-limit"),
        environment=carried_environment(),
    )


def make_executor(registry: Registry, name: str, options: Sequence[str]) -> Any:
    """The executor asked for.

    Raises:
        HarnessError: Unknown name or parameter, a value that cannot be read, or an engine that is not installed.
    """
    from harness.errors import HarnessError
    from harness.plugin.parameters import read_values

    declaration = registry.get("executor", name)
    texts = {}
    for entry in options:
        key, equals, text = entry.partition("=")
        if not equals or not key:
            raise HarnessError(f"--executor-option {entry}: expected KEY=VALUE.")
        texts[key] = text
    return declaration.load()(**read_values(declaration.parameters, texts, f"executor {name}"))


def _print_tables(jobs: list[Job], store: RunStore, metric_ids: list[str], result: Result) -> None:
    from harness.report.frame import load_records
    from harness.report.tables import comparison_tables, render

    if not jobs:
        return
    frame = load_records(store.results, metrics=metric_ids)
    if frame.empty:  # stopped before the first record; without rows there are no columns
        return
    frame = frame[frame["hash"].isin({job.cell.hash for job in jobs})]
    for metric in metric_ids:
        tables = comparison_tables(frame, metric, limited=True)
        for table in tables:
            click.echo(f"\n{render(table)}")
        if not tables and "ok" in result.statuses.values():
            click.echo(
                f"\nnote: these records were made without metric {metric}: `harness score --all --metric "
                f"{metric}{results_option(store.results)}` computes it from their codes."
            )


def _closing(result: Result, total: int, store: RunStore) -> str:
    parts = []
    if result.failed:
        parts.append(f"{result.failed} failed")
    if result.unfinished:
        parts.append(f"{len(result.unfinished)} not run")
    finished = len(result.statuses) - result.failed
    said = f"{finished} of {counted(total, 'cell')}" if parts else counted(total, "cell")
    return f"{said} finished{''.join(f', {part}' for part in parts)}; records in {store.runs}"
