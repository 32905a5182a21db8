"""How far detectors believed the training pairs of stored runs, and which of these were wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.report.figures.records import Arrays, FigureRecords, cells_of, row_label, told_apart

_ARRAYS = ("trust", "plan_wrong", "plan_trusted")


@dataclass(frozen=True)
class WeighedPairs:
    """The untrusted pairs of one row at one noise rate.

    Attributes:
        row: Name of the row.
        label: The same for legends.
        where: What sets its table and noise rate apart from the others in the figure.
        runs: For each seed (n,) float64 weights in [0, 1] and (n,) bool, whether the pair is wrong.
        area: Mean over seeds of the recorded AUROC; None where none is recorded.
    """

    row: str
    label: str
    where: str
    runs: list[tuple[NDArray[np.float64], NDArray[np.bool_]]]
    area: float | None


def weighed_pairs(source: FigureRecords, kind: str, *, needs_both: bool = True) -> tuple[list[WeighedPairs], str]:
    """Weights of all runs, cell by cell.

    Args:
        source: The records.
        kind: Name of the figure, for messages.
        needs_both: Leave out cells in which no pair is wrong.

    Returns:
        The cells, panels in order; and what they have in common. Rows whose detector gave all pairs one weight
        (``none`` does) are left out, with a remark.

    Raises:
        HarnessError: As ``harness table``, or no run has such weights.
    """
    made = source.runs(("method",), ("noise",), ("dataset",), ("detector/auroc",))
    common, apart = told_apart(made.tables)
    cells = list(cells_of(made))
    rates = list(dict.fromkeys(table.column_label(column)[0] for table, _, column, _ in cells))
    found, right = [], 0
    equal: dict[str, None] = {}
    for table, row, column, cell in cells:
        runs = [_untrusted(arrays) for arrays in source.arrays(made, cell, _ARRAYS, alike=[_ARRAYS])]
        noise = table.column_label(column)[0]
        if not runs:
            continue
        if all(np.ptp(weight) == 0 for weight, _ in runs if len(weight)):
            equal[row_label(table, row)] = None
            continue
        if needs_both and not all(wrong.any() and not wrong.all() for _, wrong in runs):
            right += 1
            continue
        areas = [made.frame.iloc[at].get("detector/auroc") for at in cell.records]
        known = [float(area) for area in areas if area is not None and area == area]
        found.append(
            WeighedPairs(
                str(row[0]), row_label(table, row),
                ", ".join(filter(None, [apart[made.tables.index(table)], f"noise {noise}"])),
                runs, sum(known) / len(known) if known else None,
            )
        )  # fmt: skip
    source.check_drawn(found, kind, "a detector that tells pairs apart, and wrong pairs" if needs_both else
                       "a detector that tells pairs apart")  # fmt: skip
    if equal:
        source.remarks.append(f"left out: {', '.join(equal)}, where all pairs have one weight.")
    if right:
        source.remarks.append("left out: runs without any wrong pair, or whose wrong pairs nobody knows.")
    return found, ", ".join(filter(None, [common, f"noise {rates[0]}" if len(rates) == 1 else ""]))


def by_panel(cells: list[WeighedPairs]) -> Iterator[tuple[str, list[WeighedPairs]]]:
    """The cells of each panel: those of one table and noise rate."""
    for where in dict.fromkeys(cell.where for cell in cells):
        yield where, [cell for cell in cells if cell.where == where]


def _untrusted(arrays: Arrays) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    untrusted = ~arrays["plan_trusted"].astype(bool)
    return arrays["trust"][untrusted].astype(np.float64), arrays["plan_wrong"][untrusted].astype(bool)
