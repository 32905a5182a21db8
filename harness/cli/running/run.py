"""``harness run``: one cell, or a grid of cells, from data to table."""

from __future__ import annotations

import sys
from typing import Any

import click

from harness.cells import axes
from harness.cli.options import METHOD, GroupedCommand, cell_options, given_of
from harness.cli.running.requests import run_or_show, running_of, running_options


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
    from harness.api.running import prepare_run

    prepared = prepare_run(
        given_of(options), axes.settings(options["settings"]), running_of(options), plugins=options["plugins"],
        results=options["results"], metrics=axes.texts(options["metrics"]), repeated=options["from_run"],
        words=sys.argv,
    )  # fmt: skip
    run_or_show(ctx, prepared, options)
