"""Tables as LaTeX: booktabs rules, headers that span columns, and every name escaped.

A table needs ``\\usepackage{booktabs,multirow}`` and a document in UTF-8, which is LaTeX's default.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence

from harness.report.tables.table import Key, Markup, Table
from harness.report.tables.titles import columns_told
from harness.text import one_line

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedblright{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    "±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$", "≠": r"$\neq$", "→": r"$\rightarrow$",
    "†": r"$\dagger$", "‡": r"$\ddagger$", "°": r"$^{\circ}$", "·": r"$\cdot$", "−": "$-$", "–": "--", "—": "---",
    "…": r"\ldots{}", "[": "{[}", "]": "{]}", "*": "{*}",
}  # fmt: skip
"""``[`` and ``*`` after ``\\\\`` would be read as arguments, and ``'`` is typographic in some fonts. The straight ``"``
has no command that pdfLaTeX knows without ``\\usepackage[T1]{fontenc}``, so it becomes a closing quotation mark."""


def escape(text: str) -> str:
    """A text as LaTeX prints it.

    Letters of Latin alphabets stay; other signs that pdfLaTeX has no glyph for are written by their names.
    """
    return "".join(_sign(sign) for sign in one_line(text))


def _sign(sign: str) -> str:
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    if sign.isascii():
        return sign
    if "\u00c0" <= sign <= "\u017f" and unicodedata.category(sign).startswith("L"):
        return sign
    name = unicodedata.name(sign, f"U+{ord(sign):04X}").lower()
    return f"{{[}}{name.removeprefix('greek small letter ')}{{]}}"


def as_latex(table: Table) -> str:
    """One ``table`` environment with caption, tabular and footnotes.

    Args:
        table: The table.

    Returns:
        Several lines, without a final newline.
    """
    rows, grey = len(table.row_axes), any(cell.grey for cell in table.cells.values())
    lines = [
        rf"% needs \usepackage{{booktabs,multirow{',xcolor' if grey else ''}}}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title)}}}",
        rf"\begin{{tabular}}{{{'l' * rows}{'r' * len(table.columns)}}}",
        r"\toprule",
        *_header(table),
        r"\midrule",
        *_body(table),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    notes = [f"{_mark(note.mark)}{' ' if note.mark else ''}{escape(note.text)}" for note in table.notes]
    words = r"BOLD best and UNDERLINED runner-up"
    shown = [escape(line).replace("BOLD", r"\textbf{bold}").replace("UNDERLINED", r"\underline{underlined}")
             for line in table.legend(words)]  # fmt: skip
    lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize", "\\par\n".join([*notes, *shown])]
    return "\n".join([*lines, r"\end{minipage}", r"\end{table}"])


def _header(table: Table) -> list[str]:
    """One line for each axis of the columns, equal neighbours as one cell with a rule below."""
    lines = []
    depth = len(table.column_axes)
    labels = [table.column_label(column) for column in table.columns]
    left = len(table.row_axes)
    if columns_told(table):
        lines.append(
            " & ".join([""] * left + [rf"\multicolumn{{{len(labels)}}}{{c}}{{{columns_told(table)}}}"]) + r" \\"
        )
        lines.append(rf"\cmidrule(lr){{{left + 1}-{left + len(labels)}}}")
    for level in range(depth):
        last = level == depth - 1
        cells, rules, place = [], [], left + 1
        for _, group in itertools.groupby(range(len(labels)), key=lambda i: labels[i][: level + 1]):
            members = list(group)
            text = escape(labels[members[0]][level])
            if last:
                for i in members:
                    text = escape(labels[i][level])
                    cells.append(text + "".join(map(_mark, table.column_marks.get(table.columns[i], []))))
            else:
                cells.append(rf"\multicolumn{{{len(members)}}}{{c}}{{{text}}}")
                rules.append(rf"\cmidrule(lr){{{place}-{place + len(members) - 1}}}")
            place += len(members)
        first = [escape(axis) for axis in table.row_axes] if last else [""] * left
        lines.append(" & ".join([*first, *cells]) + r" \\")
        if rules:
            lines.append(" ".join(rules))
    if not depth:
        lines.append(" & ".join([*(escape(axis) for axis in table.row_axes), *[""] * len(labels)]) + r" \\")
    return lines


def _body(table: Table) -> list[str]:
    """Rows; outer axes are written once for all rows that share them, with a rule between the outermost."""
    lines: list[str] = []
    outer = len(table.row_axes) - 1
    for number, row in enumerate(table.rows):
        if number and outer > 0 and row[0] != table.rows[number - 1][0]:
            lines.append(r"\midrule")
        labels = [escape(label) for label in table.row_label(row)]
        shown = []
        for level, label in enumerate(labels):
            if level == outer or outer < 0:
                shown.append(label + "".join(map(_mark, table.row_marks.get(row, []))))
            elif number and table.rows[number - 1][: level + 1] == row[: level + 1]:
                shown.append("")
            else:
                shown.append(_spanning(label, _length(table.rows, number, level)))
        cells = [MARKUP.cell(table.cells[row, column]) for column in table.columns]
        lines.append(" & ".join([*shown, *cells]) + r" \\")
    return lines


def _length(rows: Sequence[Key], start: int, level: int) -> int:
    key = rows[start][: level + 1]
    return sum(1 for _ in itertools.takewhile(lambda row: row[: level + 1] == key, rows[start:]))


def _spanning(label: str, length: int) -> str:
    return rf"\multirow{{{length}}}{{*}}{{{label}}}" if length > 1 else label


def _mark(mark: str) -> str:
    shown = escape(mark).replace(r"^{\circ}", r"\circ")  # it is raised already
    return rf"\textsuperscript{{{shown}}}" if mark else ""


MARKUP = Markup(escape, _mark, grey=r"\textcolor{gray}{%s}", best=r"\textbf{%s}", second=r"\underline{%s}")
