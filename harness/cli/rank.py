"""``harness rank``: average ranks over data sets, with tests and a critical-difference diagram."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cells.axes import texts
from harness.cli import statistics_options as shared
from harness.cli.json_output import print_json
from harness.cli.options import RESULTS
from harness.cli.rows import aligned, print_rows
from harness.errors import HarnessError, unknown_name
from harness.text import counted

if TYPE_CHECKING:
    from harness.report.statistics.block_scores import BlockScores
    from harness.report.statistics.rankings import Ranking


@click.command()
@click.argument("rows", nargs=-1, metavar="[ROW]...")
@RESULTS
@click.option("--metric", default="map", show_default=True, metavar="ID", help="Metric.")
@shared.where("noise=0.4 and bits=64")
@shared.DIRECTION
@click.option(
    "--blocks",
    multiple=True,
    metavar="NAME",
    help="What a block is, as a comma list (dataset, noise, bits, direction, ...).  [default dataset]",
)
@click.option("--by", multiple=True, metavar="NAME", help="A ranking for each value of these, as a comma list.")
@click.option(
    "--post-hoc",
    default="nemenyi",
    show_default=True,
    metavar="NAME",
    help="Which rows differ: nemenyi, or wilcoxon-holm.",
)
@click.option(
    "--alpha", type=click.FloatRange(0, 0.5, True, True), default=0.05, show_default=True, help="Level of that test."
)
@click.option(
    "--figure",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Critical-difference diagram, as svg, pdf or png (needs the extra figures).",
)
@shared.FORMAT
def command(
    rows: tuple[str, ...],
    results: Path,
    metric: str,
    where: str | None,
    directions: tuple[str, ...],
    blocks: tuple[str, ...],
    by: tuple[str, ...],
    post_hoc: str,
    alpha: float,
    figure: Path | None,
    style: str,
) -> None:
    """Rank rows of the tables by their average rank over data sets, and test whether the ranks differ.

    All rows are ranked unless some are named. Every data set counts once: its score is the mean over the noise rates,
    code lengths and directions that all rows have. See docs/statistics.md for the tests and when not to believe them.
    """
    from harness.api.comparisons import checked_directions
    from harness.report.frame import LOWER_IS_BETTER
    from harness.report.statistics.block_scores import block_scores
    from harness.report.statistics.rankings import POST_HOC, ranking
    from harness.report.statistics.selection import row_named, select

    shared.check_format(style)
    if post_hoc not in POST_HOC:
        raise unknown_name("value of --post-hoc", post_hoc, POST_HOC)
    chosen = checked_directions(texts(directions))
    if figure is not None:
        from harness.report.figures.sheet import check_figure

        check_figure(figure, "--figure")
    selection = select(results, [metric], where, chosen)
    named = list(dict.fromkeys(row_named(selection.frame, name, results) for name in rows))
    parts, notes = block_scores(selection, metric, texts(blocks) or ["dataset"], texts(by), named)
    if figure is not None and len(parts) > 1:
        raise HarnessError(
            f"--figure holds one ranking, and --by makes {len(parts)}: leave --by out or narrow it with --where."
        )
    higher = not set(selection.columns[metric].values()) & set(LOWER_IS_BETTER)
    rankings = [ranking(part.scores, higher_is_better=higher, post_hoc=post_hoc, alpha=alpha) for part in parts]
    _print(metric, parts, rankings, notes, style)
    if figure is not None:
        from harness.report.figures.ranks import critical_difference_diagram
        from harness.report.figures.sheet import write_figure

        write_figure(critical_difference_diagram(rankings[0]), figure, "--figure")
        click.echo(f"figure: {figure}", err=True)


def _print(metric: str, parts: list[BlockScores], rankings: list[Ranking], notes: list[str], style: str) -> None:
    if style == "json":
        contents = [_content(part, one) for part, one in zip(parts, rankings, strict=True)]
        print_json({"metric": metric, "rankings": contents, "notes": notes})
        return
    if style == "csv":
        lines = [
            (part.part, row, float(rank), len(one.blocks))
            for part, one in zip(parts, rankings, strict=True)
            for row, rank in zip(one.rows, one.average_ranks, strict=True)
        ]
        print_rows(["part", "row", "average_rank", "blocks"], lines, "csv")
        of_parts = [note for part, one in zip(parts, rankings, strict=True) for note in (*part.notes, *one.notes)]
        shared.print_notes([*notes, *of_parts])
        return
    for number, (part, one) in enumerate(zip(parts, rankings, strict=True)):
        click.echo(("\n" if number else "") + _shown(metric, part, one, shared.FORMATS[style]))
    for note in notes:
        click.echo(f"  {note}")


def _shown(metric: str, part: BlockScores, one: Ranking, style: str) -> str:
    title = f"average ranks by {metric}{', ' + part.part if part.part else ''}, {counted(len(one.blocks), 'block')}"
    lines = [
        [row, f"{rank:.2f}", *(f"{value:g}" for value in one.ranks[:, at]), f"{part.scores[row].mean():.4f}"]
        for at, (row, rank) in enumerate(zip(one.rows, one.average_ranks, strict=True))
    ]
    body = aligned(
        lines,
        headers=["row", "average rank", *one.blocks, "mean score"],
        tablefmt=style,
        stralign="right",
        colalign=["left"],
    )
    return "\n".join([title, "", body, *[f"  {note}" for note in [*_tests(one), *part.notes, *one.notes]]])


def _tests(one: Ranking) -> list[str]:
    """The tests in sentences."""
    n_rows, n_blocks = len(one.rows), len(one.blocks)
    sentences = []
    if one.friedman is not None and one.iman_davenport is not None:
        f_value = "infinite" if math.isinf(one.iman_davenport) else f"{one.iman_davenport:.2f}"
        sentences.append(
            f"Friedman: chi-square({n_rows - 1}) = {one.friedman:.2f}, p = {one.friedman_p:.3g}; Iman-Davenport: "
            f"F({n_rows - 1}, {(n_rows - 1) * (n_blocks - 1)}) = {f_value}, p = {one.iman_davenport_p:.3g}."
        )
    if one.critical_difference is not None:
        sentences.append(
            f"Nemenyi: average ranks that differ by more than {one.critical_difference:.2f} differ at {one.alpha:g}."
        )
    for (row, other), (p, corrected) in one.pairs.items():
        sentences.append(f"Wilcoxon: {row} and {other}: p = {p:.3g}, Holm {corrected:.3g}.")
    sentences += [f"not shown to differ: {', '.join(group)}." for group in one.groups]
    return sentences


def _content(part: BlockScores, one: Ranking) -> dict[str, Any]:
    """All facts and numbers of a ranking, for JSON; an infinite F is null."""
    return {
        "part": part.part,
        "rows": list(one.rows),
        "average_ranks": one.average_ranks.tolist(),
        "blocks": list(one.blocks),
        "ranks": one.ranks.tolist(),
        "scores": {row: part.scores[row].tolist() for row in one.rows},
        "friedman": one.friedman,
        "friedman_p": one.friedman_p,
        "iman_davenport": None if one.iman_davenport is None or math.isinf(one.iman_davenport) else one.iman_davenport,
        "iman_davenport_p": one.iman_davenport_p,
        "post_hoc": one.post_hoc,
        "alpha": one.alpha,
        "critical_difference": one.critical_difference,
        "pairs": [{"rows": list(pair), "p": p, "holm": corrected} for pair, (p, corrected) in one.pairs.items()],
        "groups": [list(group) for group in one.groups],
        "notes": [*part.notes, *one.notes],
    }
