"""The index of a results folder: one wide SQLite table, derived from the records and thrown away at will.

``results/index.sqlite`` holds table ``runs``: a row for each record, a column for each fact and each metric. The run
folders are the truth: each time the index is opened, the folders are walked, and what was added, replaced, edited or
removed since is read or forgotten. The file is read into memory as a whole, and written as a whole under another name
and renamed; its last bytes are a digest of the others. So nothing waits for anybody, and an index in which one bit is
another, or which is of another version, costs time and nothing else: it is made anew. Where it cannot be written, it
stays in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files.whole import clear_beside, read_plain_file, temporary_for
from harness.records.index_tables import COLUMN_TYPES, add, changes, forget, is_whole, make, quoted
from harness.records.store import RunStore

log = logging.getLogger(__name__)

DIGEST_BYTES = 32
"""Length of the digest that stands at the end of the file, after the database."""

LARGEST_BYTES = 2**30
"""SQLite holds no larger database of a file in memory; 250,000 records. A larger index is made each time."""

STEPS_BETWEEN_LOOKS = 100_000
"""Instructions of SQLite's machine, a few milliseconds, between two looks at whether the user has pressed Ctrl-C."""

FEW = 40
"""Most cells whose records are read one by one, without an index."""

_ORDER = "replace(folder, '/', char(1))"
"""The order of the folders, name by name, as the walk has it."""


@dataclass
class RunIndex:
    """An open index that agrees with the run folders.

    Attributes:
        connection: For reading table ``runs``.
        columns: Columns of ``runs`` in order, and what they hold: str, int, float or bool.
        metric_columns: Those of metrics: ``i2t/map``, ``detector/auroc``.
    """

    connection: sqlite3.Connection
    columns: dict[str, type]
    metric_columns: list[str]

    def rows(
        self,
        columns: Sequence[str],
        where: str = "",
        values: Sequence[Any] = (),
        order: str = "",
        limit: int | None = None,
    ) -> list[tuple[Any, ...]]:
        """Some columns of some records.

        Args:
            columns: Names of the columns.
            where: An SQL condition, see :func:`harness.records.where.condition`; empty for all rows.
            values: Values of the parameters of ``where``.
            order: SQL to sort by, before the folder.
            limit: Most rows that are returned.

        Returns:
            One tuple for each record, in the order of the folders.

        Raises:
            HarnessError: The condition is more than SQLite can evaluate.
        """
        sql = (
            f"SELECT {', '.join(map(quoted, columns))} FROM runs {f'WHERE {where}' if where else ''} "
            f"ORDER BY {f'{order}, ' if order else ''}{_ORDER} LIMIT ?"
        )
        bound = [*values, -1 if limit is None else limit]
        try:
            with interruptible(self.connection):
                return self.connection.execute(sql, bound).fetchall()
        except sqlite3.OperationalError as error:
            raise HarnessError(
                f"the condition on records cannot be evaluated: {error}; write a shorter one."
            ) from error

    def read(self, columns: Sequence[str], where: str = "", values: Sequence[Any] = ()) -> dict[str, list[Any]]:
        """As :meth:`rows`, as columns: name to values."""
        rows = self.rows(columns, where, values)
        if not rows:
            return {name: [] for name in columns}
        return dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))


@contextmanager
def interruptible(connection: sqlite3.Connection) -> Iterator[None]:
    """Let Ctrl-C end a statement, however long it takes.

    SQLite is left neither for a signal nor for another thread of Python; it now and then calls a function, and Python
    looks for signals when a function begins.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl-C.
    """
    connection.set_progress_handler(lambda: 0, STEPS_BETWEEN_LOOKS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise KeyboardInterrupt from error
        raise
    finally:
        connection.set_progress_handler(None, 0)


@contextmanager
def open_index(results: Path, *, in_memory: bool = False) -> Iterator[RunIndex]:
    """Bring the index up to date and open it.

    Records that cannot be read are left out with a note, as :meth:`harness.records.store.RunStore.all` does.

    Args:
        results: The results folder.
        in_memory: Write no file.
    """
    connection = _opened(results / "runs", None if in_memory else results / "index.sqlite")
    try:
        for folder, problem in connection.execute("SELECT folder, problem FROM files WHERE problem != '' ORDER BY 1"):
            log.warning("%s is left out: %s", results / "runs" / folder / "record.json", problem)
        yield RunIndex(connection, *_columns(connection))
    finally:
        connection.close()


@dataclass(frozen=True)
class End:
    """What is known of a cell's record without reading the whole of it.

    Attributes:
        status: Its status.
        finished: When (ISO 8601).
        error: What went wrong, or "".
    """

    status: str
    finished: str
    error: str = ""


@contextmanager
def records_in(results: Path) -> Iterator[RunIndex]:
    """The index of a results folder that holds something.

    Raises:
        HarnessError: It holds no record.
    """
    with open_index(results) as index:
        if index.connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is None:
            raise HarnessError(
                f"no records in {results}/runs: run something first, or name another folder with --results."
            )
        yield index


def ends_of(results: Path, cells: Sequence[tuple[str, str, str]]) -> dict[str, End]:
    """Hash to end of those cells that have a record.

    Args:
        results: The results folder; it need not exist.
        cells: Method, data set and hash of each.
    """
    store = RunStore(results)
    if not store.runs.is_dir():
        return {}
    if len(cells) > FEW:
        wanted = {cell_hash for _, _, cell_hash in cells}
        with open_index(results) as index:
            rows = index.rows(["hash", "status", "finished", "error"])
        return {row[0]: End(row[1], row[2], row[3] or "") for row in rows if row[0] in wanted}
    ends = {}
    for method, dataset, cell_hash in cells:
        stored = store.find(method, dataset, cell_hash)
        if stored is not None:
            error = stored.record.error
            ends[cell_hash] = End(stored.record.status, stored.record.finished, error.message if error else "")
    return ends


def _columns(connection: sqlite3.Connection) -> tuple[dict[str, type], list[str]]:
    """Columns that a record has that is there now, with what they hold; and which of them are metrics."""
    kinds: dict[str, type] = dict(COLUMN_TYPES)
    metrics = []
    used: set[int] = set()
    for (columns,) in connection.execute(
        "SELECT columns FROM shapes WHERE number IN (SELECT DISTINCT shape FROM files WHERE problem = '')"
    ):
        used.update(json.loads(columns))
    for number, name, metric in connection.execute("SELECT number, name, metric FROM columns ORDER BY number"):
        if number in used:
            kinds[name] = float
            if metric:
                metrics.append(name)
    return kinds, metrics


def _opened(runs: Path, file: Path | None) -> sqlite3.Connection:
    """The index in memory, up to date.

    Args:
        runs: The folder ``results/runs``.
        file: Where it is kept; None for nowhere.
    """
    if not runs.is_dir() or not hasattr(sqlite3.Connection, "serialize"):  # SQLite can be built without
        file = None
    connection = _stored(file) if file is not None else None
    is_new = connection is None
    connection = connection or _empty()
    try:
        changed = _bring_up_to_date(connection, runs)
        if file is not None and (is_new or changed):
            _write(connection, file)
    except BaseException:
        connection.close()
        raise
    return connection


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    make(connection)
    return connection


def _stored(file: Path) -> sqlite3.Connection | None:
    """The index in a file; None where there is none, or it is not what this version wrote there."""
    try:
        content = memoryview(read_plain_file(file, LARGEST_BYTES))
    except (OSError, ValueError) as error:
        log.debug("%s: %s", file, error)
        return None
    database, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if _digest(database) != digest:
        log.debug("%s is damaged", file)
        return None
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with contextlib.suppress(sqlite3.Error):
        connection.deserialize(database)
        if is_whole(connection):
            return connection
    connection.close()
    return None


def _write(connection: sqlite3.Connection, file: Path) -> None:
    """Keep the index in its file, which is there whole or not at all."""
    content = connection.serialize()
    temporary = temporary_for(file)
    try:
        with temporary.open("wb") as opened:
            opened.write(content)
            opened.write(_digest(content))
        temporary.replace(file)
        clear_beside(file)
    except OSError as error:  # read-only, disk full
        log.debug("%s: %s", file, error)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _digest(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def _bring_up_to_date(connection: sqlite3.Connection, runs: Path) -> bool:
    """Make the index agree with the folders.

    Returns:
        Whether anything in the index has changed.
    """
    before = connection.total_changes
    changed, gone = changes(connection, runs)
    connection.execute("BEGIN")
    forget(connection, [*gone, *(seen.folder for seen in changed)])
    add(connection, runs, changed)
    connection.execute("COMMIT")
    return connection.total_changes > before
