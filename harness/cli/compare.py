"""``harness compare``: two rows of tables, setting by setting, with intervals and two kinds of tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cells.axes import texts
from harness.cli import statistics_options as shared
from harness.cli.json_output import print_json
from harness.cli.options import RESULTS
from harness.cli.rows import print_rows
from harness.quantities import LARGEST_INTEGER

if TYPE_CHECKING:
    pass


MOST_RESAMPLES = 1_000_000
"""More would change no digit that is shown."""


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@RESULTS
@click.option("--metric", "metrics", multiple=True, metavar="ID", help="Metric; repeat for several.  [default map]")
@shared.where("dataset=ucm and bits=64")
@shared.DIRECTION
@click.option(
    "--by",
    multiple=True,
    metavar="NAME",
    help="Columns to show first and sort by, as a comma list; no setting is ever averaged over.  "
    "[default dataset,noise,direction,bits]",
)
@click.option(
    "--resamples",
    type=click.IntRange(100, MOST_RESAMPLES),
    default=4000,
    show_default=True,
    metavar="N",
    help="Resamples of the bootstrap.",
)
@click.option(
    "--random-seed",
    type=click.IntRange(0, LARGEST_INTEGER),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of resamples and drawn sign flips; the training seeds are those of the records.",
)
@shared.FORMAT
def command(
    a: str,
    b: str,
    results: Path,
    metrics: tuple[str, ...],
    where: str | None,
    directions: tuple[str, ...],
    by: tuple[str, ...],
    resamples: int,
    random_seed: int,
    style: str,
) -> None:
    """Compare rows A and B of the tables: effect, 95 % interval, and two paired tests.

    A and B are names of rows ("chnr [epochs=50]"), or of methods that have one row. Runs are paired by data seed and
    seed within one setting; whatever is not comparable is left out and said. "p queries" asks whether the trained
    models differ, "p seeds" whether the methods do; Holm's correction is over the lines of the table. See
    docs/statistics.md.
    """
    from harness.api.comparisons import compare

    shared.check_format(style)
    compared = compare(
        results, a, b, texts(metrics), where=where, directions=texts(directions), by=texts(by), resamples=resamples,
        random_seed=random_seed,
    )  # fmt: skip
    notes = list(compared.notes)
    if style == "json":
        print_json({"a": compared.a, "b": compared.b, "lines": compared.rows(), "notes": notes})
    elif style == "csv":
        rows = compared.rows()
        print_rows(list(rows[0]), [list(row.values()) for row in rows], "csv")
        shared.print_notes(notes)
    else:
        click.echo(compared.to_text(shared.FORMATS[style]))
