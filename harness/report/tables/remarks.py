"""Remarks on cells become marks and notes of a table.

A remark about all cells of a row or a column becomes a mark of that row or column; one about all cells becomes a
sentence about the table.
"""

from __future__ import annotations

from harness.report.tables.table import Key, Note, Table

Place = tuple[Key, Key]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Remarks:
    """Collects remarks and turns them into marks.

    Args:
        table: The table whose marks are set.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._remarks: dict[str, list[Place]] = {}
        self._by_column: set[str] = set()
        self._cells_only: set[str] = set()
        self._general: list[str] = []
        self._first: list[Note] = []

    def remark(self, text: str, place: Place, *, by_column: bool = False, missing: bool = False) -> None:
        """A remark on a cell; ``by_column`` where columns are marked rather than rows, ``missing`` on empty cells."""
        self._remarks.setdefault(text, []).append(place)
        if by_column:
            self._by_column.add(text)
        if missing:
            self._cells_only.add(text)

    def about_table(self, text: str) -> None:
        """Add a note about the whole table."""
        self._general.append(text)

    def marked(self, mark: str, text: str) -> None:
        """Add a note whose mark the caller has put into the table."""
        self._first.append(Note(mark, text))

    def finished(self) -> list[Note]:
        """Set the marks of the table; returns its notes."""
        table = self._table
        valued = {place for place, cell in table.cells.items() if cell.mean is not None}
        marked: list[Note] = []
        for text, places in self._remarks.items():
            rows, columns, cells = self._lifted(text, set(places), valued)
            if rows is None:
                self._general.append(text)
                continue
            mark = _letter(len(marked))
            marked.append(Note(mark, text))
            for row in rows:
                table.row_marks.setdefault(row, []).append(mark)
            for column in columns:
                table.column_marks.setdefault(column, []).append(mark)
            for place in cells:
                table.cells[place].marks.append(mark)
        return [*self._first, *marked, *(Note("", text) for text in self._general)]

    def _lifted(
        self, text: str, places: set[Place], valued: set[Place]
    ) -> tuple[list[Key] | None, list[Key], list[Place]]:
        """Rows, columns and cells that get the mark; None where the remark is about everything."""
        table = self._table
        in_order = [place for place in table.cells if place in places]
        if text in self._cells_only:
            return [], [], in_order
        if valued <= places:
            return None, [], []
        full_rows = [row for row in table.rows if _covered(places, valued, 0, row)]
        full_columns = [column for column in table.columns if _covered(places, valued, 1, column)]
        if text in self._by_column:
            rest = [place for place in in_order if place[1] not in full_columns]
            full_rows = [row for row in full_rows if any(place[0] == row for place in rest)]
            rest = [place for place in rest if place[0] not in full_rows]
        else:
            rest = [place for place in in_order if place[0] not in full_rows]
            full_columns = [column for column in full_columns if any(place[1] == column for place in rest)]
            rest = [place for place in rest if place[1] not in full_columns]
        return full_rows, full_columns, rest


def _covered(places: set[Place], valued: set[Place], side: int, key: Key) -> bool:
    own = {place for place in valued if place[side] == key}
    return bool(own) and own <= places


def _letter(number: int) -> str:
    """a, b, ..., z, then aa, ab."""
    first, second = divmod(number, len(_LETTERS))
    return (_LETTERS[first - 1] if first else "") + _LETTERS[second]
