"""Records for other programs: a table as CSV or Parquet, or the run folders in one archive."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files.whole import write_text, write_whole
from harness.records.archive import is_archive, write_archive
from harness.records.index import RunIndex
from harness.text import printable

FORMATS = ("csv", "parquet", "archive")


def export(index: RunIndex, runs: Path, output: Path, style: str, where: str = "", values: Sequence[Any] = ()) -> int:
    """Write records to one file, which is complete or not there.

    Args:
        index: The index.
        runs: The folder ``results/runs``.
        output: The file.
        style: One of :data:`FORMATS`.
        where: An SQL condition, as of :func:`harness.records.where.condition`.
        values: Values of the parameters of ``where``.

    Returns:
        The number of records.

    Raises:
        HarnessError: The file cannot be written, a run cannot be read, or pyarrow is missing.
    """
    if style == "archive" and not is_archive(output):
        raise HarnessError(f"-o {output}: an archive is called NAME.tar.gz, NAME.tgz or NAME.zip.")
    columns = index.read(list(index.columns), where, values)
    if style == "csv":
        write_text(output, "-o", as_csv(columns))
    elif style == "parquet":
        _parquet(index, columns, output)
    else:
        folders = columns["folder"]
        write_whole(output, "-o", lambda opened: write_archive(opened, output.name, runs, folders, as_csv(columns)))
    return len(columns["hash"])


def as_csv(columns: dict[str, list[Any]]) -> str:
    """Columns as CSV, empty where nothing is known; printable, as :func:`write_text` makes it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return printable(text.getvalue())


def _parquet(index: RunIndex, columns: dict[str, list[Any]], output: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise HarnessError(
            "--format parquet needs pyarrow: pip install 'noisy-hashing-harness[parquet]', or use --format csv."
        ) from None
    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    table = pyarrow.table(
        {
            name: pyarrow.array([_as(index.columns[name], value) for value in values], types[index.columns[name]])
            for name, values in columns.items()
        }
    )
    write_whole(output, "-o", lambda opened: parquet.write_table(table, opened))


def _as(kind: type, value: Any) -> Any:
    return None if value is None else kind(value)
