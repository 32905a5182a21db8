"""Precision against recall: the items within each Hamming radius of a query."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.report.figures.records import DIRECTION, FigureRecords, cells_of, row_label, seeds_told, told_apart
from harness.report.figures.sheet import Drawn, Sheet, looks_of, name_shown

DIRECTIONS = ("i2t", "t2i")


def draw(source: FigureRecords) -> Drawn:
    """Draw a line for each row, a point for each radius; a panel for each direction, noise rate and table.

    Args:
        source: The records.

    Raises:
        HarnessError: As ``harness table``; no run has these curves, or there are too many panels.
    """
    made = source.runs(("method",), ("noise",), ("dataset",))
    common, apart = told_apart(made.tables)
    names = {direction: [f"curve_{direction}_{what}_by_radius" for what in ("precision", "recall")]
             for direction in DIRECTIONS}  # fmt: skip
    curves: dict[tuple[str, str], list[tuple[str, str, np.ndarray, int]]] = {}
    rates = {column for _, _, column, _ in cells_of(made)}
    for table, row, column, cell in cells_of(made):
        runs = source.arrays(made, cell, names["i2t"], names["t2i"], alike=list(names.values()))
        noise = f"noise {table.column_label(column)[0]}"
        where = ", ".join(filter(None, [apart[made.tables.index(table)], noise if len(rates) > 1 else ""]))
        for direction in DIRECTIONS:
            its = [np.stack([run[name] for name in names[direction]]) for run in runs if names[direction][0] in run]
            if its:
                label = row_label(table, row)
                curves.setdefault((where, direction), []).append((str(row[0]), label, np.mean(its, axis=0), len(its)))
    source.check_drawn(curves, "precision-recall", "precision and recall by radius")
    sheet = Sheet(len(curves), kind="precision-recall", across=2)
    looks = looks_of(source.rows)
    legend: dict[str, Any] = {}
    for place, ((where, direction), lines) in enumerate(curves.items()):
        axes = sheet.panels[place]
        for name, label, (precision, recall), _ in lines:
            reached = recall > 0  # a ball without a relevant item for any query says nothing of precision
            (line,) = axes.plot(recall[reached], precision[reached], **looks[name].line, markersize=3)
            legend.setdefault(name_shown(label), line)
        axes.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(0, 1.03))
        sheet.title(place, ", ".join(filter(None, [where, DIRECTION[direction]])))
    rate = "" if len(rates) > 1 else f", noise {made.tables[0].column_label(next(iter(rates)))[0]}"
    caption = [
        f"Precision and recall, {common}{rate}.",
        "Each point is a Hamming radius, from the smallest to the code length: of the items within it, the share that "
        "is relevant, and the share of the relevant items that it holds; means over queries (nothing within the "
        f"radius: precision 0) and over {seeds_told([n for lines in curves.values() for *_, n in lines])}.",
        *source.granted({label for lines in curves.values() for _, label, *_ in lines}),
    ]
    return sheet.finish(
        caption, [(line, label) for label, line in legend.items()], source.remarks, shows_caption=source.shows_caption
    )
