"""The best of each column and the runner-up, and whether the best is significantly better.

Methods compete under equal conditions: the same data set, direction, noise rate, code length, and so on, wherever in
the table these stand. A method that was told labels or the noise mask is never the best.

Two questions, two marks: ``*`` the methods differ (sign flips over seeds), ``°`` these trained models differ (sign
flips over blocks of queries). The p-values of each test are corrected by Holm over the contests of one table.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pandas as pd

from harness.report.tables.axes import AXES
from harness.report.tables.table import BEST, SECOND, Key, Note, Table, TableCell
from harness.text import counted

ALPHA = 0.05
MARKS = {"seeds": "*", "queries": "°"}

MOST_FILES = 400
"""Arrays that are read unasked; a file takes about 3 ms."""

_DRAWS = 200
"""Of the bootstrap, whose interval is not shown."""


def contests(table: Table) -> Iterator[list[tuple[tuple[Key, Key], TableCell]]]:
    """Groups of cells that compete: equal in everything but method, hasher, detector, objective and preset."""
    fixed_rows = [i for i, axis in enumerate(table.row_axes) if not AXES[axis].competes]
    fixed_columns = [i for i, axis in enumerate(table.column_axes) if not AXES[axis].competes]
    groups: dict[Key, list[tuple[tuple[Key, Key], TableCell]]] = {}
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


def files_to_read(tables: Sequence[Table]) -> int:
    """How many arrays the test over queries reads."""
    return sum(best.n + second.n for table in tables for best, second in _pairs(table))


def mark_significance(tables: Sequence[Table], frame: pd.DataFrame, runs: Path, tests: Collection[str]) -> None:
    """Test the best of each contest against its runner-up, and mark it.

    Args:
        tables: Ranked tables.
        frame: Their runs.
        runs: The folder ``RESULTS/runs``.
        tests: Any of "seeds" and "queries".
    """
    from harness.report.statistics import compare_rows, holm

    for table in tables:
        pairs = _pairs(table)
        if not pairs:
            continue
        comparisons = [
            compare_rows(
                frame.iloc[list(best.records)],
                frame.iloc[list(second.records)],
                best.column,
                runs if "queries" in tests else None,
                tests,
                resamples=_DRAWS,
            )
            for best, second in pairs
        ]
        for test in (test for test in MARKS if test in tests):
            corrected = holm(
                [comparison.p_seeds if test == "seeds" else comparison.p_queries for comparison in comparisons]
            )
            for (best, _), p in zip(pairs, corrected, strict=True):
                if p is not None and p < ALPHA:
                    best.significance.append(MARKS[test])
            table.notes.append(
                Note("", _told(test, corrected, min(comparisons, key=lambda one: one.smallest_p).smallest_p))
            )


def _pairs(table: Table) -> list[tuple[TableCell, TableCell]]:
    """Best and runner-up of each contest that has one best."""
    pairs = []
    for contest in contests(table):
        best = [cell for _, cell in contest if cell.place == BEST]
        second = [cell for _, cell in contest if cell.place == SECOND]
        if len(best) == 1 and second and not best[0].measure.of_machine and not best[0].basis:
            pairs.append((best[0], second[0]))
    return pairs


def _told(test: str, corrected: Sequence[float | None], smallest: float) -> str:
    mark, number = MARKS[test], sum(p is not None for p in corrected)
    what = {
        "seeds": "the methods differ: exact sign flips over seeds",
        "queries": "these trained models differ: sign flips over blocks of queries",
    }[test]
    marked = sum(p is not None and p < ALPHA for p in corrected)
    text = f"{mark} best against runner-up, p < {ALPHA} ({what}; Holm over {counted(number, 'comparison')}): {marked}"
    if test == "seeds" and not marked and smallest * max(number, 1) >= ALPHA:
        text += f"; with so few seeds no p can be below {smallest:g} before the correction"
    if test == "queries" and number < len(corrected):
        text += f"; {counted(len(corrected) - number, 'comparison')} without values per query"
    return text + "."
