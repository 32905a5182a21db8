"""The best of each column, and the runner-up.

Methods compete under equal conditions: the same data set, direction, noise rate, code length, and so on, wherever in
the table these stand. A method that was told labels or the noise mask is never the best.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.report.tables.axes import AXES
from harness.report.tables.table import BEST, SECOND, Cell, Key, Note, Table


def contests(table: Table) -> Iterator[list[tuple[tuple[Key, Key], Cell]]]:
    """Groups of cells that compete: equal in everything but method, hasher, detector, objective and preset."""
    fixed_rows = [i for i, axis in enumerate(table.row_axes) if not AXES[axis].competes]
    fixed_columns = [i for i, axis in enumerate(table.column_axes) if not AXES[axis].competes]
    groups: dict[Key, list[tuple[tuple[Key, Key], Cell]]] = {}
    for (row, column), cell in table.cells.items():
        condition = (*(row[i] for i in fixed_rows), *(column[i] for i in fixed_columns))
        groups.setdefault(condition, []).append(((row, column), cell))
    yield from groups.values()


def rank(table: Table) -> None:
    """Mark best and runner-up of each contest in which at least two can win.

    Equal means share the first place, and then nobody is runner-up; equal runners-up are all marked.
    """
    unlike: set[str] = set()
    for contest in contests(table):
        cells = [cell for _, cell in contest if cell.mean is not None and cell.ranked]
        better = {cell.measure.higher_is_better for cell in cells}
        if len(cells) < 2 or None in better or len(better) != 1:
            continue
        if len({cell.basis for cell in cells}) > 1:
            unlike.update(cell.measure.header for cell in cells)
            continue
        sign = -1.0 if better == {True} else 1.0
        ordered = sorted(cells, key=lambda cell: sign * cell.mean)  # type: ignore[operator]
        first = [cell for cell in ordered if _equal(cell.mean, ordered[0].mean)]
        if len(first) == len(cells):
            continue
        for cell in first:
            cell.place = BEST
        if len(first) == 1:
            for cell in ordered[1:]:
                if _equal(cell.mean, ordered[1].mean):
                    cell.place = SECOND
    if unlike:
        what = ", ".join(sorted(unlike))
        table.notes.append(Note("", f"no best is marked in {what}: the numbers do not rest on the same thing."))


def _equal(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-15)
