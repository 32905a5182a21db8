"""What ``harness run`` and ``harness sweep`` share: options that say how cells are run, and the way from prepared cells
to tables.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.axes import texts
from harness.cli.json_output import print_json
from harness.cli.options import JSON, OUTPUT, RESULTS, RUNNING, results_option
from harness.cli.outlets import bars_shown
from harness.cli.running.planned import show_plan
from harness.cli.running.progress import PlainListener, make_listener
from harness.cli.running.stopping import Stops, stop_signals
from harness.errors import HarnessError, UnsavedError
from harness.execution import Executor, Session
from harness.execution.cells_to_run import Standing
from harness.plugin.metric_ids import declared_metric
from harness.plugin.parameters import read_values
from harness.quantities import check_whole, seconds_of, size_of
from harness.records.store import RunStore
from harness.runtime.settings import MOST_THREADS, RunSettings
from harness.text import counted

if TYPE_CHECKING:
    from harness.api.running import HowToRun, Prepared
    from harness.execution.sweep import Result
    from harness.execution.sweep_state import SweepState
    from harness.plugin.loading import Registry

MOST_WORKERS = 100_000
"""Limit of ``--workers`` and ``--cells-per-gpu``; a larger number is taken for a typing error."""


def running_options(executor: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that say how cells are run.

    Args:
        executor: The default executor of the verb.
    """
    options = [
        RUNNING("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1, mps."),
        RUNNING("--threads", type=int, metavar="N", help="Threads of each cell.  [default: 1]"),
        RUNNING("--deterministic", is_flag=True,
                help="Deterministic algorithms only, and an error where there is none."),
        RUNNING("--executor", default=executor, show_default=True, metavar="NAME",
                help="What runs the cells, as `harness list executors` shows."),
        RUNNING("--executor-option", "executor_options", multiple=True, metavar="KEY=VALUE",
                help="Parameter of the executor, as `harness info NAME` shows."),
        RUNNING("--workers", type=int, metavar="N", help="Cells at a time.  [default: what the machine has room for]"),
        RUNNING("--cells-per-gpu", type=int, default=1, show_default=True, metavar="N",
                help="Cells that share one GPU."),
        RUNNING("--tracker", "trackers", multiple=True, metavar="NAME[:KEY=VALUE,...]",
                help="Tell a tracker of the runs, as `harness list trackers` shows; repeat for several."),
        RUNNING("--timeout", metavar="TIME", help="Longest time of a cell: 90, 15m, 2h."),
        RUNNING("--memory-limit", metavar="SIZE", help="Most memory of a cell's process: 800MB, 4GB."),
        RUNNING("--overwrite", default="failed", show_default=True, metavar="WHAT",
                help="Cells with a record that run again: never, failed, always."),
        RUNNING("--since", default="", metavar="TIME",
                help="With --overwrite always: records finished later stand (for going on after a stop)."),
        RUNNING("--dry-run", is_flag=True, help="Show the cells, what is done already and how long the rest takes."),
        RESULTS,
        OUTPUT("--metric", "metrics", multiple=True, metavar="ID",
               help="Metric of the final table; repeat for several.  [default map]"),
        JSON,
    ]  # fmt: skip

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
    ids = texts(said) or list(default)
    for metric_id in ids:
        declared_metric(registry, metric_id)
    return ids


def how_to_run(
    registry: Registry,
    options: dict[str, Any],
    metric_ids: Sequence[str],
    *,
    threads: int | None = None,
    deterministic: bool = False,
) -> HowToRun:
    """How the options say that cells are run.

    Args:
        registry: What is registered.
        options: Values of :func:`running_options` by name.
        metric_ids: Metrics of the final tables.
        threads: Threads of a cell where ``--threads`` does not say it; None for 1.
        deterministic: As if ``--deterministic`` were said.

    Raises:
        HarnessError: A value has no meaning, or the executor cannot be had.
    """
    from harness.api.running import HowToRun
    from harness.execution.sweep import carried_environment

    standing = Standing(options["overwrite"], options["since"]).checked()
    settings = RunSettings(
        device=options["device"],
        threads=next(number for number in (options["threads"], threads, 1) if number is not None),
        deterministic=options["deterministic"] or deterministic,
        trackers=options["trackers"],
    )
    check_whole("--threads", settings.threads, 1, MOST_THREADS)
    check_whole("--workers", options["workers"], 1, MOST_WORKERS)
    check_whole("--cells-per-gpu", options["cells_per_gpu"], 1, MOST_WORKERS)
    session = Session(
        folder=Path(),  # not chosen yet
        workers=options["workers"],
        threads=settings.threads,
        device=settings.device,
        cells_per_gpu=options["cells_per_gpu"],
        timeout=None if options["timeout"] is None else seconds_of(options["timeout"], "--timeout"),
        memory_limit=None if options["memory_limit"] is None else size_of(options["memory_limit"], "--memory-limit"),
        environment=carried_environment(),
    )
    executor = make_executor(registry, options["executor"], options["executor_options"])
    return HowToRun(settings, standing, executor, options["executor"], session, options["results"], tuple(metric_ids))


def run_or_show(ctx: click.Context, prepared: Prepared, options: dict[str, Any]) -> None:
    """Run prepared cells and print their tables, or say what would run; the command ends with its exit code.

    Args:
        ctx: The command.
        prepared: The cells.
        options: Values of :func:`running_options` by name.

    Raises:
        HarnessError: A mistake of the user, or a record that cannot be saved.
    """
    if options["dry_run"]:
        show_plan(prepared.sweep(), options["as_json"])
        return
    from harness.api.running import run_cells
    from harness.execution.sweep_state import resume_command

    resume = resume_command(sys.argv, datetime.now(UTC))
    stops = Stops(prepared.how.in_process)
    listening = partial(_listening, prepared, stops)
    try:
        result = run_cells(prepared, listening, stopping=stops.level, checking=partial(bars_shown, "images"))
    except UnsavedError:
        click.echo(f"go on with: {resume}", err=True)
        raise
    if options["as_json"]:
        _print_records(prepared)
    else:
        _print_tables(prepared, result)
    click.echo(f"\n{_closing(prepared, result)}", err=options["as_json"])
    if result.unfinished or result.failed:
        click.echo(f"go on with: {resume}", err=True)
    ctx.exit(130 if result.unfinished else 1 if prepared.refused or result.failed else 0)


@contextmanager
def _listening(prepared: Prepared, stops: Stops, state: SweepState | None) -> Iterator[PlainListener]:
    """A context in which progress is shown; the first Ctrl-C lets running cells finish, the second ends them."""
    with stop_signals(stops), make_listener(state, len(prepared.jobs), prepared.how.in_process) as listener:
        stops.say = listener.say
        listener.elsewhere = results_option(prepared.how.results)
        yield listener


def make_executor(registry: Registry, name: str, options: Sequence[str]) -> Executor:
    """The executor asked for.

    Raises:
        HarnessError: Unknown name or parameter, a value that cannot be read, or an engine that is not installed.
    """
    declaration = registry.get("executor", name)
    values = {}
    for entry in options:
        key, equals, text = entry.partition("=")
        if not equals or not key:
            raise HarnessError(f"--executor-option {entry}: expected KEY=VALUE.")
        values[key] = text
    executor: Executor = declaration.load()(**read_values(declaration.parameters, values, f"executor {name}"))
    return executor


def _print_records(prepared: Prepared) -> None:
    store = RunStore(prepared.how.results)
    records = (store.find(*job.cell.place) for job in prepared.jobs)
    print_json([stored.record.to_json() for stored in records if stored is not None])


def _print_tables(prepared: Prepared, result: Result) -> None:
    from harness.report.frame import load_records
    from harness.report.tables import comparison_tables, render

    if not prepared.jobs:
        return
    results, metric_ids = prepared.how.results, prepared.how.metrics
    frame = load_records(results, metrics=metric_ids)
    if frame.empty:  # stopped before the first record; without rows there are no columns
        return
    frame = frame[frame["hash"].isin({job.cell.hash for job in prepared.jobs})]
    for metric in metric_ids:
        tables = comparison_tables(frame, metric, limited=True)
        for table in tables:
            click.echo(f"\n{render(table)}")
        if not tables and "ok" in result.statuses.values():
            click.echo(
                f"\nnote: these records were made without metric {metric}: `harness score --all --metric "
                f"{metric}{results_option(results)}` computes it from their codes."
            )


def _closing(prepared: Prepared, result: Result) -> str:
    """The last line: how many cells finished, and where their records are."""
    parts = []
    if result.failed:
        parts.append(f"{result.failed} failed")
    if result.unfinished:
        parts.append(f"{len(result.unfinished)} not run")
    cells = counted(len(prepared.jobs), "cell")
    said = f"{len(result.statuses) - result.failed} of {cells}" if parts else cells
    return f"{said} finished{''.join(f', {part}' for part in parts)}; records in {prepared.how.results / 'runs'}"
