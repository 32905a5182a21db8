"""``harness compare``: two rows of tables, setting by setting, with intervals and two kinds of tests."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import statistics_options as shared
from harness.cli.axes import texts
from harness.cli.json_output import print_json
from harness.cli.options import RESULTS
from harness.cli.rows import aligned, print_rows
from harness.errors import unknown_name
from harness.quantities import LARGEST_INTEGER

if TYPE_CHECKING:
    from harness.report.statistics.compared_settings import Line


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
    from harness.report.statistics.compared_settings import FIRST, compared_settings, gathered_notes, telling_columns
    from harness.report.statistics.selection import PLACE, row_named, select

    shared.check_format(style)
    chosen = shared.directions_of(directions)
    order = texts(by) or list(FIRST)
    for name in order:
        if name not in (*PLACE, "direction", "metric"):
            raise unknown_name("value of --by", name, (*PLACE, "direction", "metric"))
    selection = select(results, list(dict.fromkeys(texts(metrics))) or ["map"], where, chosen)
    first, second = (row_named(selection.frame, name, results) for name in (a, b))
    lines, notes = compared_settings(
        selection, first, second, results / "runs", by=order, resamples=resamples, seed=random_seed
    )
    columns = telling_columns(lines, order)
    notes += gathered_notes(lines, columns)
    _print(first, second, lines, columns, notes, style)


def _print(a: str, b: str, lines: list[Line], columns: list[str], notes: list[str], style: str) -> None:
    metrics = dict.fromkeys(line.setting["metric"] for line in lines)
    title = f"{', '.join(metrics)} of A = {a} and B = {b}"
    if style == "json":
        print_json({"a": a, "b": b, "lines": [_numbers(line) for line in lines], "notes": notes})
        return
    if style == "csv":
        rows = [_numbers(line) for line in lines]
        print_rows(list(rows[0]), [list(row.values()) for row in rows], "csv")
        shared.print_notes(notes)
        return
    header = [
        *(name.replace("_", " ") for name in columns), "A", "B", "A - B", "95 % interval", "p queries", "Holm queries",
        "p seeds", "Holm seeds", "seeds", "smallest p",
    ]  # fmt: skip
    body = aligned(
        [[*(_setting(name, line) for name in columns), *_cells(line)] for line in lines],
        headers=header,
        tablefmt=shared.FORMATS[style],
    )
    click.echo("\n".join([title, "", body, *[f"  {note}" for note in notes]]))


def _setting(name: str, line: Line) -> str:
    value = line.setting[name]
    if value is None:
        return "as given" if name == "noise" else ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cells(line: Line) -> list[str]:
    compared = line.comparison

    def value(number: float | None, sign: str = "") -> str:
        return "-" if number is None else f"{number:{sign}.4f}"

    interval = "-" if compared.low is None else f"{compared.low:+.4f} to {compared.high:+.4f}"
    seeds = f"{compared.n_seeds} data" if compared.n_data_seeds > 1 else str(compared.n_seeds)
    return [
        value(compared.mean_a), value(compared.mean_b), value(compared.effect, "+"), interval, _p(compared.p_queries),
        _p(line.holm_queries), _p(compared.p_seeds), _p(line.holm_seeds), seeds, f"{compared.smallest_p:.3g}",
    ]  # fmt: skip


def _p(p: float | None) -> str:
    return "-" if p is None else f"{p:.4f}" if p >= 0.00005 else f"{p:.0e}"


def _numbers(line: Line) -> dict[str, Any]:
    """All facts and numbers of a line, for JSON and CSV."""
    comparison = asdict(line.comparison)
    notes = comparison.pop("notes")
    return {
        **line.setting,
        **comparison,
        "p_queries_holm": line.holm_queries,
        "p_seeds_holm": line.holm_seeds,
        "notes": " ".join(notes),
    }
