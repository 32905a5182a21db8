"""Comparison tables from records: from a frame of runs to tables that can be printed.

A table goes through modules in this order: ``selection`` says which runs count, ``pivot`` puts them into cells and
keeps apart what is not comparable, ``footnotes`` says what differs and why cells are empty, ``ranking`` marks the best
and tests it; ``text``, ``latex``, ``html`` and ``long_frame`` print.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from harness.report.run_fates import superseded, with_fates
from harness.report.tables.footnotes import REALISED_RATES, TOLD_FACTS, annotate
from harness.report.tables.measures import measure_of
from harness.report.tables.pivot import Pivoted, TableLayout, pivot
from harness.report.tables.ranking import rank
from harness.report.tables.table import Table
from harness.report.tables.text import as_text

__all__ = ["Table", "TableLayout", "build", "comparison_tables", "render", "superseded"]

RECORD_COLUMNS = (*TOLD_FACTS, *REALISED_RATES, "preset", "folder")
"""Columns beside the facts of every frame that tables make use of, where the frame has them."""


def build(
    frame: pd.DataFrame,
    layout: TableLayout,
    *,
    limited: bool = False,
    drop_empty: bool = False,
    why_not: Callable[[Mapping[str, Any]], str] | None = None,
) -> Pivoted:
    """Tables with titles, footnotes and ranks.

    Args:
        frame: Records, see :func:`harness.report.load_records`.
        layout: What to show.
        limited: Keep runs on a limited number of images (they never stand beside full runs).
        drop_empty: Leave out rows and columns without any value, with a note.
        why_not: Says of the values of a cell without runs why it cannot be run; "" where it can.

    Returns:
        The tables, and the runs behind them.

    Raises:
        HarnessError: A cell would average over something else than seeds.
    """
    numbers = [column for measure in layout.measures for column in measure.columns.values()]
    if frame.empty:
        return Pivoted([], frame, [], {})
    runs, contradictions = with_fates(frame, numbers, limited=limited)
    pivoted = pivot(runs, layout)
    if drop_empty:
        for table in pivoted.tables:
            table.drop_empty()
    annotate(pivoted, contradictions, why_not)
    for table in pivoted.tables:
        rank(table)
    return pivoted


def comparison_tables(frame: pd.DataFrame, metric: str, *, limited: bool = False) -> list[Table]:
    """Tables of a metric: methods by direction and noise rate.

    Args:
        frame: Records, see :func:`harness.report.frame.records_frame`.
        metric: Metric id.
        limited: Keep runs on a limited number of images (they never stand beside full runs).

    Returns:
        A table for each group of comparable records; none where no finished record has the metric.
    """
    measure = measure_of(metric, frame.columns)
    return build(frame, TableLayout((measure,)), limited=limited).tables


def render(table: Table, style: str = "simple") -> str:
    """A table as text, see :func:`harness.report.tables.text.as_text`."""
    return as_text(table, style)
