"""``harness table``: comparison tables from the records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.axes import texts
from harness.cli.options import PLUGIN, RESULTS, Decorator, results_option
from harness.cli.results import records
from harness.cli.rows import aligned
from harness.errors import HarnessError, unknown_name
from harness.plugin.loading import Registry, load_registry
from harness.plugin.metric_ids import declared_metric
from harness.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from harness.records.index import RunIndex
    from harness.report.published import PublishedNumber
    from harness.report.tables.request import TableRequest

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
    from harness.report.tables.output import WITHOUT_RANKS, print_tables, style_of
    from harness.report.tables.reasons import refusals
    from harness.report.tables.request import TableRequest

    style = style_of(style, output, FORMATS)
    request = TableRequest.of(
        preset=preset, metrics=texts(metrics), rows=rows, columns=columns, by=by, where=where, significance=significance
    )
    registry = load_registry(plugins)
    for metric_id in request.metric_ids:
        declared_metric(registry, metric_id)
    with records(results) as index:
        frame = _chosen(index, request, results, texts(datasets), texts(methods), only_facts=runs)
        known = list(index.columns)
    if runs:
        _list_runs(frame)
        return
    for remark in _left_out(frame, results_option(results)):
        click.echo(f"note: {remark}", err=True)
    made = request.tables(
        frame, known, results, refusals(registry), shows_ranks=style not in WITHOUT_RANKS,
        published=_published(registry, request, published), beside=published,
    )  # fmt: skip
    for remark in made.remarks:
        click.echo(f"note: {remark}", err=True)
    print_tables(made.tables, style, output, lambda text: click.echo(text))
    if output is not None:
        click.echo(f"{output}: {counted(len(made.tables), 'table')}", err=True)


def _chosen(
    index: RunIndex, request: TableRequest, results: Path, datasets: list[str], methods: list[str], *, only_facts: bool
) -> pd.DataFrame:
    """The records that are meant.

    Raises:
        HarnessError: There is none.
    """
    from harness.report.frame import indexed_frame

    more = () if only_facts else request.columns(index.columns)
    frame = indexed_frame(index, (), more, request.where)
    if frame.empty:
        raise HarnessError(f"no record in {results}/runs fulfils --where {request.where!r}.")
    for column, chosen in (("dataset", datasets), ("method", methods)):
        for name in chosen:
            if name not in set(frame[column]):
                raise unknown_name(f"{column} among the records of {results}", name, set(frame[column]))
        if chosen:
            frame = frame[frame[column].isin(chosen)]
    return frame


def _published(registry: Registry, request: TableRequest, asked: bool) -> list[PublishedNumber]:
    """Numbers of papers, where they are shown or rows stand in their order."""
    if not asked and not request.preset.published_order:
        return []
    from harness.report.published import load_published

    problems: list[str] = []
    numbers = load_published(registry, problems)
    for problem in problems if asked else ():
        click.echo(f"note: left out: {problem}", err=True)
    return numbers


def _list_runs(frame: pd.DataFrame) -> None:
    columns = ["hash", "status", "row", "dataset", "protocol", "noise", "bits", "seed", "data_seed", "finished"]
    shown = frame[columns].convert_dtypes().astype(object).fillna("").values.tolist()
    click.echo(aligned(shown, headers=columns))


def _left_out(frame: pd.DataFrame, elsewhere: str) -> list[str]:
    """What tables never show; ``elsewhere`` is :func:`harness.cli.options.results_option`."""
    invalid, limited = int((frame["status"] == "invalid").sum()), int(frame["limit"].notna().sum())
    failed = int((frame["status"] != "ok").sum()) - invalid
    said = []
    if invalid:
        said.append(
            f"left out: {counted(invalid, 'invalid run')}, whose numbers contradict each other; `harness show "
            f"HASH{elsewhere}` says how."
        )
    if failed:
        said.append(f"left out: {counted(failed, 'run')} that failed; `harness table --runs{elsewhere}` lists them.")
    if limited:
        said.append(
            f"left out: {counted(limited, 'run')} on a limited number of images; `harness table "
            f"--runs{elsewhere}` lists them."
        )
    return said
