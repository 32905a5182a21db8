"""What a method reaches, against what it takes: time, memory, energy, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.report.figures.records import FigureRecords, panel_title, row_label, seeds_told, told_apart
from harness.report.figures.sheet import Drawn, Sheet, looks_of, name_shown
from harness.report.tables.measures import measure_of
from harness.report.tables.table import Key


@dataclass(frozen=True)
class _Point:
    """A row: its cost and its quality, their deviations, how many runs, and the machine of a time."""

    row: Key
    x: float
    y: float
    beside: float
    above: float
    n: int
    basis: str


def draw(source: FigureRecords, metric: str = "map", cost: str = "timings/training") -> Drawn:
    """Draw a point for each row; a panel for each noise rate, direction and table.

    Args:
        source: The records.
        metric: The metric, upwards.
        cost: The cost, to the right.

    Raises:
        HarnessError: As ``harness table``; ``cost`` is no cost, no row has both numbers, or there are too many panels.
    """
    if cost.partition("/")[0] not in ("timings", "cost"):
        raise HarnessError(f"--cost {cost}: it takes columns timings/... and cost/..., such as timings/training.")
    made = source.tables([metric, cost], ("method",), ("direction", "metric"), ("dataset", "noise"))
    common, apart = told_apart(made.tables)
    value, price = measure_of(metric, source.known), measure_of(cost, source.known)
    panels = []
    for at, table in enumerate(made.tables):
        for direction in dict.fromkeys(column[0] for column in table.columns if column[1] == value.name):
            points = [
                _Point(
                    row, x.mean / price.scale, y.mean / value.scale, (x.std or 0.0) / price.scale,
                    (y.std or 0.0) / value.scale, y.n, x.basis,
                )
                for row in table.rows
                if (x := table.cells.get((row, (None, price.name))))
                and (y := table.cells[row, (direction, value.name)])
                and x.mean is not None and y.mean is not None
            ]  # fmt: skip
            if points:
                panels.append((at, direction, points))
    if not panels:
        raise HarnessError(f"cost: no row among these in {source.results}/runs has both {metric} and {cost}.")
    sheet = Sheet(len(panels), kind="cost", across=2, size=(3.1, 2.4))
    looks = looks_of(source.rows)
    legend: dict[str, Any] = {}
    lines, several_machines = 0, False
    for place, (at, direction, points) in enumerate(panels):
        table, axes = made.tables[at], sheet.panels[place]
        for point in points:
            look = looks[str(point.row[0])]
            shown = axes.errorbar(
                [point.x], [point.y], [point.above], [point.beside], color=look.colour, marker=look.marker,
                markersize=6, linewidth=0.8, linestyle="none",
            )  # fmt: skip
            legend.setdefault(row_label(table, point.row), shown)
        if len({point.basis for point in points}) == 1:
            lines += _best_line(axes, [(point.x, point.y) for point in points])
        else:
            several_machines = True
        costs = [point.x for point in points]
        if min(costs) > 0 and max(costs) > 5 * min(costs):
            _by_ratio(axes)
        axes.set(xlabel=price.header)
        axes.set_ylabel(value.header)
        sheet.title(place, panel_title(apart[at], direction, common))
    caption = [
        f"{metric} against {price.label or cost}, {common}.",
        source.definition(made, metric),
        f"Means over {seeds_told([point.n for *_, points in panels for point in points])}; bars: ± one standard "
        "deviation (n - 1).",
        "Line: what no other method beats in both." if lines else "",
        "Where machines or devices differ there is no line, since their times are not comparable." if several_machines
        else "",
        *source.granted(list(legend)),
    ]  # fmt: skip
    return sheet.finish(
        caption, [(line, name_shown(label)) for label, line in legend.items()], source.remarks,
        shows_caption=source.shows_caption,
    )  # fmt: skip


def pareto(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both: less to the right, more upwards; from left to right."""
    best: list[tuple[float, float]] = []
    for x, y in sorted(places, key=lambda place: (place[0], -place[1])):
        if not best or y > best[-1][1]:
            best.append((x, y))
    return best


def _best_line(axes: Any, places: Sequence[tuple[float, float]]) -> bool:
    """Draw the line of the best; False where one point beats all others, which needs none."""
    best = pareto(places)
    if len(best) > 1:
        axes.step(*zip(*best, strict=True), where="post", color="0.45", linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    return len(best) > 1


def _by_ratio(axes: Any) -> None:
    """Equal ratios equally far apart, with numbers as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
