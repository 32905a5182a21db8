"""Tables in every format, to standard output or into a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import HarnessError, unknown_name
from harness.files.whole import write_text
from harness.report.tables.html import as_html
from harness.report.tables.latex import as_latex
from harness.report.tables.long_frame import as_csv, write_parquet
from harness.report.tables.table import Table
from harness.report.tables.text import as_text

ENDINGS = {
    ".md": "github", ".tex": "latex", ".html": "html", ".htm": "html", ".csv": "csv", ".parquet": "parquet",
    ".tsv": "tsv", ".txt": "plain",
}  # fmt: skip

WITHOUT_RANKS = ("simple", "tsv", "latex_booktabs")
"""Formats that do not show which cell is best."""


def style_of(style: str | None, output: Path | None, known: Sequence[str]) -> str:
    """The format that is asked for, or that the name of the file tells.

    Raises:
        HarnessError: There is none of this name, or Parquet would go to the terminal.
    """
    if style is not None and style not in known:
        raise unknown_name("value of --format", style, known)
    chosen = style or (ENDINGS.get(output.suffix.lower(), "simple") if output is not None else "simple")
    if chosen == "parquet" and output is None:
        raise HarnessError("--format parquet is not text: name a file with -o FILE.parquet.")
    return chosen


def as_document(tables: Sequence[Table], style: str) -> str:
    """All tables in one of the formats that are text, without a final newline."""
    if style == "csv":
        return as_csv(tables)
    if style == "latex":
        return "\n\n".join(as_latex(table) for table in tables)
    if style == "html":
        return "\n".join(as_html(table) for table in tables)
    return "\n\n".join(as_text(table, style, with_legend=True) for table in tables)


def print_tables(tables: Sequence[Table], style: str, output: Path | None, echo: Callable[[str], None]) -> None:
    """Print tables, or write them to a file that is whole or not there.

    Raises:
        HarnessError: The file cannot be written, or pyarrow is missing.
    """
    if style == "parquet" and output is not None:
        write_parquet(tables, output)
        return
    text = as_document(tables, style)
    if output is None:
        echo(text)
    else:
        write_text(output, "-o", f"{text}\n")
