"""``harness run``: one cell, or a grid of cells, from data to table."""

from __future__ import annotations

from typing import Any

import click

from harness.cells.applicability import only_what_applies
from harness.cli.options import METHOD, GroupedCommand, cell_options, requests_of
from harness.cli.running.requests import how_to_run, metric_ids_of, run_or_show, running_options
from harness.plugin.loading import load_registry
from harness.records.store import RunStore


@click.command(cls=GroupedCommand)
@cell_options
@METHOD(
    "--from",
    "from_run",
    metavar="RUN",
    help="Repeat the cell of a record (folder or hash); other options replace its values.",
)
@running_options("serial")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Train, evaluate, record and tabulate one cell or a grid of cells.

    Options marked [axis] repeat or take comma lists; the grid of all their values is run cell by cell. Finished cells
    are not run again.
    """
    from harness.api.running import prepare
    from harness.records import repeat

    repeated = RunStore(options["results"]).lookup(options["from_run"]).record if options["from_run"] else None
    base = None if repeated is None else repeat.request_of_record(repeated)
    plugins = (*options["plugins"], *(base.plugins if base else ()))
    registry = load_registry(tuple(dict.fromkeys(plugins)))
    metric_ids = metric_ids_of(registry, options["metrics"])
    asked = requests_of(options, base)
    requests = only_what_applies(registry, asked)
    how = how_to_run(
        registry,
        options,
        metric_ids,
        threads=None if repeated is None else repeat.threads_of_record(repeated),
        deterministic=repeated is not None and repeat.deterministic_in(repeated),
    )
    prepared = prepare(registry, requests, how, name="run")
    if repeated is not None and repeat.nothing_replaced(asked, base):
        for job in prepared.jobs:
            changed = repeat.changed_since(repeated, job.cell.hash, job.cell.identity)
            if changed:
                click.echo(f"note: {changed}", err=True)
    run_or_show(ctx, prepared, options)
