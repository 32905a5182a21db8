"""The index of a results folder: one wide SQLite table, derived from the records and thrown away at will.

``results/index.sqlite`` holds table ``runs``: a row for each record, a column for each fact and each metric. The run
folders are the truth: each time the index is opened, the folders are walked, and what was added, replaced, edited or
removed since is read or forgotten, in one transaction. An index that is damaged, of another version, in use for too
long or in a place where it cannot be written costs time and nothing else: it is made again, or made in memory.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.records.index_tables import KINDS, VERSION, add, changes, forget, is_whole, make, quoted

log = logging.getLogger(__name__)

WAIT_SECONDS = 20.0
"""How long to wait for another process that brings the same index up to date."""

_DAMAGED = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
"""Errors of a file that is none of ours, or not whole; a statement of ours that SQLite finds wrong is one of them."""

_ORDER = "replace(folder, '/', char(1))"
"""The order of the folders, name by name, as the walk has it."""


@dataclass
class RunIndex:
    """An index that is up to date, and open.

    Attributes:
        results: The results folder.
        connection: For reading table ``runs``.
        columns: Columns of ``runs`` in order, and what they hold: str, int, float or bool.
        metric_columns: Those of metrics: ``i2t/map``, ``detector/auroc``.
    """

    results: Path
    connection: sqlite3.Connection
    columns: dict[str, type]
    metric_columns: list[str]

    def repaired(self, error: sqlite3.Error) -> bool:
        """Where a file turns out to be damaged, put an index in memory into its place.

        Args:
            error: What reading it has raised.

        Returns:
            Whether that was the reason, so that it is worth trying again.
        """
        if not _is_damage(error):
            return False
        log.debug("%s is damaged: %s", self.results / "index.sqlite", error)
        self.connection.close()
        _remove(self.results / "index.sqlite")
        self.connection = _in_memory(self.results)
        return True

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
            columns: Their names.
            where: An SQL condition, see :func:`harness.records.where.condition`; empty for all rows.
            values: Of its parameters.
            order: SQL to sort by, before the folder.
            limit: So many at most.

        Returns:
            One tuple for each record, in the order of the folders.
        """
        sql = (
            f"SELECT {', '.join(map(quoted, columns))} FROM runs {f'WHERE {where}' if where else ''} "
            f"ORDER BY {f'{order}, ' if order else ''}{_ORDER} LIMIT ?"
        )
        bound = [*values, -1 if limit is None else limit]
        try:
            return self.connection.execute(sql, bound).fetchall()
        except sqlite3.DatabaseError as error:
            if not self.repaired(error):
                raise
        return self.connection.execute(sql, bound).fetchall()

    def read(self, columns: Sequence[str], where: str = "", values: Sequence[Any] = ()) -> dict[str, list[Any]]:
        """As :meth:`rows`, as columns: name to values."""
        rows = self.rows(columns, where, values)
        if not rows:
            return {name: [] for name in columns}
        return dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))


@contextmanager
def open_index(results: Path, *, in_memory: bool = False) -> Iterator[RunIndex]:
    """Bring the index up to date and open it.

    Records that cannot be read are left out with a note, as :meth:`harness.records.store.RunStore.all` does.

    Args:
        results: The results folder.
        in_memory: Leave no file there.
    """
    connection = _in_memory(results) if in_memory else _from_file(results)
    index = None
    try:
        for folder, problem in connection.execute("SELECT folder, problem FROM files WHERE problem != '' ORDER BY 1"):
            log.warning("%s is left out: %s", results / "runs" / folder / "record.json", problem)
        index = RunIndex(results, connection, *_columns(connection))
        yield index
    finally:
        (index or RunIndex(results, connection, {}, [])).connection.close()


def _columns(connection: sqlite3.Connection) -> tuple[dict[str, type], list[str]]:
    """Columns that a record has that is there now, with what they hold; and which of them are metrics."""
    kinds: dict[str, type] = dict(KINDS)
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


def _from_file(results: Path) -> sqlite3.Connection:
    """The index beside the records; where that does not work, made again, and at last in memory."""
    path = results / "index.sqlite"
    if path.is_symlink() or not (results / "runs").is_dir():  # what a link leads to is no index of ours to be made anew
        return _in_memory(results)
    for _ in range(2):
        connection = None
        try:
            connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
            connection.execute("PRAGMA synchronous = OFF")  # what a power cut damages is made again
            _bring_up_to_date(connection, results / "runs")
            return connection
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            log.debug("%s: %s", path, error)
            if not _is_damage(error):
                break  # in use, read-only, disk full, not to be opened
            _remove(path)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
    return _in_memory(results)


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is to blame, as opposed to whoever else uses it, or the disk."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED  # errors of Python's own module have no number


def _remove(path: Path) -> None:
    for file in (path, path.with_name(path.name + "-journal")):
        with contextlib.suppress(OSError):
            file.unlink()


def _in_memory(results: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _bring_up_to_date(connection, results / "runs")
    return connection


def _bring_up_to_date(connection: sqlite3.Connection, runs: Path) -> None:
    """Make the index agree with the folders.

    The walk that decides is made while no other process may write, so that a slow process cannot put back what a
    quick one has found to be gone.
    """
    connection.execute("BEGIN")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        current = version == VERSION and is_whole(connection) and not any(changes(connection, runs))
    finally:
        connection.execute("ROLLBACK")
    if current:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION or not is_whole(connection):
            make(connection)
        changed, gone = changes(connection, runs)
        forget(connection, [*gone, *(seen.folder for seen in changed)])
        add(connection, runs, changed)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
