"""Robustness as a table: the area under the noise curve of each row, and what it loses between no noise and most.

The numbers and their intervals are those of :func:`harness.report.statistics.robustness`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from harness.report.frame import plain
from harness.report.tables.measures import Measure
from harness.report.tables.table import TableCell

if TYPE_CHECKING:
    from harness.report.statistics import Robustness

SUMMARIES = {"area": ("area", True), "drop": ("drop", False), "relative": ("relative drop", False)}
"""Attribute of :class:`harness.report.statistics.Robustness` to label, and whether higher is better."""

_DRAWS = 1000
"""Of the bootstrap: hundreds of curves stay within seconds, and three printed digits need no more."""


def curve_measures(measure: Measure) -> tuple[Measure, ...]:
    """The summaries of a metric's noise curve, as measures of its own columns."""
    return tuple(
        replace(measure, name=f"{measure.name} {name}", label=label, higher_is_better=better)
        for name, (label, better) in SUMMARIES.items()
    )


class CurveSummary:
    """Fills cells whose runs are a noise curve; each curve is summarised once for all its measures."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[int, ...], str], Robustness] = {}
        self._rates: list[float | None] = []

    def __call__(self, cell: TableCell, frame: pd.DataFrame) -> None:
        """Replace mean and deviation by the summary and its interval.

        Args:
            cell: The cell, filled with the runs of all noise rates.
            frame: The runs.
        """
        key = (cell.records, cell.column)
        if key not in self._known:
            self._known[key] = self._summary(frame, cell)
        summary = self._known[key]
        name = cell.measure.name.rpartition(" ")[2]
        cell.mean, cell.std = getattr(summary, name), None
        cell.low, cell.high = getattr(summary, f"{name}_low"), getattr(summary, f"{name}_high")
        cell.n = summary.n_pairs if cell.mean is not None else 0
        rates = [self._rates[i] for i in cell.records]
        on_curve = {(seeds, rate): i for seeds, rate, i in zip(cell.seeds, rates, cell.records, strict=True)}
        whole = [
            seeds for seeds in dict.fromkeys(cell.seeds) if all((seeds, rate) in on_curve for rate in summary.rates)
        ]
        cell.seeds = tuple(whole) if cell.mean is not None else ()
        cell.basis = f"noise rates {', '.join(f'{rate:g}' for rate in summary.rates)}"
        if cell.mean is None:
            cell.reason = "; ".join(note.rstrip(".") for note in summary.notes) or "there is no noise curve"
        else:
            cell.remarks = tuple(note.rstrip(".") for note in summary.notes if note.startswith("left out"))

    def _summary(self, frame: pd.DataFrame, cell: TableCell) -> Robustness:
        from harness.report.statistics import robustness
        from harness.report.statistics.samples import columns_of

        if len(self._rates) != len(frame):
            self._rates = [plain(rate) for rate in frame["noise"].tolist()]
        narrow = frame[columns_of(frame, cell.column)]  # taking rows of all columns takes longer than the summary
        return robustness(narrow.iloc[list(cell.records)], cell.column, resamples=_DRAWS)
