"""``harness show``: one finished run."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from harness.cli.json_output import print_json
from harness.cli.options import JSON, RESULTS, results_option
from harness.cli.rows import aligned
from harness.records.store import RunStore
from harness.runtime.outlets import heading

SHOWN = ("map", "map_relevant@20", "map@20", "p@10", "r@100", "hit@10", "ndcg@10")


@click.command()
@click.argument("run", metavar="RUN")
@RESULTS
@JSON
def command(run: str, results: Path, as_json: bool) -> None:
    """Show a run. RUN is a run folder or the beginning of a hash."""
    stored = RunStore(results).lookup(run)
    record = stored.record
    elsewhere = results_option(results)
    if as_json:
        print_json(record.to_json())
        return
    cell = record.cell
    heading(f"{cell.row} on {cell.dataset}: {record.status}")
    facts = {
        "hash": record.hash,
        "folder": stored.folder,
        "parts": f"hasher {cell.hasher}, detector {cell.detector}"
        + (f", objective {cell.objective}" if cell.objective else ""),
        "noise": f"{'as given' if cell.noise is None else cell.noise} ({cell.protocol}), trusted {cell.trusted}",
        "code length": f"{cell.bits} bits",
        "seeds": f"training {cell.seed}, data {cell.data_seed}",
        "images": ", ".join(f"{count} {part}" for part, count in cell.images.items()),
        "backbones": ", ".join(str(described.get("name")) for described in cell.backbones.values()),
        "granted": ", ".join(cell.granted),
        "finished": f"{record.finished} on {record.environment.get('host', '?')}, "
        f"{record.environment.get('device', 'no torch')}",
        "seconds": ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in record.timings.items()),
    }
    click.echo(aligned([(name, value) for name, value in facts.items() if value], tablefmt="plain"))
    if record.error is not None:
        click.echo(f"\n{record.error.message}\nrepeat with: {record.command}{elsewhere}")
        for line in record.error.traceback:
            click.echo(f"  {line}")
    directions = [name for name in ("i2t", "t2i", "i2i", "t2t") if name in record.metrics]
    if directions:
        rows = [
            [metric, *(_number(record.metrics[direction].get(metric)) for direction in directions)]
            for metric in SHOWN
            if metric in record.metrics[directions[0]]
        ]
        table = aligned(rows, headers=["metric", *directions], stralign="right", colalign=["left"])
        click.echo(f"\n{table}")
        click.echo(f"All metrics and their definitions: harness show {shlex.quote(run)} --json{elsewhere}")
    for group in ("detector", "noise"):
        values = record.metrics.get(group)
        if values:
            click.echo(f"{group}: " + ", ".join(f"{name} {_number(value)}" for name, value in values.items()))
    for note in record.notes:
        click.echo(f"note: {note}")


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)
