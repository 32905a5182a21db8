"""``harness results export``: records for other programs and other machines."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import RESULTS, output_file
from harness.cli.results import WHERE, filtered
from harness.errors import HarnessError, unknown_name
from harness.records.export import FORMATS, export
from harness.records.index import records_in
from harness.text import counted


@click.command()
@RESULTS
@WHERE
@click.option(
    "--format",
    "style",
    required=True,
    metavar="NAME",
    help="csv, parquet (a table), or archive (all files of the runs).",
)
@output_file()
def command(results: Path, where: str | None, style: str, output: Path) -> None:
    """Write records to one file: a table, or an archive that `harness results merge` takes in."""
    if style not in FORMATS:
        raise unknown_name("value of --format", style, FORMATS)
    with records_in(results) as index:
        sql, values = filtered(index, where)
        if not index.rows(["hash"], sql, values, limit=1):
            raise HarnessError(f"no record in {results}/runs fulfils --where {where!r}: nothing was written.")
        number = export(index, results / "runs", output, style, sql, values)
    click.echo(f"{output}: {counted(number, 'record')}")
