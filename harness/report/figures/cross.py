"""Every hasher with every detector: what a detector gains over none."""

from __future__ import annotations

import numpy as np

from harness.errors import HarnessError
from harness.report.figures.records import FigureRecords, panel_title, row_label, seeds_told, told_apart
from harness.report.figures.sheet import Drawn, Sheet, name_shown
from harness.report.tables.table import Key, Table

NONE = "none"


def draw(source: FigureRecords, metric: str = "map") -> Drawn:
    """Draw a square for each hasher and detector; a panel for each noise rate, direction and table.

    Args:
        source: The records.
        metric: The metric.

    Raises:
        HarnessError: As ``harness table --preset cross``; no hasher has runs with and without a detector, or there are
            too many panels.
    """
    made = source.tables([metric], ("hasher", "objective"), ("direction", "detector"), ("dataset", "noise"))
    common, apart = told_apart(made.tables)
    panels = []
    mixed: dict[str, None] = {}
    numbers: list[int] = []
    for at, table in enumerate(made.tables):
        measure = next(iter(table.measures.values()))
        for direction in dict.fromkeys(column[0] for column in table.columns):
            detectors = [column for column in table.columns if column[0] == direction and column[1] != NONE]
            gains = np.full((len(table.rows), len(detectors)), np.nan)
            for i, row in enumerate(table.rows):
                base = table.cells.get((row, (direction, NONE)))
                for j, column in enumerate(detectors):
                    cell = table.cells[row, column]
                    if base is not None and base.mean is not None and cell.mean is not None:
                        gains[i, j] = (cell.mean - base.mean) / measure.scale
                        numbers += [cell.n, base.n]
                        methods = dict.fromkeys(made.frame["method"].iloc[[*base.records, *cell.records]])
                        mixed |= methods if len(methods) > 1 else {}
            rows, held = (np.flatnonzero(np.isfinite(gains).any(axis=axis)) for axis in (1, 0))
            if len(rows):
                named = [table.rows[i] for i in rows], [detectors[j] for j in held]
                panels.append((at, direction, *named, gains[np.ix_(rows, held)]))
    if not panels:
        raise HarnessError(
            "cross: no hasher has runs both with detector none and with another one, so there is no gain."
        )
    widest = max(len(detectors) for _, _, _, detectors, _ in panels)
    tallest = max(len(rows) for _, _, rows, _, _ in panels)
    sheet = Sheet(len(panels), kind="cross", across=2, size=(1.5 + 0.55 * widest, 1.35 + 0.32 * tallest))
    largest = max(float(np.nanmax(np.abs(gains))) for *_, gains in panels) or 1.0
    for place, (at, direction, its, detectors, gains) in enumerate(panels):
        table, axes = made.tables[at], sheet.panels[place]
        axes.grid(False)
        axes.imshow(gains, cmap="PuOr_r", vmin=-2 * largest, vmax=2 * largest, aspect="auto")
        for i, j in np.ndindex(*gains.shape):
            text = f"{gains[i, j]:+.3f}" if np.isfinite(gains[i, j]) else "-"
            axes.text(j, i, text, ha="center", va="center", fontsize=7.5, color="black")
        names = [sheet.ruler.wrapped(name_shown(row_label(table, row)), 8, 1.3) for row in its]
        axes.set_yticks(range(len(its)), names)
        shown = [sheet.ruler.wrapped(_name(table, column), 8, 1.1) for column in detectors]
        axes.set_xticks(range(len(detectors)), shown, rotation=35, ha="right", rotation_mode="anchor")
        axes.tick_params(length=0)
        sheet.title(place, panel_title(apart[at], direction, common))
    caption = [
        f"Gain in {metric} of each detector (columns) over none, for each hasher (rows), {common}.",
        source.definition(made, metric),
        f"Differences of means over {seeds_told(numbers)}; orange is a gain, violet a loss, - was not run.",
        f"Some gains are between methods of one hasher ({', '.join(map(name_shown, mixed))}), which may differ in more "
        "than the detector."
        if mixed
        else "",
        *(f"† {text}" for text in source.remarks if " was granted " in text),
    ]
    return sheet.finish(caption, (), source.remarks, shows_caption=source.shows_caption)


def _name(table: Table, column: Key) -> str:
    """A detector, with a dagger where it was granted more than others."""
    granted = any("†" in table.cells[row, column].marks for row in table.rows)
    return name_shown(table.label("detector", column[1])) + "†" * granted
