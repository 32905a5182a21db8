"""Training: the loss of each epoch, and how well the detector told wrong pairs then."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.report.figures.records import FigureRecords, cells_of, row_label, seeds_told, told_apart
from harness.report.figures.sheet import COLOURS, Drawn, Sheet, name_shown
from harness.text import one_line

LOSS, AREA = COLOURS[:2]

_LOSS, _AREA = ("curve_loss", "curve_phase"), ("curve_detector_epoch", "curve_detector_auroc")


def draw(source: FigureRecords) -> Drawn:
    """Draw the curves of each row and noise rate in a panel of their own.

    Args:
        source: The records.

    Raises:
        HarnessError: As ``harness table``; no run was trained by epochs, or there are too many panels.
    """
    made = source.runs(("method",), ("noise",), ("dataset",))
    common, apart = told_apart(made.tables)
    cells = [
        (table, row, column, runs)
        for table, row, column, cell in cells_of(made)
        if (runs := source.arrays(made, cell, _LOSS, _AREA, alike=[_LOSS, _AREA]))
    ]
    source.check_drawn(cells, "training", "a loss by epoch")
    sheet = Sheet(len(cells), kind="training", across=2, size=(3.4, 2.2))
    rates = {table.column_label(column)[0] for table, _, column, _ in cells}
    handles: dict[str, Any] = {}
    for place, (table, row, column, runs) in enumerate(cells):
        axes = sheet.panels[place]
        epochs = min(len(run["curve_loss"]) for run in runs)
        losses = np.array([run["curve_loss"][:epochs] for run in runs], dtype=np.float64)
        handles.setdefault("loss (left)", _band(axes, np.arange(1, epochs + 1), losses, LOSS, "o", "solid"))
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss", color=LOSS)
        _phases(axes, [str(name) for name in runs[0]["curve_phase"][:epochs]], sheet)
        watched = [
            run for run in runs if "curve_detector_auroc" in run and np.isfinite(run["curve_detector_auroc"]).any()
        ]
        if watched:
            number = min(len(run["curve_detector_epoch"]) for run in watched)
            right = axes.twinx()
            right.grid(False)
            right.set_ylim(0, 1.02)
            right.set_ylabel("AUROC of the detector", color=AREA)
            areas = np.array([run["curve_detector_auroc"][:number] for run in watched], dtype=np.float64)
            at = watched[0]["curve_detector_epoch"][:number]
            handles.setdefault("AUROC of the detector (right)", _band(right, at, areas, AREA, "s", (0, (4, 1.5))))
        noise = f"noise {table.column_label(column)[0]}" if len(rates) > 1 else ""
        where = ", ".join(filter(None, [apart[made.tables.index(table)], noise]))
        sheet.title(place, f"{name_shown(row_label(table, row))}{f' ({where})' if where else ''}")
    rate = f", noise {next(iter(rates))}" if len(rates) == 1 else ""
    caption = [
        f"Training by epoch, {common}{rate}.",
        f"Means over {seeds_told([len(runs) for *_, runs in cells])}, bands: ± one standard deviation (n - 1). Losses "
        "of different methods are not comparable. Dotted: a phase begins; its name stands above.",
        "AUROC: the chance that a wrong pair has less weight than a right one (0.5 is guessing); open where a run "
        "has none." if len(handles) > 1 else "",
        *source.granted({row_label(table, row) for table, row, *_ in cells}),
    ]  # fmt: skip
    return sheet.finish(
        caption, [(line, label) for label, line in handles.items()], source.remarks, shows_caption=source.shows_caption
    )


def _band(axes: Any, at: np.ndarray, values: np.ndarray, colour: str, marker: str, dashes: Any) -> Any:
    """Mean and deviation; epochs without a value in every run are left open."""
    mean = values.mean(axis=0)
    if len(values) > 1:
        spread = values.std(axis=0, ddof=1)
        axes.fill_between(at, mean - spread, mean + spread, color=colour, alpha=0.18, linewidth=0)
    every = max(1, len(at) // 10)
    (line,) = axes.plot(at, mean, color=colour, marker=marker, linestyle=dashes, markersize=3, markevery=every)
    return line


def _phases(axes: Any, names: list[str], sheet: Sheet) -> None:
    """A line where a phase begins, and its name as far as it has room."""
    starts = [at for at, name in enumerate(names) if at == 0 or names[at - 1] != name]
    if len(starts) < 2:
        return
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.14 * (high - low))
    left, right = axes.get_xlim()
    for start, end in zip(starts, [*starts[1:], len(names)], strict=True):
        if start:
            axes.axvline(start + 0.5, color="0.35", linewidth=0.8, linestyle=(0, (1, 1.5)))
        room = (end - start) / (right - left) * 1.9
        name = one_line(names[start])
        while name and sheet.ruler.width(name, 7) > room:
            name = name[:-2] + "…" if len(name) > 2 else ""
        axes.text((start + end + 1) / 2, 0.975, name, transform=axes.get_xaxis_transform(), ha="center", va="top",
                  fontsize=7, color="0.25")  # fmt: skip
