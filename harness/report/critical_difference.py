"""Critical-difference diagram: average ranks on an axis, and bars over rows that are not shown to differ.

After J. Demsar, JMLR 7 (2006), figure 1. Needs matplotlib (the extra ``figures``), imported when it is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, unknown_name
from harness.files.whole import write_whole

if TYPE_CHECKING:
    from harness.report.statistics.rankings import Ranking

FORMATS = (".svg", ".pdf", ".png")

_INCH_PER_RANK, _AXIS = 0.62, (2.6, 4.6)
_LINE, _BAR, _PAD = 0.2, 0.085, 0.08
"""Inches: between two names, between two bars, around everything."""

_STYLE = {
    "font.family": "serif",
    "font.serif": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 9,
    "svg.fonttype": "path",  # the same in every browser, whatever fonts it has
    "svg.hashsalt": "harness",  # the same ranking gives the same bytes
    "pdf.fonttype": 42,
}


def check_figure(path: Path) -> None:
    """Whether a figure can be written there, before anything is computed.

    Raises:
        HarnessError: The ending is none of :data:`FORMATS`, the folder is missing, or matplotlib is.
    """
    if path.suffix.lower() not in FORMATS:
        raise unknown_name("ending of --figure", path.suffix or path.name, FORMATS)
    if not path.absolute().parent.is_dir():
        raise HarnessError(f"--figure {path}: there is no folder {path.parent}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise HarnessError("--figure needs matplotlib: pip install 'noisy-hashing-harness[figures]'.") from None


def critical_difference_diagram(ranking: Ranking, path: Path) -> None:
    """Draw the diagram.

    Args:
        ranking: The ranking.
        path: The file to write; its ending says in which format.

    Raises:
        HarnessError: As :func:`check_figure`, or the file cannot be written.
    """
    check_figure(path)
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(dpi=200)
        _draw(figure, FigureCanvasAgg(figure).get_renderer(), ranking)
        ending = path.suffix.lower()
        dated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[ending]
        write_whole(path, "--figure", lambda opened: figure.savefig(opened, format=ending[1:], metadata=dated))


def _draw(figure: Any, renderer: Any, ranking: Ranking) -> None:
    n = len(ranking.rows)
    half = -(-n // 2)
    labels = [f"{name}  {rank:.2f}" for name, rank in zip(ranking.rows, ranking.average_ranks, strict=True)]
    widths = [_width(figure, renderer, label) for label in labels]
    left, right = max(widths[:half]) + 0.3, max(widths[half:]) + 0.3
    across = min(max(_INCH_PER_RANK * (n - 1), _AXIS[0]), _AXIS[1])
    distance = ranking.critical_difference
    above = 0.62 if distance is not None else 0.34
    levels = _levels(ranking)
    bars = 0.1 + _BAR * (max(levels, default=-1) + 1)
    below = bars + _LINE * half
    caption = _caption(ranking)
    width, height = left + across + right + 2 * _PAD, above + below + 0.3 + 2 * _PAD
    told = "" if distance is None else f"CD = {distance:.2f}"
    if distance is not None:
        beyond = left + across * distance / (n - 1) + 0.06 + _width(figure, renderer, told)
        width = max(width, beyond + 2 * _PAD)
    width = max(width, _width(figure, renderer, caption, 7) + 2 * _PAD)
    figure.set_size_inches(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    top, start = height - _PAD - above, _PAD + left

    def at(rank: float) -> float:
        return start + across * (rank - 1) / (n - 1)

    line = {"color": "black", "solid_capstyle": "butt"}
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
    for place, (name, rank) in enumerate(zip(ranking.rows, ranking.average_ranks, strict=True)):
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


def _width(figure: Any, renderer: Any, text: str, size: float = 9) -> float:
    """Width of a text in inches."""
    shown = figure.text(0, 0, text, fontsize=size)
    extent = shown.get_window_extent(renderer).width / figure.dpi
    shown.remove()
    return float(extent)
