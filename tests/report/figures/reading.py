"""Reading figures: what the lines of a panel are, and which texts the page cuts."""

from __future__ import annotations

from typing import Any

from harness.report.figures.sheet import styled


def points_of(axes: Any) -> dict[str, list[tuple[float, float]]]:
    """Colour of each line that has a marker to its points."""
    return {
        str(line.get_color()): [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
        for line in axes.lines
        if line.get_marker() not in ("None", "", None)
    }


def texts_outside(figure: Any) -> list[str]:
    """Texts that the page cuts."""
    from matplotlib.text import Text

    with styled():
        figure.canvas.draw()
    width, height = figure.bbox.width, figure.bbox.height
    cut, hidden = [], set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        hidden |= {
            tick.label1
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
            if not low <= tick.get_loc() <= high
        }
    for text in figure.findobj(Text):
        if text.get_visible() and text not in hidden and text.get_text().strip():
            box = text.get_window_extent()
            if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
                cut.append(text.get_text())
    return cut
