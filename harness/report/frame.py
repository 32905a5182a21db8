"""Records as a pandas data frame, one row for each finished run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from harness.records.facts import FACTS, NOT_CODE, SETTING, facts, metric_values

if TYPE_CHECKING:
    from harness.records.schema import RunRecord

__all__ = ["NOT_CODE", "SETTING", "load_records", "records_frame"]


def load_records(
    results: Path | str = "results", metrics: Sequence[str] | None = None, more: Sequence[str] = ()
) -> pd.DataFrame:
    """All records of a results folder, by way of its index.

    Args:
        results: The folder.
        metrics: Metric ids whose columns are wanted, which is faster than all of them.
        more: Columns that the index has besides, see :data:`harness.records.index_tables.MORE_FACTS`.

    Returns:
        As :func:`records_frame`.
    """
    from harness.records.index import open_index

    with open_index(Path(results)) as index:
        values = [column for column in index.metric_columns if metrics is None or column.partition("/")[2] in metrics]
        columns = index.read([*FACTS, *more, *values])
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
        One row for each: the cell's facts, ``status``, ``hash``, ``finished``, ``code`` (parameters, phases and hashes
        of the code that made it), and the metrics as columns ``i2t/map``, ..., ``detector/auroc``,
        ``noise/realised_index``.
    """
    rows = [{**facts(record), **metric_values(record)} for record in records]
    return pd.DataFrame(rows) if rows else _empty()


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=["status", "row", "noise", *SETTING])
