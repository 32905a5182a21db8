"""``harness results``: the records of a results folder, all together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli import LazyGroup
from harness.cli.options import JSON, RESULTS
from harness.cli.rows import FORMAT, checked, print_rows
from harness.errors import unknown_name
from harness.quantities import LARGEST_INTEGER
from harness.records.index import RunIndex, records_in
from harness.records.index_tables import quoted
from harness.records.query import query as ask
from harness.records.where import condition

SHOWN = (
    "hash", "status", "row", "dataset", "protocol", "noise", "bits", "seed", "data_seed", "i2t/map", "t2i/map",
    "finished",
)  # fmt: skip
"""Columns of ``list`` unless others are asked for."""

WHERE = click.option(
    "--where",
    metavar="CONDITION",
    help='Only records for which this holds, for example "dataset=ucm and noise>=0.2 and not method=chnr".',
)

MODULES = {
    "merge": "harness.cli.results.merge",
    "prune": "harness.cli.results.prune",
    "verify": "harness.cli.results.verify",
    "export": "harness.cli.results.export",
}
"""Larger verbs, and the module that holds each."""


@click.group(cls=LazyGroup, modules=MODULES)
def command() -> None:
    """List, query, merge, prune, verify and export records (docs/results.md)."""


def filtered(index: RunIndex, where: str | None) -> tuple[str, list[Any]]:
    """``--where`` as SQL and its values."""
    return ("", []) if where is None else condition(where, index.columns)


@command.command("list")
@RESULTS
@WHERE
@click.option("--column", "chosen", multiple=True, metavar="NAME", help="Column to show; repeat, or a comma list.")
@click.option("--sort", metavar="NAME", help="Column to sort by; -NAME for the largest first.  [default: folders]")
@click.option("--limit", type=click.IntRange(1, LARGEST_INTEGER), metavar="N", help="The first N only.")
@click.option("--columns", "all_columns", is_flag=True, help="List the columns instead.")
@FORMAT
@JSON
def list_(
    results: Path,
    where: str | None,
    chosen: tuple[str, ...],
    sort: str | None,
    limit: int | None,
    all_columns: bool,
    style: str,
    as_json: bool,
) -> None:
    """List records: facts and metrics, chosen and sorted."""
    style = checked(style, as_json)
    with records_in(results) as index:
        if all_columns:
            words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
            print_rows(["column", "holds"], [(name, words[kind]) for name, kind in index.columns.items()], style)
            return
        names = [name.strip() for text in chosen for name in text.split(",")]
        names = names or [name for name in SHOWN if name in index.columns]
        key = (sort or "").removeprefix("-")
        for option, name in [*(("--column", name) for name in names), *([("--sort", key)] if sort else [])]:
            if name not in index.columns:
                raise unknown_name(
                    f"column in {option}", name, index.columns, "`harness results list --columns` lists all."
                )
        sql, values = filtered(index, where)
        if sort:
            order = f"{quoted(key)} IS NULL, {quoted(key)} {'DESC' if sort.startswith('-') else 'ASC'}"
            rows = index.rows(names, sql, values, order=order, limit=limit)
        else:
            rows = index.rows(names, sql, values, limit=limit)
    print_rows(names, rows, style)
    if not rows:
        click.echo("note: no record fulfils the condition.", err=True)


@command.command()
@click.argument("sql", metavar="SELECT")
@RESULTS
@FORMAT
@JSON
def query(sql: str, results: Path, style: str, as_json: bool) -> None:
    """Ask in SQL: one SELECT over the table runs, a row for each record.

    Metrics are columns in double quotes: SELECT method, avg("i2t/map") FROM runs GROUP BY method
    """
    style = checked(style, as_json)
    with records_in(results) as index:
        header, rows = ask(index, sql)
    print_rows(header, rows, style)
