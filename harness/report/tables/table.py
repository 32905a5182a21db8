"""A table as data: what stands in each cell and why, before it is printed in one format or another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.report.tables.axes import bare, told
from harness.report.tables.measures import Measure

Key = tuple[Hashable, ...]

BEST, SECOND = "best", "runner-up"


@dataclass
class TableCell:
    """One cell.

    Attributes:
        measure: What is shown.
        column: The column of the frame that holds it.
        mean: Over runs; None where there is no value.
        std: Standard deviation (n - 1); None for one run.
        n: Runs that have a value.
        seeds: Their data seed and seed.
        records: Their places in the frame of records, in the order of ``seeds``.
        values: Their values, in the order of ``seeds``.
        low, high: An interval, printed instead of the deviation where there is one.
        without: Places of finished runs that have no value.
        reason: Why there is no value.
        place: "best", "runner-up" or nothing.
        ranked: False for an oracle, which is never the best.
        basis: What the number rests on, where that is not seeds alone: the machine of a time, the noise rates of a
            curve. Numbers with different bases are not ranked.
        remarks: Further sentences about it, for footnotes.
        marks: Marks of its footnotes.
        significance: Marks of the tests that tell it from the runner-up.
        printed: Text in the place of mean and deviation, where a number stands as somebody else printed it.
        grey: It is not comparable with the numbers around it.
    """

    measure: Measure
    column: str = ""
    mean: float | None = None
    std: float | None = None
    n: int = 0
    seeds: tuple[tuple[Any, Any], ...] = ()
    records: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    without: tuple[int, ...] = ()
    reason: str = ""
    place: str = ""
    ranked: bool = True
    basis: str = ""
    remarks: tuple[str, ...] = ()
    marks: list[str] = field(default_factory=list)
    significance: list[str] = field(default_factory=list)
    printed: str = ""
    grey: bool = False

    def text(self, plus_minus: str = "±") -> str:
        """Mean and deviation (or interval) as printed, or a dash."""
        if self.printed:
            return self.printed
        if self.mean is None:
            return "-"
        mean = self.measure.text(self.mean)
        if self.std == 0 and self.measure.decimals is None:
            return mean  # a count that is the same in every run
        if self.low is not None and self.high is not None:
            return f"{mean} [{self.measure.text(self.low)}, {self.measure.text(self.high)}]"
        return mean if self.std is None else f"{mean} {plus_minus} {self.measure.text(self.std)}"


@dataclass(frozen=True)
class Markup:
    """How a language marks up a text; ``%s`` in the templates stands for the text.

    Attributes:
        escape: Plain text to text that the language shows as it is.
        mark: A footnote's mark, raised.
        grey: Template of numbers that are not comparable.
        best: Template of the best one.
        second: Template of the runner-up.
    """

    escape: Callable[[str], str]
    mark: Callable[[str], str]
    grey: str
    best: str
    second: str

    def cell(self, cell: TableCell) -> str:
        """A cell with its rank and its marks."""
        text = self.escape(cell.text())
        for applies, template in (
            (cell.grey, self.grey), (cell.place == BEST, self.best), (cell.place == SECOND, self.second),
        ):  # fmt: skip
            if applies:
                text = template % text
        return text + "".join(self.mark(mark) for mark in [*cell.significance, *cell.marks])


@dataclass(frozen=True)
class Note:
    """A footnote: its mark, empty for one about the whole table, and its text."""

    mark: str
    text: str


@dataclass
class Table:
    """One table.

    Attributes:
        title: What is compared, on what.
        by: Axes and facts that set this table apart from the others, and their values.
        row_axes, column_axes: Names of axes.
        rows, columns: Their values, in order.
        cells: By row and column; every pair is there.
        row_marks, column_marks: Marks of footnotes about whole rows and columns.
        notes: Footnotes, in the order of their marks.
        measures: Name to measure.
        subject: What the title names in the place of the measures; empty for their names.
    """

    title: str
    by: dict[str, Any]
    row_axes: tuple[str, ...]
    column_axes: tuple[str, ...]
    rows: list[Key]
    columns: list[Key]
    cells: dict[tuple[Key, Key], TableCell]
    row_marks: dict[Key, list[str]] = field(default_factory=dict)
    column_marks: dict[Key, list[str]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    subject: str = ""

    def label(self, axis: str, value: Any, *, alone: bool = False) -> str:
        """A value of an axis as printed; ``alone`` where the name of the axis does not stand beside it."""
        if axis == "metric":
            measure = self.measures[value]
            told_by_axis = "direction" in {*self.by, *self.row_axes, *self.column_axes}
            only = "" if told_by_axis or not measure.only_direction else f"{measure.only_direction} "
            return f"{only}{measure.header}"
        return (told if alone else bare)(axis, value)

    def row_label(self, row: Key) -> list[str]:
        """The leftmost columns of a row."""
        return [self.label(axis, value) for axis, value in zip(self.row_axes, row, strict=True)]

    def column_label(self, column: Key) -> list[str]:
        """The header of a column, outermost first."""
        return [self.label(axis, value, alone=True) for axis, value in zip(self.column_axes, column, strict=True)]

    def runs(self, row: Key) -> str:
        """How many runs stand behind the cells of a row: "5", or "3-5"."""
        counts = [n for column in self.columns if (n := self.cells[row, column].n)]
        if not counts:
            return "" if any(self.cells[row, column].printed for column in self.columns) else "0"
        return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)}-{max(counts)}"

    def drop_empty(self) -> None:
        """Leave out rows and columns without any value, and say so."""
        rows = [row for row in self.rows if all(self.cells[row, column].mean is None for column in self.columns)]
        columns = [column for column in self.columns if all(self.cells[row, column].mean is None for row in self.rows)]
        self.rows = [row for row in self.rows if row not in rows]
        self.columns = [column for column in self.columns if column not in columns]
        self.cells = {place: self.cells[place] for place in itertools.product(self.rows, self.columns)}
        names = [" / ".join(label for label in self.row_label(row) if label != "-") for row in rows]
        names += [
            " ".join(
                f"noise {label}" if axis == "noise" else label
                for axis, label in zip(self.column_axes, labels, strict=True)
            )
            for labels in map(self.column_label, columns)
        ]
        if names:
            self.notes.append(Note("", f"left out, without any value: {', '.join(names)}"))

    def legend(self, ranks: str) -> list[str]:
        """One or two sentences below the table that say what its numbers are.

        Args:
            ranks: How best and runner-up look; empty where they are not shown.
        """
        counts = {cell.n for cell in self.cells.values() if cell.n}
        if any(cell.low is not None for cell in self.cells.values()):
            said = "Mean [95 % interval] over seeds"
        elif counts == {1}:
            said = "One run in each cell, so there is no deviation"
        elif len(counts) == 1:
            said = f"Mean ± standard deviation (n - 1) over {counts.pop()} runs"
        else:
            said = f"Mean ± standard deviation (n - 1) over at most {max(counts, default=0)} runs"
        if ranks and any(cell.place for cell in self.cells.values()):
            said += f"; {ranks} under equal conditions"
        return [f"{said}."]
