"""A metric by what was varied: noise rate, code length, or the number of ranks that are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.report.figures.records import FigureRecords, panel_title, row_label, seeds_told, told_apart
from harness.report.figures.sheet import Drawn, Look, Sheet, looks_of, name_shown
from harness.report.tables.published import AXIS, PUBLISHED, add_published
from harness.report.tables.table import Key, Table, TableCell
from harness.text import counted


@dataclass(frozen=True)
class _Scale:
    """The axis to the right.

    Attributes:
        axis: Axis of tables whose values it shows.
        label: What it says.
        value: From the value of a column to its place; None where it has none.
        ratio: Whether equal ratios are equally far apart.
        told: What lacks a place, for the remark.
    """

    axis: str
    label: str
    value: Callable[[Any], float | None]
    ratio: bool = False
    told: str = ""


def noise_curve(source: FigureRecords, metric: str = "map", published: bool = False) -> Drawn:
    """A metric by noise rate: a line for each row, a panel for each direction and table.

    Args:
        source: The records.
        metric: The metric.
        published: Draw the published numbers of the same methods, too.

    Raises:
        HarnessError: As ``harness table``; or no run has a noise rate, or there are too many panels.
    """
    scale = _Scale("noise", "noise rate (share of untrusted pairs)", _number, told="whose noise rate nobody knows")
    return _curves(source, "noise-curve", [metric], ("dataset",), scale, published)


def bits(source: FigureRecords, metric: str = "map") -> Drawn:
    """A metric by code length; a panel for each noise rate, direction and table. Raises as :func:`noise_curve`."""
    scale = _Scale("bits", "code length (bits)", _number, ratio=True)
    return _curves(source, "bits", [metric], ("dataset", "noise"), scale)


def precision_at(source: FigureRecords, metric: str = "p") -> Drawn:
    """A metric of the first K ranks by K; panels as of :func:`bits`.

    Args:
        source: The records.
        metric: The metric without its K: "p" for precision, "r", "ndcg", "map", ...

    Raises:
        HarnessError: As :func:`noise_curve`, or the records have no K of the metric.
    """
    found = {name.partition("/")[2] for name in source.known if name.partition("/")[2].startswith(f"{metric}@")}
    its = sorted(
        (name for name in found if name.rpartition("@")[2].isdigit()), key=lambda name: int(name.split("@")[1])
    )
    if not its:
        families = sorted({name.partition("/")[2].partition("@")[0] for name in source.known if "@" in name})
        raise HarnessError(
            f"no record has {metric}@K for any K; --metric takes {', '.join(families) or 'none of them'}."
        )
    scale = _Scale("metric", "K (ranks)", lambda name: float(name.rpartition("@")[2]), ratio=True)
    return _curves(source, "precision-at", its, ("dataset", "noise"), scale, name=f"{metric}@K")


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _curves(
    source: FigureRecords, kind: str, metrics: Sequence[str], by: Sequence[str], scale: _Scale, published: bool = False,
    name: str = "",
) -> Drawn:  # fmt: skip
    made = source.tables(metrics, ("method",), ("direction", scale.axis), by)
    metric = name or metrics[0]
    definition = source.definition(made, metrics[0])
    if published:
        source.remarks += add_published(made, source.published())
    longest = {
        (at, direction): max(len(_points(table, row, direction, scale)) for row in table.rows)
        for at, table in enumerate(made.tables)
        for direction in dict.fromkeys(column[0] for column in table.columns)
    }
    several = max(longest.values()) > 1
    panels = [panel for panel, points in longest.items() if points > several]
    if not panels:
        raise HarnessError(f"{kind}: nothing to draw, since all runs are ones {scale.told or 'without a value'}.")
    if any(points == 1 for points in longest.values()) and several:
        alone = sum(points == 1 for points in longest.values())
        source.remarks.append(f"left out: {counted(alone, 'panel')} with one {scale.label.partition(' (')[0]} alone.")
    across = len({direction for _, direction in panels})
    sheet = Sheet(len(panels), kind=kind, across=across if across > 1 else 3)
    common, apart = told_apart(made.tables)
    looks, numbers, grey = looks_of(source.rows), [], False
    legend: dict[str, Any] = {}
    labels: set[str] = set()
    left_out: dict[str, None] = {}
    for place, (at, direction) in enumerate(panels):
        table, axes = made.tables[at], sheet.panels[place]
        measure = next(iter(table.measures.values()))
        for number, row in enumerate(table.rows):
            points = _points(table, row, direction, scale)
            if any(scale.value(column[1]) is None and table.cells[row, column].n for column in table.columns):
                left_out[row_label(table, row)] = None
            printed = AXIS in table.row_axes and row[-1] == PUBLISHED
            own = table.rows[number + 1] if printed else row  # a published row stands above ours
            look = looks.get(str(own[0]))
            if not points or look is None or (AXIS in table.row_axes and row[-1] not in (PUBLISHED, "ours")):
                continue
            if printed:
                line = _published_line(axes, points, look)
                grey |= any(cell.grey for _, cell in points)
                legend.setdefault(f"{name_shown(str(row[0]))}, published", line)
            else:
                line = _own_line(axes, points, look, measure.scale)
                numbers += [cell.n for _, cell in points]
                label = row_label(_without_numbers(table), row[:1])
                labels.add(label)
                legend.setdefault(name_shown(label), line)
        axes.set_xlabel(scale.label)
        if place % across == 0 or across == 1:
            axes.set_ylabel(metric if name else measure.header)
        if scale.ratio:
            _ratio_scale(axes, [x for row in table.rows for x, _ in _points(table, row, direction, scale)])
        sheet.title(place, panel_title(apart[at], direction, common))
    caption = [
        f"{metric}, {common}." if common else f"{metric}.",
        definition.replace(metrics[0], metric, 1),
        f"Means over {seeds_told(numbers)}; bands: ± one standard deviation (n - 1)."
        if max(numbers, default=1) > 1 else "One run each, so there are no bands.",
        "Dashed with open markers: as published." if any(label.endswith(", published") for label in legend) else "",
        "Not all published numbers were made under these conditions (harness table --published says how they differ)."
        if grey else "",
        *source.granted(labels),
    ]  # fmt: skip
    if left_out:
        source.remarks.append(f"left out: runs of {', '.join(left_out)} {scale.told}.")
    return sheet.finish(
        caption, [(line, label) for label, line in legend.items()], source.remarks, shows_caption=source.shows_caption
    )


def _without_numbers(table: Table) -> Table:
    """A table whose rows are methods alone, for their labels."""
    return Table(
        "", {}, table.row_axes[:1], (), [], [], {}, row_marks={row[:1]: m for row, m in table.row_marks.items()}
    )


def _points(table: Table, row: Key, direction: Any, scale: _Scale) -> list[tuple[float, TableCell]]:
    """Places and cells of a line, from left to right."""
    found = [
        (x, cell)
        for column in table.columns
        if column[0] == direction
        and (cell := table.cells[row, column]).mean is not None
        and (x := scale.value(column[1])) is not None
    ]
    return sorted(found, key=lambda point: point[0])


def _own_line(axes: Any, points: Sequence[tuple[float, TableCell]], look: Look, unit: float) -> Any:
    places = [x for x, _ in points]
    means = [cell.mean / unit for _, cell in points if cell.mean is not None]
    (line,) = axes.plot(places, means, **look.line)
    spread = [
        (x, cell.mean / unit, cell.std / unit) for x, cell in points if cell.mean is not None and cell.std is not None
    ]
    if len(spread) > 1:
        xs, middle, wide = zip(*spread, strict=True)
        low, high = ([m + sign * w for m, w in zip(middle, wide, strict=True)] for sign in (-1, 1))
        axes.fill_between(xs, low, high, color=look.colour, alpha=0.15, linewidth=0)
    elif spread:
        place, mean, deviation = spread[0]
        axes.errorbar([place], [mean], [deviation], color=look.colour, capsize=2.5, linewidth=0.9)
    return line


def _published_line(axes: Any, points: Sequence[tuple[float, TableCell]], look: Look) -> Any:
    (line,) = axes.plot(
        [x for x, _ in points], [cell.mean for _, cell in points], color=look.colour, marker=look.marker,
        linestyle=(0, (2, 2)), linewidth=0.9, markerfacecolor="white",
    )  # fmt: skip
    return line


def _ratio_scale(axes: Any, places: Sequence[float]) -> None:
    """Equal ratios equally far apart, and a tick for each value."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    values = sorted(set(places))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{value:g}" for value in values]))
    axes.xaxis.set_minor_locator(NullLocator())
