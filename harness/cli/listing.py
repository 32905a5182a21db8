"""``harness list``: what is registered."""

from __future__ import annotations

from pathlib import Path

import click

from harness.api.catalogue import rows_of
from harness.cli.json_output import print_json
from harness.cli.options import JSON, PLUGIN
from harness.cli.rows import print_columns
from harness.plugin.loading import load_registry


@click.command()
@click.argument("what", metavar="WHAT", default="")
@PLUGIN
@JSON
def command(what: str, plugins: tuple[Path, ...], as_json: bool) -> None:
    """List what is registered.

    WHAT: methods, detectors, hashers, objectives, backbones, datasets, readers, metrics, protocols, executors,
    trackers, published (numbers of papers) or plugins.
    """
    rows, broken = rows_of(what, load_registry(plugins))
    if as_json:
        print_json(rows)
    else:
        columns = ("name", "state", "file") if what == "plugins" else ("name", "summary", "needs")
        print_columns(rows, [column for column in columns if any(row.get(column) for row in rows)])
    for note in broken:
        click.echo(f"note: {note}", err=True)
