"""``harness table``: comparison tables from the records."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import PLUGIN, RESULTS
from harness.wording import counted

FORMATS = ("simple", "github", "plain", "latex_booktabs", "html", "tsv")


@click.command()
@RESULTS
@click.option("--metric", "metrics", multiple=True, metavar="ID", help="Metric; repeat for several.  [default map]")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only these data sets.")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Only these methods.")
@click.option(
    "--format", "style", default="simple", show_default=True, metavar="NAME", help=f"One of {', '.join(FORMATS)}."
)
@PLUGIN
@click.option("--runs", is_flag=True, help="List the runs instead, with their hashes.")
def command(
    results: Path,
    metrics: tuple[str, ...],
    datasets: tuple[str, ...],
    methods: tuple[str, ...],
    style: str,
    plugins: tuple[Path, ...],
    runs: bool,
) -> None:
    """Print tables: methods by noise rate, image-to-text and text-to-image, mean and deviation over seeds."""
    from harness.cli.axes import texts
    from harness.cli.running import metric_ids_of
    from harness.errors import HarnessError, unknown_name
    from harness.plugins import load_registry

    if style not in FORMATS:
        raise unknown_name("value of --format", style, FORMATS)
    metric_ids = metric_ids_of(load_registry(plugins), metrics)
    from harness.report.frame import load_records
    from harness.report.tables import comparison_tables, render

    frame = load_records(results, metrics=() if runs else metric_ids)
    if frame.empty:
        raise HarnessError(f"no records in {results}/runs: run something first, or name another folder with --results.")
    for column, chosen in (("dataset", texts(datasets)), ("method", texts(methods))):
        for name in chosen:
            if name not in set(frame[column]):
                raise unknown_name(f"{column} among the records of {results}", name, set(frame[column]))
        if chosen:
            frame = frame[frame[column].isin(chosen)]
    if runs:
        from tabulate import tabulate

        columns = ["hash", "status", "row", "dataset", "protocol", "noise", "bits", "seed", "data_seed", "finished"]
        click.echo(
            tabulate(
                frame[columns].convert_dtypes().astype(object).fillna("").values.tolist(),
                headers=columns,
                disable_numparse=True,
            )
        )
        return
    printed = False
    for metric in metric_ids:
        for table in comparison_tables(frame, metric):
            click.echo(("\n" if printed else "") + render(table, style))
            printed = True
    counts = {
        f"{counted(int((frame['status'] != 'ok').sum()), 'run')} that failed": (frame["status"] != "ok").any(),
        f"{counted(int(frame['limit'].notna().sum()), 'run')} on a limited number of images": frame["limit"]
        .notna()
        .any(),
    }
    for text, applies in counts.items():
        if applies:
            click.echo(f"note: left out: {text}; `harness table --runs` lists them.", err=True)
    if not printed:
        raise HarnessError(
            f"no finished run in {results}/runs has {', '.join(metric_ids)}; `harness table --runs` lists what is "
            "there."
        )
