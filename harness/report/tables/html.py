"""Tables as HTML: headers that span columns, best bold, runner-up underlined, everything else escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from harness.report.tables.table import Markup, Table
from harness.text import one_line

if TYPE_CHECKING:
    import pandas as pd


def as_html(table: Table) -> str:
    """One ``figure`` with caption, table and footnotes; a fragment, to be put into any page.

    Args:
        table: The table.

    Returns:
        Several lines, without a final newline.
    """
    import pandas as pd

    with pd.option_context("display.max_colwidth", None):
        body = _frame(table).to_html(escape=False, border=0, sparsify=True, justify="center")
    notes = [f"{_mark(note.mark)}{' ' if note.mark else ''}{escape(note.text)}" for note in table.notes]
    notes += table.legend("<b>bold</b> best and <u>underlined</u> runner-up")
    lines = [
        "<figure>",
        f"<figcaption>{escape(table.title)}</figcaption>",
        body,
        *(f"<p>{note}</p>" for note in notes),
        "</figure>",
    ]
    return "\n".join(lines)


def _frame(table: Table) -> pd.DataFrame:
    import pandas as pd

    cells = [[MARKUP.cell(table.cells[row, column]) for column in table.columns] for row in table.rows]
    rows = [_labels(table.row_label(row), table.row_marks.get(row, [])) for row in table.rows]
    columns = [_labels(table.column_label(column), table.column_marks.get(column, [])) for column in table.columns]
    return pd.DataFrame(
        cells,
        index=_index(rows, [escape(axis) for axis in table.row_axes]),
        columns=_index(columns, [escape(axis) for axis in table.column_axes]),
    )


def _labels(labels: list[str], marks: list[str]) -> list[str]:
    shown = [escape(one_line(label)) for label in labels] or [""]
    shown[-1] += "".join(_mark(mark) for mark in marks)
    return shown


def _index(keys: list[list[str]], names: list[str]) -> pd.Index:
    import pandas as pd

    if len(keys[0]) == 1:
        return pd.Index([key[0] for key in keys], name=names[0] if names else None)
    return pd.MultiIndex.from_tuples([tuple(key) for key in keys], names=names)


def _mark(mark: str) -> str:
    return f"<sup>{escape(mark)}</sup>" if mark else ""


MARKUP = Markup(escape, _mark, grey=r'<span style="color: #767676">%s</span>', best=r"<b>%s</b>", second=r"<u>%s</u>")
