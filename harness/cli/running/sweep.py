"""``harness sweep``: the cells of a plan file, through whatever hardware there is."""

from __future__ import annotations

from typing import Any

import click

from harness.cells.plans.file import read_plan
from harness.cells.request import CellRequest, MethodRequest
from harness.cli.options import DATA, PLUGIN, RUNNING, GroupedCommand, data_root_option, default_data_root
from harness.cli.running.requests import how_to_run, metric_ids_of, run_or_show, running_options
from harness.execution.cells_to_run import read_shard
from harness.plugin.loading import load_registry


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
    from harness.api.running import prepare
    from harness.cells.plans.values import checked_requests

    part = None if shard is None else read_shard(shard)
    read = read_plan(plan)
    read.check_plugins()
    plugins = tuple(dict.fromkeys([*read.plugins, *options["plugins"]]))
    registry = load_registry(plugins)
    read.check_names(registry)
    metric_ids = metric_ids_of(registry, options["metrics"], read.metrics or ("map",))
    base = CellRequest(MethodRequest(""), plugins=plugins, data_root=default_data_root())
    requests = read.requests(base, {"data_root": [options["data_root"]] if options["data_root"] else []})
    requests = checked_requests(read, registry, requests)
    how = how_to_run(registry, options, metric_ids)
    run_or_show(ctx, prepare(registry, requests, how, name=read.name, part=part), options)
