"""Two rows of tables in every setting that both have: what ``harness compare`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.report.statistics.bootstrap import RESAMPLES
from harness.report.statistics.comparison import TESTS, Comparison, compare_rows
from harness.report.statistics.paired_tests import holm
from harness.report.statistics.selection import (
    PLACE,
    Selection,
    by_place,
    described,
    differences,
)
from harness.text import counted

FIRST = ("dataset", "noise", "direction", "bits")
"""Columns that every line shows; others only where they differ between lines."""


@dataclass(frozen=True)
class Line:
    """One setting, direction and metric.

    Attributes:
        setting: Column of :data:`harness.report.statistics.selection.PLACE`, "direction" and "metric" to value.
        comparison: The comparison of the two rows there.
        holm_queries, holm_seeds: The p-values corrected over all lines, each test a family of its own.
    """

    setting: dict[str, Any]
    comparison: Comparison
    holm_queries: float | None = None
    holm_seeds: float | None = None


def compared_settings(
    selection: Selection,
    a: str,
    b: str,
    runs: Path | None,
    *,
    by: Sequence[str] = FIRST,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[list[Line], list[str]]:
    """Compare two rows wherever they are comparable.

    Args:
        selection: The records.
        a, b: Names of rows.
        runs: The folder ``RESULTS/runs``, or None.
        by: Names to sort the lines by; nothing is ever averaged over a setting.
        resamples: Resamples of the bootstrap.
        seed: Seed of all draws.

    Returns:
        Lines with Holm-corrected p-values, and sentences about what was left out or must be known.

    Raises:
        HarnessError: A row compared with itself, or no setting that both have; the message says in what they differ.
    """
    if a == b:
        raise HarnessError(f"both names mean the row {a!r}: name two.")
    frame, left_out = selection.counting((a, b))
    ours, theirs = (by_place(frame[frame["row"] == row]) for row in (a, b))
    both = [place for place in ours if place in theirs]
    if not both:
        raise HarnessError(f"no setting has both rows; the nearest differ in: {differences(list(ours), list(theirs))}.")
    notes = left_out + [
        f"left out: {counted(len(only), 'setting')} of {row} alone."
        for row, mine, other in ((a, ours, theirs), (b, theirs, ours))
        if (only := [place for place in mine if place not in other])
    ]
    notes += selection.grants((a, b))
    lines = []
    for place in both:
        for metric, columns in selection.columns.items():
            for direction, column in columns.items():
                comparison = compare_rows(
                    ours[place], theirs[place], column, runs, TESTS, resamples=resamples, seed=seed
                )
                if comparison.n_pairs or comparison.unpaired:
                    lines.append(Line({**described(place), "direction": direction, "metric": metric}, comparison))
    if not lines:
        raise HarnessError(f"no run of {a} or {b} has {', '.join(selection.columns)}.")
    lines.sort(key=lambda line: [_sortable(line.setting[name]) for name in by])
    queries, seeds = (holm([getattr(line.comparison, name) for line in lines]) for name in ("p_queries", "p_seeds"))
    corrected = [
        replace(line, holm_queries=of_queries, holm_seeds=of_seeds)
        for line, of_queries, of_seeds in zip(lines, queries, seeds, strict=True)
    ]
    return corrected, notes


def telling_columns(lines: Sequence[Line], by: Sequence[str]) -> list[str]:
    """Columns of a setting that a reader needs: those asked for, and whatever else differs between lines."""
    names = [name for name in by if name == "noise" or any(line.setting[name] not in (None, "") for line in lines)]
    varying = [name for name in (*FIRST, "metric", *PLACE) if len({str(line.setting[name]) for line in lines}) > 1]
    return list(dict.fromkeys([*names, *varying]))


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is None, "" if value is None else value)


def gathered_notes(lines: Sequence[Line], names: Sequence[str]) -> list[str]:
    """The notes of all lines, each once; one that is not about every line says about which."""
    about: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        for note in line.comparison.notes:
            about.setdefault(note, []).append(number)
    sentences = []
    for note, numbers in about.items():
        if len(numbers) == len(lines):
            sentences.append(note)
        else:
            places = [_where(lines[number], names) for number in numbers]
            shown = "; ".join(places[:4]) + ("" if len(places) <= 4 else f"; and {len(places) - 4} more lines")
            sentences.append(f"{shown}: {note}")
    return sentences


def _where(line: Line, names: Sequence[str]) -> str:
    shown = {name: line.setting[name] for name in names}
    return ", ".join(
        f"{value}" if name in ("dataset", "direction", "metric") else f"{name} {'as given' if value is None else value}"
        for name, value in shown.items()
    )
