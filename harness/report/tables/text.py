"""Tables as text: for terminals, Markdown and tab-separated files.

``simple``, ``tsv`` and ``latex_booktabs`` show no ranks and end rows with the number of runs; ``plain`` and ``github``
show ranks as far as text can.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from harness.report.tables.table import BEST, SECOND, Table, TableCell
from harness.report.tables.titles import columns_told
from harness.text import one_line


@dataclass(frozen=True)
class Style:
    """How one format writes a table.

    Attributes:
        tabulate: Name of the format in tabulate.
        escape: Escapes the signs of a name that the format would take for its own.
        mark: Writes a mark after a text.
        best, second: Write the best and the runner-up.
        has_runs: Whether rows end with the number of runs.
        has_marks: Whether footnotes are marked.
        words: How best and runner-up look, for the legend; empty where they are not shown.
    """

    tabulate: str
    escape: Callable[[str], str] = str
    mark: Callable[[str], str] = lambda mark: f" {mark}" if mark == "†" else f" ({mark})"
    best: Callable[[str], str] = str
    second: Callable[[str], str] = str
    has_runs: bool = False
    has_marks: bool = True
    words: str = ""


def _markdown(text: str) -> str:
    """Signs that Markdown takes for its own are escaped; an underscore inside a word is none."""
    text = re.sub(r"([\\`*|<>~$])", r"\\\1", one_line(text))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text).replace("](", "]\\(")  # a row is called "chnr [epochs=20]"


STYLES = {
    "simple": Style("simple", one_line, has_runs=True),
    "tsv": Style("tsv", one_line, has_runs=True, has_marks=False),
    "latex_booktabs": Style("latex_booktabs", one_line, has_runs=True),
    "plain": Style(
        "plain", one_line, best=lambda text: f"{text}¹", second=lambda text: f"{text}²",
        words="¹ best and ² runner-up",
    ),
    "github": Style(
        "github", _markdown, lambda mark: f"<sup>{mark}</sup>", lambda text: f"**{text}**",
        lambda text: f"<u>{text}</u>", words="**bold** best and <u>underlined</u> runner-up",
    ),
}  # fmt: skip


def as_text(table: Table, style: str = "simple", *, with_legend: bool = False) -> str:
    """A table as text, with its title and footnotes.

    Args:
        table: The table.
        style: A name of :data:`STYLES`.
        with_legend: Say in a last line what the numbers are.

    Returns:
        Several lines, without a final newline.
    """
    from tabulate import tabulate

    how = STYLES[style]
    header = [*table.row_axes, *(_column(table, column, how) for column in table.columns)]
    rows = [
        [*_row(table, number, how), *(_cell(table.cells[row, column], how) for column in table.columns)]
        for number, row in enumerate(table.rows)
    ]
    if how.has_runs:
        header.append("runs")
        for shown, row in zip(rows, table.rows, strict=True):
            shown.append(table.runs(row))
    left = ["left"] * len(table.row_axes)
    body = tabulate(
        rows, headers=header, tablefmt=how.tabulate, disable_numparse=True, stralign="right", colalign=left or None
    )
    indent = "" if style == "github" else "  "
    notes = [f"{indent}{note.mark + ' ' if note.mark else ''}{how.escape(note.text)}" for note in table.notes]
    if with_legend and how.words:
        notes += [indent + line for line in table.legend(how.words)]
    heading = table.title + (f"; columns: {columns_told(table)}" if columns_told(table) else "")
    if style == "github":
        title = f"**{how.escape(heading)}**"
        return "\n".join([title, "", body, *(["", "\\\n".join(notes)] if notes else [])])
    return "\n".join([heading, "", body, *notes])


def _marks(marks: list[str], how: Style) -> str:
    return "".join(how.mark(mark) for mark in marks) if how.has_marks else ""


def _column(table: Table, column: tuple, how: Style) -> str:
    label = " ".join(how.escape(part) for part in table.column_label(column) if part)
    return label + _marks(table.column_marks.get(column, []), how)


def _row(table: Table, number: int, how: Style) -> list[str]:
    """The leftmost columns; what stands in the row above is not said again, except to programs."""
    row = table.rows[number]
    labels = [how.escape(label) for label in table.row_label(row)]
    if number and how.has_marks:
        above = table.rows[number - 1]
        for level in range(len(labels) - 1):
            if above[: level + 1] == row[: level + 1]:
                labels[level] = ""
    if labels:
        labels[-1] += _marks(table.row_marks.get(row, []), how)
    return labels


def _cell(cell: TableCell, how: Style) -> str:
    text = f"({cell.text()})" if cell.grey else cell.text()
    if cell.place == BEST:
        text = how.best(text)
    elif cell.place == SECOND:
        text = how.second(text)
    if how.words:
        text += "".join(cell.significance)
    return text + _marks(cell.marks, how)
