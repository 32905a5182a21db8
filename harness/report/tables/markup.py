"""A cell in a language that can set text in grey, in bold and underlined: HTML and LaTeX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.report.tables.table import BEST, SECOND, Cell


@dataclass(frozen=True)
class Markup:
    """How a language says it; ``%s`` in the templates stands for the text.

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

    def cell(self, cell: Cell) -> str:
        """A cell with its rank and its marks."""
        text = self.escape(cell.text())
        for applies, template in (
            (cell.grey, self.grey), (cell.place == BEST, self.best), (cell.place == SECOND, self.second),
        ):  # fmt: skip
            if applies:
                text = template % text
        return text + "".join(self.mark(mark) for mark in [*cell.significance, *cell.marks])
