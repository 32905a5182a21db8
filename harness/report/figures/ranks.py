"""Critical-difference diagram: average ranks on an axis, and bars over rows that are not shown to differ.

After J. Demsar, JMLR 7 (2006), figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import unknown_name
from harness.report.figures.sheet import Drawn, Ruler, name_shown, styled
from harness.report.frame import LOWER_IS_BETTER
from harness.report.statistics.block_scores import block_scores
from harness.report.statistics.rankings import ALPHA, POST_HOC, ranking
from harness.report.statistics.selection import select

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.report.figures.records import FigureRecords
    from harness.report.statistics.rankings import Ranking

_INCH_PER_RANK, _AXIS = 0.62, (2.6, 4.6)
_LINE, _BAR, _PAD = 0.2, 0.085, 0.08
"""Inches: between two names, between two bars, around everything."""


def draw(
    source: FigureRecords, metric: str = "map", blocks: Sequence[str] = ("dataset",), post_hoc: str = "nemenyi",
    alpha: float = ALPHA,
) -> Drawn:  # fmt: skip
    """Rank all rows of the records and draw the diagram.

    Args:
        source: The records.
        metric: The metric.
        blocks: What a block is.
        post_hoc: Which rows differ: a key of :data:`harness.report.statistics.rankings.POST_HOC`.
        alpha: Level of that test.

    Raises:
        HarnessError: As ``harness rank``.
    """
    if post_hoc not in POST_HOC:
        raise unknown_name("value of --post-hoc", post_hoc, POST_HOC)
    selection = select(source.results, [metric], hashes=set(source.read(())["hash"]))
    parts, notes = block_scores(selection, metric, blocks)
    higher = not set(selection.columns[metric].values()) & set(LOWER_IS_BETTER)
    ranked = ranking(parts[0].scores, higher_is_better=higher, post_hoc=post_hoc, alpha=alpha)
    source.remarks += [*notes, *parts[0].notes, *ranked.notes]
    figure = critical_difference_diagram(ranked, source.shows_caption)
    return Drawn(figure, f"{_caption(ranked)}. Ranks by {metric}.", tuple(source.remarks))


def critical_difference_diagram(ranking: Ranking, shows_caption: bool = True) -> Figure:
    """Draw the diagram; :func:`harness.report.figures.sheet.write_figure` writes it.

    Args:
        ranking: The ranking.
        shows_caption: Whether a line below says what it shows.
    """
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(dpi=200)
        _draw(figure, Ruler(figure), ranking, shows_caption)
    return figure


def _draw(figure: Figure, ruler: Ruler, ranking: Ranking, shows_caption: bool) -> None:
    n = len(ranking.rows)
    half = -(-n // 2)
    names = [name_shown(name) for name in ranking.rows]
    widths = [ruler.width(f"{name}  {rank:.2f}", 9) for name, rank in zip(names, ranking.average_ranks, strict=True)]
    left, right = max(widths[:half]) + 0.3, max(widths[half:]) + 0.3
    across = min(max(_INCH_PER_RANK * (n - 1), _AXIS[0]), _AXIS[1])
    distance = ranking.critical_difference
    above = 0.62 if distance is not None else 0.34
    levels = _levels(ranking)
    bars = 0.1 + _BAR * (max(levels, default=-1) + 1)
    below = bars + _LINE * half
    caption = _caption(ranking) if shows_caption else ""
    width, height = left + across + right + 2 * _PAD, above + below + 0.3 + 2 * _PAD
    told = "" if distance is None else f"CD = {distance:.2f}"
    if distance is not None:
        beyond = left + across * distance / (n - 1) + 0.06 + ruler.width(told, 9)
        width = max(width, beyond + 2 * _PAD)
    width = max(width, ruler.width(caption, 7) + 2 * _PAD)
    figure.set_size_inches(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    top, start = height - _PAD - above, _PAD + left

    def at(rank: float) -> float:
        return start + across * (rank - 1) / (n - 1)

    line: dict[str, Any] = {"color": "black", "solid_capstyle": "butt"}
    axes.plot([at(1), at(n)], [top, top], lw=0.9, **line)
    for rank in range(1, n + 1):
        axes.plot([at(rank)] * 2, [top, top + 0.08], lw=0.9, **line)
        if n <= 15 or rank % 2:
            axes.text(at(rank), top + 0.11, str(rank), ha="center", va="bottom", fontsize=8)
    for rank in range(1, n):
        axes.plot([at(rank + 0.5)] * 2, [top, top + 0.045], lw=0.6, **line)
    if distance is not None:
        ends, y = (at(1), at(1 + distance)), top + 0.42
        axes.plot(ends, [y, y], lw=0.9, **line)
        for x in ends:
            axes.plot([x, x], [y - 0.035, y + 0.035], lw=0.9, **line)
        axes.text(ends[1] + 0.06, y, told, ha="left", va="center", fontsize=8)
    for place, (name, rank) in enumerate(zip(names, ranking.average_ranks, strict=True)):
        on_left = place < half
        y = top - bars - _LINE * ((place if on_left else n - 1 - place) + 0.5)
        end = at(1) - 0.1 if on_left else at(n) + 0.1
        axes.plot([at(rank), at(rank), end], [top, y, y], lw=0.6, color="black", solid_joinstyle="miter")
        value = f"{rank:.2f}"
        text = f"{name}  {value}" if on_left else f"{value}  {name}"
        axes.text(end - 0.05 if on_left else end + 0.05, y, text, ha="right" if on_left else "left", va="center")
    for level, group in zip(levels, ranking.groups, strict=True):
        places = [ranking.average_ranks[ranking.rows.index(name)] for name in (group[0], group[-1])]
        y = top - 0.1 - _BAR * level
        axes.plot([at(places[0]) - 0.04, at(places[1]) + 0.04], [y, y], lw=2.6, **line)
    axes.text(width / 2, _PAD, caption, ha="center", va="bottom", fontsize=7, color="0.3")


def _levels(ranking: Ranking) -> list[int]:
    """A height for each bar, so that bars which overlap lie above each other."""
    ends: list[float] = []
    levels = []
    for group in ranking.groups:
        first, last = (ranking.average_ranks[ranking.rows.index(name)] for name in (group[0], group[-1]))
        level = next((number for number, end in enumerate(ends) if end < first - 0.15), len(ends))
        ends[level : level + 1] = [last]
        levels.append(level)
    return levels


def _caption(ranking: Ranking) -> str:
    """What the bars mean, in one line."""
    test = "Nemenyi" if ranking.post_hoc == "nemenyi" else "Wilcoxon, Holm"
    blocks = f"{len(ranking.blocks)} block{'' if len(ranking.blocks) == 1 else 's'}"
    return f"Average rank over {blocks}; bars join what is not shown to differ ({test}, α = {ranking.alpha:g})"
