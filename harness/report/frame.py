"""Records as a pandas data frame, one row for each finished run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.plugin.metric_ids import DIRECTIONS
from harness.records.facts import FACTS, NOT_CODE, SETTING, facts, metric_values

if TYPE_CHECKING:
    from harness.records.index import RunIndex
    from harness.records.schema import RunRecord

__all__ = ["DIRECTIONS", "LOWER_IS_BETTER", "NOT_CODE", "SETTING", "load_records", "plain", "records_frame"]

LOWER_IS_BETTER = ("detector/brier", "detector/ece")
"""Columns of metrics of which less is better; of all others more is."""


def load_records(
    results: Path | str = "results",
    metrics: Sequence[str] | None = None,
    more: Sequence[str] = (),
    where: str | None = None,
) -> pd.DataFrame:
    """All records of a results folder, by way of its index.

    Args:
        results: The folder.
        metrics: Metric ids whose columns are wanted, which is faster than all of them.
        more: Columns that the index has besides, see :data:`harness.records.index_tables.MORE_FACTS`.
        where: Only records for which this holds, as of :func:`harness.records.where.condition`.

    Returns:
        As :func:`records_frame`.

    Raises:
        HarnessError: The condition cannot be read, or names a column that there is not.
    """
    from harness.records.index import open_index

    with open_index(Path(results)) as index:
        return indexed_frame(index, metrics, more, where)


def indexed_frame(
    index: RunIndex, metrics: Sequence[str] | None = None, more: Sequence[str] = (), where: str | None = None
) -> pd.DataFrame:
    """As :func:`load_records`, from an index that is open. Columns of ``more`` that no record has are left out."""
    from harness.records.where import condition

    sql, bound = ("", []) if where is None else condition(where, index.columns)
    values = [column for column in index.metric_columns if metrics is None or column.partition("/")[2] in metrics]
    columns = index.read(
        list(dict.fromkeys(["row", *FACTS, *(name for name in more if name in index.columns), *values])), sql, bound
    )
    if not columns["hash"]:
        return _empty()
    for name, kind in FACTS.items():
        if kind is bool:  # SQLite knows none
            columns[name] = [bool(value) for value in columns[name]]
    return pd.DataFrame(columns)


def records_frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Records as a frame.

    Args:
        records: The records.

    Returns:
        One row for each: ``row`` (the method with what differs from its defaults: group by it, since one method may
        have several), the cell's other facts, ``status``, ``hash``, ``finished``, ``code`` (parameters, phases and
        hashes of the code that made it), and the metrics as columns ``i2t/map``, ..., ``detector/auroc``,
        ``noise/realised_index``.
    """
    rows = [
        {"row": record.cell.row, **facts(record)}
        | {name: value for name, value in metric_values(record).items() if not isinstance(value, str)}
        for record in records
    ]
    return pd.DataFrame(rows) if rows else _empty()


def plain(value: Any) -> Any:
    """A value as Python has it: None for what is not known, which in a frame may be NaN and so unequal to itself."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=["status", "row", "noise", *SETTING])
