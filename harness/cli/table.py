"""``harness table``: comparison tables from the records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cells.axes import texts
from harness.cli.options import PLUGIN, RESULTS, Decorator, results_option
from harness.cli.rows import aligned
from harness.records.index import records_in
from harness.text import counted

if TYPE_CHECKING:
    import pandas as pd


FORMATS = ("simple", "github", "latex", "html", "csv", "plain", "parquet", "tsv", "latex_booktabs")
PRESETS = ("paper", "detectors", "cross", "cost", "bits", "robustness")
SIGNIFICANCE = ("none", "seeds", "queries", "both")


def _axis(name: str, help_text: str) -> Decorator:
    return click.option(f"--{name}", multiple=True, metavar="NAME", help=help_text)


@click.command()
@RESULTS
@click.option("--preset", metavar="NAME", help=f"A layout by name: {', '.join(PRESETS)}. Other options override it.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="ID",
    help="Metric id, detector/auroc, timings/training, cost/..., or i2t/map for one direction; repeat for several.  "
    "[default map]",
)
@_axis("rows", "Facts that are rows, for example method or hasher,objective.  [default method]")
@_axis("columns", "Facts that are columns.  [default direction,noise]")
@_axis("by", "Facts of which each value has a table of its own.  [default dataset, and direction if it is no axis]")
@click.option("--where", metavar="CONDITION", help='Only records for which this holds, for example "bits=64".')
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only these data sets.")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Only these methods.")
@click.option("--format", "style", metavar="NAME", help=f"One of {', '.join(FORMATS)}.  [default simple, or as FILE]")
@click.option("--significance", metavar="TESTS", help=f"Mark the best where it differs: {', '.join(SIGNIFICANCE)}.  "
              "[default none; both for the preset paper]")  # fmt: skip
@click.option("--published", is_flag=True, help="Show published numbers, ours and the difference (docs/published.md).")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write to a file.")
@PLUGIN
@click.option("--runs", is_flag=True, help="List the runs instead, with their hashes.")
def command(
    results: Path,
    preset: str | None,
    metrics: tuple[str, ...],
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    by: tuple[str, ...],
    where: str | None,
    datasets: tuple[str, ...],
    methods: tuple[str, ...],
    style: str | None,
    significance: str | None,
    published: bool,
    output: Path | None,
    plugins: tuple[Path, ...],
    runs: bool,
) -> None:
    """Print tables: methods by noise rate, image-to-text and text-to-image, mean and deviation over seeds.

    docs/tables.md shows what else rows and columns can be, and what footnotes and marks mean.
    """
    from harness.api.tables import chosen_records, tables_of
    from harness.report.tables.output import WITHOUT_RANKS, print_tables, style_of
    from harness.report.tables.request import TableRequest

    style = style_of(style, output, FORMATS)
    chosen = texts(datasets), texts(methods)
    if runs:
        with records_in(results) as index:
            _list_runs(chosen_records(index, results, where, *chosen))
        return
    request = TableRequest.of(
        preset=preset, metrics=texts(metrics), rows=rows, columns=columns, by=by, where=where, significance=significance
    )
    made = tables_of(
        results, request, datasets=chosen[0], methods=chosen[1], published=published,
        shows_ranks=style not in WITHOUT_RANKS, plugins=plugins, elsewhere=results_option(results),
        note=lambda text: click.echo(f"note: {text}", err=True),
    )  # fmt: skip
    print_tables(made.tables, style, output, lambda text: click.echo(text))
    if output is not None:
        click.echo(f"{output}: {counted(len(made), 'table')}", err=True)


def _list_runs(frame: pd.DataFrame) -> None:
    columns = ["hash", "status", "row", "dataset", "protocol", "noise", "bits", "seed", "data_seed", "finished"]
    shown = frame[columns].convert_dtypes().astype(object).fillna("").values.tolist()
    click.echo(aligned(shown, headers=columns))
