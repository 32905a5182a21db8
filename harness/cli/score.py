"""``harness score``: metrics of finished runs again, or with other cutoffs, without training."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cells.axes import texts
from harness.cli.json_output import print_json
from harness.cli.options import JSON, PLUGIN, RESULTS
from harness.cli.rows import print_comparisons
from harness.errors import HarnessError, unknown_name
from harness.plugin.loading import load_registry
from harness.plugin.metric_ids import declared_metric, metrics_with
from harness.records.leftovers import remove_abandoned
from harness.records.store import RunStore, StoredRun
from harness.text import counted


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--all", "everything", is_flag=True, help="All runs of the results folder.")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Runs on these data sets.")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Runs of these methods.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="ID",
    help="Metric to compute, with any cutoff (map@15); repeat for several.  [default: all that are registered]",
)
@RESULTS
@PLUGIN
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help="Where distances are counted.")
@click.option("--dry-run", is_flag=True, help="Compute and show, but write nothing.")
@JSON
@click.pass_context
def command(
    ctx: click.Context,
    runs: tuple[str, ...],
    everything: bool,
    datasets: tuple[str, ...],
    methods: tuple[str, ...],
    metrics: tuple[str, ...],
    results: Path,
    plugins: tuple[Path, ...],
    device: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Compute metrics from the stored codes of finished runs. RUN is a run folder or the beginning of a hash."""
    from harness.execution.rescore import rescore, write_rescored
    from harness.runtime.context import device_to_plan_for

    registry = load_registry(plugins)
    metric_ids = texts(metrics, "--metric")
    declared = [declared_metric(registry, name) for name in metric_ids] or metrics_with(registry, [])
    chosen = _chosen(results, runs, everything, texts(datasets, "--dataset"), texts(methods, "--method"))
    place = device_to_plan_for(device)
    if not dry_run:
        for runs_folder in {stored.folder.absolute().parents[2] for stored in chosen}:
            remove_abandoned(runs_folder)  # what a killed command left, this one or another
    done, untouched = [], []
    for stored in chosen:
        try:
            rescored = rescore(stored, declared, place)
            if not dry_run:
                write_rescored(rescored)
        except HarnessError as error:
            untouched.append(stored)
            click.echo(f"left as it is: {error}", err=True)
            continue
        done.append(rescored)
        if rescored.record.error is not None:
            click.echo(
                f"{rescored.record.status}: run {rescored.record.hash} ({rescored.record.cell.row}): "
                f"{rescored.record.error.message}",
                err=True,
            )
        if rescored.changed:
            click.echo(
                f"note: run {rescored.record.hash} ({rescored.record.cell.row}) has other values than before: "
                f"{', '.join(rescored.changed[:5])}{', ...' if len(rescored.changed) > 5 else ''}",
                err=True,
            )
    if as_json:
        print_json([rescored.record.to_json() for rescored in done])
    else:
        print_comparisons([rescored.record for rescored in done], metric_ids or ["map"])
        changed = sum(bool(rescored.changed) for rescored in done)
        scored = f"{counted(len(done), 'run')} scored, {changed} with other values than before"
        invalid = sum(rescored.record.error is not None for rescored in done)
        scored += f", {invalid} invalid" if invalid else ""
        left = f", {len(untouched)} left as {'it is' if len(untouched) == 1 else 'they are'}" if untouched else ""
        click.echo(f"{scored}{left}{'; nothing was written' if dry_run else ''}")
    ctx.exit(1 if untouched or any(rescored.record.error is not None for rescored in done) else 0)


def _chosen(
    results: Path, runs: tuple[str, ...], everything: bool, datasets: list[str], methods: list[str]
) -> list[StoredRun]:
    """The runs that are meant, each once."""
    store = RunStore(results)
    if not runs and not everything and not datasets and not methods:
        raise HarnessError("no run named: name runs by folder or hash, or choose with --all, --method, --dataset.")
    if runs and everything:
        raise HarnessError("--all and named runs exclude each other.")
    candidates = [store.lookup(name) for name in runs] if runs else list(store.all())
    if not candidates:
        raise HarnessError(f"no records in {results}/runs: run something first, or name another folder with --results.")
    for field, wanted in (("dataset", datasets), ("method", methods)):
        there = {getattr(stored.record.cell, field) for stored in candidates}
        for name in wanted:
            if name not in there:
                raise unknown_name(f"{field} among the records of {results}", name, there)
        if wanted:
            candidates = [stored for stored in candidates if getattr(stored.record.cell, field) in wanted]
    return list({stored.folder.resolve(): stored for stored in candidates}.values())
