"""From runs to tables: each run is put into its table, row and column, and what cannot be averaged is kept apart.

Means are taken over seeds and data seeds and over nothing else. Settings that make numbers incomparable
(:data:`harness.records.facts.SETTING`) split tables where they are no axis; methods, noise rates, directions and
metrics that would fall into one cell are refused.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from harness.errors import HarnessError
from harness.report.frame import SETTING, plain
from harness.report.tables.axes import AXES, bare, in_order
from harness.report.tables.measures import Measure, values_of
from harness.report.tables.table import Key, Table, TableCell

TELLING = ("class-labels", "noise-mask")
"""Grants after which a method is not unsupervised; the source order says nothing of what is right."""


@dataclass(frozen=True)
class TableLayout:
    """What a table shows and where.

    Attributes:
        measures: What is shown.
        rows, columns: Axes.
        by: Axes of which each combination of values is a table of its own.
        pooled: Facts over which cells go on purpose, because the measure is about them: noise for a noise curve.
        summarise: Makes a cell of more than mean and deviation from the places of its runs in the frame.
        subject: What the tables are about, for their titles; the names of the measures where it is empty.
        row_order: Values of the first competing axis of the rows that come first, in this order.
    """

    measures: tuple[Measure, ...]
    rows: tuple[str, ...] = ("method",)
    columns: tuple[str, ...] = ("direction", "noise")
    by: tuple[str, ...] = ("dataset",)
    pooled: tuple[str, ...] = ()
    summarise: Callable[[TableCell, pd.DataFrame], None] | None = None
    subject: str = ""
    row_order: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """All axes: those of tables, rows and columns."""
        return (*self.by, *self.rows, *self.columns)


@dataclass
class _Bucket:
    """The runs of one cell: those with a value, and those without."""

    measure: Measure
    column: str
    records: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)
    others: list[int] = field(default_factory=list)


@dataclass
class Pivoted:
    """Tables, and the runs that they were made of.

    Attributes:
        tables: In order.
        frame: The runs.
        others: For each table, cell to the places of the runs that should have filled it and did not.
        splitting: Settings that made tables of their own without being asked for, and their values.
    """

    tables: list[Table]
    frame: pd.DataFrame
    others: list[dict[tuple[Key, Key], list[int]]]
    splitting: dict[str, list[str]]


class _Runs:
    """Columns of the frame as lists; in Python they are looked up a hundred times as fast as in pandas."""

    def __init__(self, frame: pd.DataFrame, layout: TableLayout) -> None:
        names = {AXES[axis].column for axis in layout.axes} - {""}
        names |= {*SETTING, "row", "noise", "fate", "granted", "seed", "data_seed", "finished"}
        numbers = {column for measure in layout.measures for column in measure.columns.values()}
        self.columns: dict[str, list[Any]] = {
            name: [plain(value) for value in frame[name].tolist()] for name in sorted(names | numbers) if name in frame
        }
        self.number = len(frame)
        for name in names - set(self.columns):
            self.columns[name] = [None] * self.number


def pivot(frame: pd.DataFrame, layout: TableLayout) -> Pivoted:
    """Tables without footnotes and ranks.

    Args:
        frame: Runs with fates, see :func:`harness.report.run_fates.with_fates`.
        layout: What to show.

    Returns:
        A table for each group of comparable runs of which at least one has a number.

    Raises:
        HarnessError: A cell would average over something else than seeds.
    """
    runs = _Runs(frame, layout)
    splits = _splits(runs, layout)
    where = {axis: AXES[axis].column for axis in layout.axes if AXES[axis].column}
    buckets: dict[Key, dict[tuple[Key, Key], _Bucket]] = {}
    fates = runs.columns["fate"]
    for measure in layout.measures:
        for direction, values in values_of(measure, runs.columns, runs.number).items():
            keys = [
                _keys(runs, (*layout.by, *splits), measure, direction, where),
                _keys(runs, layout.rows, measure, direction, where),
                _keys(runs, layout.columns, measure, direction, where),
            ]
            for i, (table, row, column) in enumerate(zip(*keys, strict=True)):
                place = buckets.setdefault(table, {})
                bucket = place.get((row, column)) or place.setdefault(
                    (row, column), _Bucket(measure, measure.columns[direction])
                )
                if fates[i] == "ok":
                    bucket.records.append(i)
                    bucket.values.append(values[i])
                else:
                    bucket.others.append(i)
    _guard(runs, layout, buckets)
    seen = _first_seen(runs, layout)
    tables, others = [], []
    for key in in_order(buckets, (*layout.by, *splits), [seen[axis] for axis in (*layout.by, *splits)]):
        cells = buckets[key]
        if not any(value is not None for bucket in cells.values() for value in bucket.values):
            continue
        by = dict(zip((*layout.by, *splits), key, strict=True))
        tables.append(_table(by, cells, runs, layout, seen, frame))
        others.append({place: bucket.others for place, bucket in cells.items()})
    shown = {
        fact: [
            bare(fact, value) for (value,) in in_order(((table.by[fact],) for table in tables), (fact,), [seen[fact]])
        ]
        for fact in splits
    }
    return Pivoted(tables, frame, others, {fact: values for fact, values in shown.items() if len(values) > 1})


def _keys(
    runs: _Runs, axes: Sequence[str], measure: Measure, direction: str | None, where: dict[str, str]
) -> list[Key]:
    """For each run its values of some axes."""
    if not axes:
        return [()] * runs.number
    parts: list[list[Any]] = []
    for axis in axes:
        if axis == "metric":
            parts.append([measure.name] * runs.number)
        elif axis == "direction":
            parts.append([direction] * runs.number)
        else:
            parts.append(runs.columns[where.get(axis, axis)])
    return list(zip(*parts, strict=True))


def _splits(runs: _Runs, layout: TableLayout) -> list[str]:
    """Settings that are no axis and differ although the settings that are axes are equal."""
    axes = [axis for axis in layout.axes if axis in SETTING]
    places = list(zip(*(runs.columns[axis] for axis in axes), strict=True)) if axes else [()] * runs.number
    splitting = []
    for fact in SETTING:
        if fact in axes:
            continue
        values: dict[Key, set[Any]] = {}
        for place, value in zip(places, runs.columns[fact], strict=True):
            values.setdefault(place, set()).add(value)
        if any(len(several) > 1 for several in values.values()):
            splitting.append(fact)
    return splitting


def _guard(runs: _Runs, layout: TableLayout, buckets: dict[Key, dict[tuple[Key, Key], _Bucket]]) -> None:
    """Refuse cells that would average over something else than seeds.

    Raises:
        HarnessError: A cell would.
    """
    directions: dict[str, list[str]] = {}
    for measure in layout.measures:
        directions.setdefault(measure.name, []).extend(str(direction) for direction in measure.columns)
    if len(layout.measures) > 1 and "metric" not in layout.axes:
        raise _refusal("metric", [measure.name for measure in layout.measures], layout, "--metric")
    for metric, its in directions.items() if "direction" not in layout.axes else ():
        if len(its) > 1:
            raise _refusal("direction", its, layout, f"--metric {its[0]}/{metric}")
    for name, fact in (("method", "row"), ("noise", "noise")):
        if name in layout.axes or fact in layout.axes or fact in layout.pooled:
            continue
        column = runs.columns[fact]
        for cells in buckets.values():
            for bucket in cells.values():
                distinct = {column[i] for i in bucket.records}
                if len(distinct) > 1:
                    shown = [bare(name, value) for value in sorted(distinct, key=lambda v: (v is not None, v))]
                    raise _refusal(name, shown, layout, f'--where "{fact}={_quoted(shown[-1])}"')


def _refusal(name: str, values: Sequence[str], layout: TableLayout, option: str) -> HarnessError:
    shown = ", ".join(values[:4]) + (", ..." if len(values) > 4 else "")
    return HarnessError(
        f"a cell would average over {name} ({shown}), and such numbers are never averaged: add {name} to --rows "
        f"({','.join(layout.rows)}), --columns ({','.join(layout.columns)}) or --by ({','.join(layout.by)}), or choose "
        f"one with {option}."
    )


def _quoted(value: str) -> str:
    return f"'{value}'" if value in ("none", "null") or any(sign in value for sign in " ()[],=<>") else value


def _first_seen(runs: _Runs, layout: TableLayout) -> dict[str, dict[Any, int]]:
    """Axis to value to its place in the order in which finished runs came."""
    finished = runs.columns["finished"]
    order = sorted(range(runs.number), key=lambda i: str(finished[i] or ""))
    first_seen: dict[str, dict[Any, int]] = {}
    for axis in {*layout.axes, *SETTING}:
        places: dict[Any, int] = {}
        if axis == "metric":
            places = {measure.name: number for number, measure in enumerate(layout.measures)}
        elif AXES[axis].competes:
            for value in layout.row_order:
                places.setdefault(value, len(places))
            column = runs.columns[AXES[axis].column]
            for i in order:
                places.setdefault(column[i], len(places))
        first_seen[axis] = places
    return first_seen


def _table(
    by: dict[str, Any],
    cells: dict[tuple[Key, Key], _Bucket],
    runs: _Runs,
    layout: TableLayout,
    seen: dict[str, dict[Any, int]],
    frame: pd.DataFrame,
) -> Table:
    rows = in_order({row for row, _ in cells}, layout.rows, [seen[axis] for axis in layout.rows])
    columns = in_order({column for _, column in cells}, layout.columns, [seen[axis] for axis in layout.columns])
    by_name = {measure.name: measure for measure in layout.measures}
    table = Table("", by, layout.rows, layout.columns, rows, columns, {}, measures=by_name, subject=layout.subject)
    for row in rows:
        for column in columns:
            bucket = cells.get((row, column))
            measure = bucket.measure if bucket else _measure_at(table, row, column)
            cell = table.cells[row, column] = TableCell(measure)
            if bucket is not None:
                cell.column = bucket.column
                _fill(cell, bucket, runs)
                if layout.summarise is not None and cell.n:
                    layout.summarise(cell, frame)
    return table


def _measure_at(table: Table, row: Key, column: Key) -> Measure:
    """The measure of a cell that no run has fallen into."""
    values = {
        **table.by,
        **dict(zip(table.row_axes, row, strict=True)),
        **dict(zip(table.column_axes, column, strict=True)),
    }
    return table.measures[values["metric"]] if "metric" in values else next(iter(table.measures.values()))


def _fill(cell: TableCell, bucket: _Bucket, runs: _Runs) -> None:
    """Mean, and standard deviation (n - 1) where there are several runs."""
    known = sorted(
        (
            (runs.columns["data_seed"][i], runs.columns["seed"][i], i, value)
            for i, value in zip(bucket.records, bucket.values, strict=True)
            if value is not None
        ),
        key=lambda run: (str(run[0]), str(run[1]), run[2]),
    )
    granted = {word.strip() for i in bucket.records for word in (runs.columns["granted"][i] or "").split(",")}
    cell.ranked = not granted.intersection(TELLING)
    cell.without = tuple(i for i, value in zip(bucket.records, bucket.values, strict=True) if value is None)
    if not known:
        return
    numbers = [value for *_, value in known]
    cell.n = len(numbers)
    cell.mean = math.fsum(numbers) / len(numbers)
    cell.std = statistics.stdev(numbers) if len(numbers) > 1 else None
    cell.seeds = tuple((data_seed, seed) for data_seed, seed, *_ in known)
    cell.records = tuple(i for *_, i, _ in known)
    cell.values = tuple(numbers)
