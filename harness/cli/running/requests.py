"""What ``harness run`` and ``harness sweep`` share: options that say how cells are run, and the way from prepared cells
to tables.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from harness.api.how_to_run import RUNNING_OPTIONS
from harness.api.progress import PlainListener, make_listener
from harness.api.stopping import Handler, Stops, signals_taken
from harness.cli.json_output import print_json
from harness.cli.options import JSON, OUTPUT, RESULTS, RUNNING, declared, results_option
from harness.cli.running.planned import show_plan
from harness.errors import UnsavedError
from harness.records.store import RunStore
from harness.runtime.outlets import bars_shown
from harness.text import counted

if TYPE_CHECKING:
    from harness.api.running import Prepared
    from harness.execution.sweep import Result
    from harness.execution.sweep_state import SweepState


def running_options(executor: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that say how cells are run.

    Args:
        executor: The default executor of the verb.
    """
    options = [
        *(declared(replace(one, default=executor) if one.name == "executor" else one) for one in RUNNING_OPTIONS),
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


def running_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Of the values of a command's options those that say how cells are run, by name of the option."""
    return {one.name: options[one.field] for one in RUNNING_OPTIONS}


def run_or_show(ctx: click.Context, prepared: Prepared, options: dict[str, Any]) -> None:
    """Run prepared cells and print their tables, or say what would run; the command ends with its exit code.

    Args:
        ctx: The command.
        prepared: The cells.
        options: Values of :func:`running_options` by name.

    Raises:
        HarnessError: A mistake of the user, or a record that cannot be saved.
    """
    for note in prepared.notes:
        click.echo(f"note: {note}", err=True)
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
    """Progress is shown; the first Ctrl-C lets running cells finish, the second ends them."""
    handlers: dict[int, Handler] = {signal.SIGINT: stops.on_interrupt, signal.SIGTERM: stops.at_once}
    with signals_taken(handlers), make_listener(state, len(prepared.jobs), prepared.how.in_process) as listener:
        stops.say = listener.say
        listener.elsewhere = results_option(prepared.how.results)
        yield listener


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
