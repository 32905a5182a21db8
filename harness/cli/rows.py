"""Rows and tables on standard output: for people, and as CSV or JSON for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.cli.json_output import print_json
from harness.errors import unknown_name
from harness.text import one_line

if TYPE_CHECKING:
    from harness.records.schema import RunRecord

FORMATS = ("table", "csv", "json")

FORMAT = click.option(
    "--format", "style", default="table", show_default=True, metavar="NAME", help=f"One of {', '.join(FORMATS)}."
)


def checked(style: str, as_json: bool) -> str:
    """The format that ``--format`` and ``--json`` ask for.

    Raises:
        HarnessError: There is none of this name.
    """
    if style not in FORMATS:
        raise unknown_name("value of --format", style, FORMATS)
    return "json" if as_json else style


def print_rows(header: Sequence[str], rows: Iterable[Sequence[Any]], style: str) -> None:
    """Print rows in one of :data:`FORMATS`; bytes, which SQL can make, as their hexadecimal digits."""
    rows = [[value.hex() if isinstance(value, bytes) else value for value in row] for row in rows]
    if style == "json":
        print_json([dict(zip(header, row, strict=True)) for row in rows])
    elif style == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        click.echo(text.getvalue(), nl=False)
    else:
        click.echo(aligned([[_shown(value) for value in row] for row in rows], header))


def aligned(rows: Iterable[Any], headers: Any = (), **how: Any) -> str:
    """Rows as a text in columns, by tabulate; numbers stand as they are written.

    Args:
        rows: Rows of values, or mappings where ``headers`` is "keys".
        headers: Names of the columns.
        how: More that ``tabulate`` takes, as it takes it.
    """
    from tabulate import tabulate

    return tabulate(rows, headers, disable_numparse=True, **how)


def print_columns(rows: list[dict[str, Any]], columns: list[str]) -> None:
    """Aligned columns, without a library that would slow the listing down."""
    widths = [max((len(str(row.get(column, ""))) for row in rows), default=0) for column in columns]
    for row in rows:
        line = "  ".join(str(row.get(column, "")).ljust(width) for column, width in zip(columns, widths, strict=True))
        click.echo(line.rstrip())


def print_comparisons(records: Sequence[RunRecord], metric_ids: Iterable[str]) -> None:
    """Print the comparison tables of some records, for each of some metrics."""
    from harness.report.frame import records_frame
    from harness.report.tables import comparison_tables, render

    frame = records_frame(records)
    for metric in metric_ids:
        for table in comparison_tables(frame, metric, limited=True):
            click.echo(f"{render(table)}\n")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else one_line(str(value))
