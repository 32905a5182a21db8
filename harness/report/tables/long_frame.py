"""Tables as one tidy frame, a row for each cell, for other programs: csv and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import HarnessError
from harness.files.whole import write_whole
from harness.report.tables.footnotes import name_of
from harness.report.tables.published import AXIS
from harness.report.tables.table import Table

NUMBERS = ("mean", "std", "n")


def long_frame(tables: Sequence[Table]) -> pd.DataFrame:
    """One row for each cell of each table.

    Args:
        tables: The tables.

    Returns:
        Columns: ``metric``; a column for each axis and for each setting that sets tables apart; ``mean``, ``std``
        (n - 1), ``n``, unrounded and in the unit of the records; ``seeds`` ("data seed:seed", joined by spaces);
        ``place`` ("best", "runner-up" or empty); ``significance``; ``reason`` of cells without a value; ``notes``; with
        published numbers ``numbers`` ("published", "ours", "difference") and ``comparable``, empty for ours.
    """
    names: dict[str, None] = {"metric": None}
    rows = [_row(table, place, names) for table in tables for place in table.cells]
    order = [*names, *NUMBERS, "low", "high", "seeds", "place", "significance", "reason", "notes"]
    frame = pd.DataFrame(rows, columns=order).astype(
        {"mean": float, "std": float, "n": int, "low": float, "high": float}
    )
    if frame["low"].isna().all():
        frame = frame.drop(columns=["low", "high"])
    return frame


def _row(table: Table, place: tuple[Any, Any], names: dict[str, None]) -> dict[str, Any]:
    row, column = place
    cell = table.cells[place]
    whose = f"{name_of(table, row)} was granted"
    texts = {note.mark: note.text for note in table.notes if note.mark != "†" or note.text.startswith(whose)}
    valued = cell.n or cell.printed
    marks = [*table.row_marks.get(row, []), *table.column_marks.get(column, []), *cell.marks] if valued else []
    axes = {
        **table.by,
        **dict(zip(table.row_axes, row, strict=True)),
        **dict(zip(table.column_axes, column, strict=True)),
    }
    if cell.measure.only_direction:
        axes.setdefault("direction", cell.measure.only_direction)
    if AXIS in table.row_axes:
        axes["comparable"] = not cell.grey if cell.printed and cell.mean is not None else None
    names.update(dict.fromkeys(axes))
    return {
        **axes,
        "metric": cell.measure.name,
        "mean": cell.mean,
        "std": cell.std,
        "n": cell.n,
        "low": cell.low,
        "high": cell.high,
        "seeds": " ".join(f"{data_seed}:{seed}" for data_seed, seed in cell.seeds),
        "place": cell.place,
        "significance": "".join(cell.significance),
        "reason": cell.reason,
        "notes": "; ".join(texts[mark] for mark in marks if mark in texts),
    }


def as_csv(tables: Sequence[Table]) -> str:
    """The long frame as CSV, numbers with all their digits, without a final newline."""
    return long_frame(tables).to_csv(index=False, lineterminator="\n").rstrip("\n")


def write_parquet(tables: Sequence[Table], output: Path) -> None:
    """The long frame as Parquet.

    Raises:
        HarnessError: pyarrow is not installed, or the file cannot be written.
    """
    try:
        import pyarrow  # noqa: F401 - pandas would say so in many words
    except ImportError:
        raise HarnessError(
            "--format parquet needs pyarrow: pip install 'noisy-hashing-harness[parquet]', or use --format csv."
        ) from None
    write_whole(output, "-o", lambda opened: long_frame(tables).to_parquet(opened, index=False))
