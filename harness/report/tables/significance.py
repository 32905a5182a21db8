"""Marks of significance: is the best of a contest better than its runner-up?

Two questions, two marks: ``*`` the methods differ (sign flips over seeds), ``°`` these trained models differ (sign
flips over blocks of queries). The p-values of each test are corrected by Holm over the contests of one table.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from harness.report.tables.ranking import contests
from harness.report.tables.table import BEST, SECOND, Cell, Note, Table
from harness.text import counted

ALPHA = 0.05
MARKS = {"seeds": "*", "queries": "°"}

MOST_FILES = 400
"""Arrays that are read unasked; a file takes about 3 ms."""

_DRAWS = 200
"""Of the bootstrap, whose interval is not shown."""


def files_to_read(tables: Sequence[Table]) -> int:
    """How many arrays the test over queries reads."""
    return sum(best.n + second.n for table in tables for best, second in _pairs(table))


def mark_significance(tables: Sequence[Table], frame: pd.DataFrame, runs: Path, tests: Collection[str]) -> None:
    """Test the best of each contest against its runner-up, and mark it.

    Args:
        tables: Ranked tables.
        frame: Their runs.
        runs: The folder ``RESULTS/runs``.
        tests: Of "seeds" and "queries".
    """
    from harness.report.statistics import compare_rows, holm

    for table in tables:
        pairs = _pairs(table)
        if not pairs:
            continue
        found = [
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
            corrected = holm([comparison.p_seeds if test == "seeds" else comparison.p_queries for comparison in found])
            for (best, _), p in zip(pairs, corrected, strict=True):
                if p is not None and p < ALPHA:
                    best.significance.append(MARKS[test])
            table.notes.append(Note("", _told(test, corrected, min(found, key=lambda one: one.smallest_p).smallest_p)))


def _pairs(table: Table) -> list[tuple[Cell, Cell]]:
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
