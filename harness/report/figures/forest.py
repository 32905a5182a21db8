"""Differences to one row, with intervals, over data sets and noise rates."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.errors import HarnessError
from harness.report.figures.records import DIRECTION, FigureRecords
from harness.report.figures.sheet import Drawn, Sheet, looks_of, name_shown
from harness.report.frame import DIRECTIONS
from harness.report.statistics.compared_settings import FIRST, Line, compared_settings, telling_columns
from harness.report.statistics.selection import row_named, select
from harness.text import counted

_DRAWS = 2000


def draw(source: FigureRecords, against: str, metric: str = "map") -> Drawn:
    """Draw the difference of each row to one, in every setting that both have; a panel for each direction.

    Args:
        source: The records.
        against: Row that the others are compared with.
        metric: The metric.

    Raises:
        HarnessError: As ``harness compare``: an unknown name, or no row has a setting in common with this one.
    """
    frame = source.read(())
    selection = select(source.results, [metric], directions=DIRECTIONS[:2], hashes=set(frame["hash"]))
    base = row_named(selection.frame, against, source.results)
    looks, lines, apart = looks_of(source.rows), {}, []
    for row in sorted(set(selection.frame["row"]) - {base}):
        try:
            its, notes = compared_settings(selection, row, base, source.results / "runs", resamples=_DRAWS)
        except HarnessError as error:
            apart.append(f"left out: {row}: {error}")
            continue
        lines[row] = [line for line in its if line.comparison.effect is not None]
        source.remarks += [note for note in notes if not note.startswith("left out") or "alone" not in note]
    lines = {row: its for row, its in lines.items() if its}
    source.remarks += apart
    if not lines:
        raise HarnessError(f"forest: no other row has a setting and seeds in common with {base!r}.")
    every = sorted((line for its in lines.values() for line in its), key=_order)
    granted = {row: f"{name_shown(row)}†" for row in lines if selection.grants([row])}
    names = [name for name in telling_columns(every, FIRST) if name not in ("direction", "metric")]
    telling = [name for name in names if len({str(line.setting[name]) for line in every}) > 1]
    by_dataset = {(line.setting["dataset"], line.setting["data"]) for line in every}
    if "data" in telling and len(by_dataset) == len({dataset for dataset, _ in by_dataset}):
        telling.remove("data")  # the fingerprint of what the name of the data set says
    if "precision" in telling and len(_precisions(lines, selection.frame)) < 2:
        telling.remove("precision")  # the other rows have no choice, and stand beside each
        names.remove("precision")
    directions = list(dict.fromkeys(line.setting["direction"] for line in every))
    settings = list(dict.fromkeys(_where(line, telling) for line in every))
    height = sum(0.3 + 0.17 * sum(_where(one, telling) == setting and one.setting["direction"] == directions[0]
                                  for one in every) for setting in settings)  # fmt: skip
    if height > 12:
        raise HarnessError(
            f"forest would have {counted(len(every), 'difference')}, more than a page holds: choose with --where, "
            "--dataset or --method."
        )
    sheet = Sheet(len(directions), kind="forest", across=2, size=(3.2, 0.8 + height))
    legend: dict[str, Any] = {}
    for place, direction in enumerate(directions):
        axes, y, ticks = sheet.panels[place], 0.0, []
        axes.axvline(0, color="0.4", linewidth=0.8)
        for setting in settings:
            start = y
            for row, its in lines.items():
                for line in its:
                    if line.setting["direction"] == direction and _where(line, telling) == setting:
                        shown = _difference(axes, y, line, looks[row])
                        legend.setdefault(granted.get(row, name_shown(row)), shown)
                        y += 0.17
            ticks.append((start + max(y - 0.17, start)) / 2)
            y += 0.3
        axes.set_ylim(y - 0.15, -0.25)
        names_of = [sheet.ruler.wrapped(setting, 8, 1.5) if place % 2 == 0 else "" for setting in settings]
        axes.set_yticks(ticks, names_of, linespacing=0.95)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.set_xlabel(f"difference in {metric}")
        sheet.title(place, DIRECTION.get(direction or None, ""))
    same = [_told(name, every[0]) for name in names if name not in (*telling, "data")]
    caption = [
        f"{metric} of each row minus that of {name_shown(base)}, {', '.join(same)}; right of the line a row is better."
        if same else f"{metric} of each row minus that of {name_shown(base)}.",
        f"Bars: 95 % intervals, bootstrap over seeds and queries of runs with equal seeds "
        f"({_pairs([line.comparison.n_pairs for line in every])}).",
        *(f"† {text}" for row in granted for text in selection.grants([row])),
    ]  # fmt: skip
    return sheet.finish(
        caption, [(shown, label) for label, shown in legend.items()], source.remarks, shows_caption=source.shows_caption
    )


def _difference(axes: Any, y: float, line: Line, look: Any) -> Any:
    compared = line.comparison
    if compared.low is not None and compared.high is not None:
        axes.plot([compared.low, compared.high], [y, y], color=look.colour, linewidth=1.3)
    return axes.plot([compared.effect], [y], marker=look.marker, color=look.colour, linestyle="none", markersize=4.5)[0]


def _order(line: Line) -> list[Any]:
    """Settings in the order of their values, unknown ones first."""
    return [(value is not None, value if value is not None else 0) for value in map(line.setting.get, FIRST)]


def _precisions(lines: dict[str, list[Line]], frame: pd.DataFrame) -> set[Any]:
    """The precisions of rows that have a choice."""
    choosing = set(frame.loc[frame["precision_chosen"].astype(bool), "row"])
    return {line.setting["precision"] for row, its in lines.items() if row in choosing for line in its}


def _where(line: Line, names: list[str]) -> str:
    return ", ".join(_told(name, line) for name in names) or "all"


def _told(name: str, line: Line) -> str:
    value = line.setting[name]
    text = "as given" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return text if name == "dataset" else f"{text} bits" if name == "bits" else f"{name.replace('_', ' ')} {text}"


def _pairs(numbers: list[int]) -> str:
    least, most = min(numbers), max(numbers)
    return counted(most, "pair") if least == most else f"{least} to {most} pairs"
