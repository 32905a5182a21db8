"""``harness sweep``: the cells of a plan file, through whatever hardware there is."""

from __future__ import annotations

import sys
from typing import Any

import click

from harness.cells.axes import texts
from harness.cli.options import DATA, PLUGIN, RUNNING, GroupedCommand, data_root_option
from harness.cli.running.requests import run_or_show, running_of, running_options


@click.command(cls=GroupedCommand)
@click.argument("plan", metavar="PLAN")
@RUNNING("--shard", metavar="I/N", help="Run only the I-th of N parts, where no engine is at hand.")
@data_root_option("the plan's, otherwise $HARNESS_DATA", DATA)
@PLUGIN
@running_options("local")
@click.pass_context
def command(ctx: click.Context, /, plan: str, shard: str | None, **options: Any) -> None:
    """Run the cells of a plan: a TOML file, or the name of a shipped plan.

    It can be killed at any moment: what is finished stays, and the same command goes on. Shipped plans: smoke,
    paper-ucm, paper-rsicd, cross; docs/sweeps.md says how to write your own.
    """
    from harness.api.running import prepare_sweep

    prepared = prepare_sweep(
        plan, running_of(options), shard=shard, data_root=options["data_root"], plugins=options["plugins"],
        results=options["results"], metrics=texts(options["metrics"]), words=sys.argv,
    )  # fmt: skip
    run_or_show(ctx, prepared, options)
