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
from typing import TYPE_CHECKING, Any

from harness.records.facts import FACTS, facts
from harness.records.store import read_record, short
from harness.records.walk import Seen, walk

if TYPE_CHECKING:
    from harness.records.schema import RunRecord

log = logging.getLogger(__name__)

VERSION = 1
"""Layout of the index; raise it when columns or what they hold change. An index of another version is made again."""

WAIT_SECONDS = 20.0
"""How long to wait for another process that brings the same index up to date."""

MORE_FACTS = {
    "folder": str,
    "preset": str,
    "parameters": str,
    "noise_plan": str,
    "started": str,
    "attempt": int,
    "host": str,
    "device": str,
    "threads": int,
    "git": str,
    "command": str,
    "error_kind": str,
    "error": str,
}
"""Columns beside :data:`harness.records.facts.FACTS`; ``folder`` is the run folder below ``runs``."""

KINDS = {**FACTS, **MORE_FACTS}
"""Columns that every index has, and what they hold."""

MOST_COLUMNS = 1900
"""SQLite allows 2000 in a table."""

_DAMAGED = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
"""Errors of a file that is none of ours, or not whole; a statement of ours that SQLite finds wrong is one of them."""

_ORDER = "replace(folder, '/', char(1))"
"""The order of the folders, name by name, as the walk has it."""

_BATCH = 500
"""Records read at a time; all at once would take a few hundred megabytes."""

_TYPES = {str: "TEXT", int: "INTEGER", float: "REAL", bool: "INTEGER"}


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
        if error.sqlite_errorcode & 0xFF not in _DAMAGED:
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


def statuses(results: Path) -> dict[str, str]:
    """The status of every record by its hash, in one go: for a plan of thousands of cells.

    Args:
        results: The results folder.
    """
    with open_index(results) as index:
        return dict(index.rows(["hash", "status"]))


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


def quoted(column: str) -> str:
    """A column name as SQL wants it."""
    return '"' + column.replace('"', '""') + '"'


def _from_file(results: Path) -> sqlite3.Connection:
    """The index beside the records; where that does not work, made again, and at last in memory."""
    path = results / "index.sqlite"
    if not (results / "runs").is_dir():
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
            if error.sqlite_errorcode & 0xFF not in _DAMAGED:
                break  # in use, read-only, disk full, not to be opened
            _remove(path)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
    return _in_memory(results)


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
        current = version == VERSION and _is_whole(connection) and not any(_changes(connection, runs))
    finally:
        connection.execute("ROLLBACK")
    if current:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION or not _is_whole(connection):
            _make(connection)
        changed, gone = _changes(connection, runs)
        _forget(connection, [*gone, *(seen.folder for seen in changed)])
        _add(connection, runs, changed)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _make(connection: sqlite3.Connection) -> None:
    """Empty tables, in the place of whatever is there."""
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f"DROP TABLE {quoted(table)}")
    connection.execute(
        "CREATE TABLE files (folder TEXT PRIMARY KEY, signature TEXT, problem TEXT, shape INTEGER) WITHOUT ROWID"
    )
    connection.execute("CREATE TABLE columns (number INTEGER PRIMARY KEY, name TEXT, metric INTEGER)")
    connection.execute("CREATE TABLE shapes (number INTEGER PRIMARY KEY, columns TEXT UNIQUE)")
    declared = ", ".join(f"{quoted(name)} {_TYPES[kind]}" for name, kind in KINDS.items())
    connection.execute(f"CREATE TABLE runs ({declared}, UNIQUE (folder))")
    connection.executemany("INSERT INTO columns VALUES (?, ?, 0)", enumerate(KINDS))
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _is_whole(connection: sqlite3.Connection) -> bool:
    """Whether the tables fit each other; an index that somebody edited may not.

    Raises:
        sqlite3.Error: A table or column is missing.
    """
    names = [name for (name,) in connection.execute("SELECT name FROM columns ORDER BY number")]
    if names != [row[1] for row in connection.execute("PRAGMA table_info(runs)")]:
        return False
    connection.execute("SELECT columns FROM shapes LIMIT 0")
    counts = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM files WHERE problem = '')"
    rows, files = connection.execute(counts).fetchone()
    return bool(rows == files)


def _changes(connection: sqlite3.Connection, runs: Path) -> tuple[list[Seen], list[str]]:
    """Records that the index does not know as they are now, and folders that it knows and that are gone."""
    known = dict(connection.execute("SELECT folder, signature FROM files"))
    changed = [seen for seen in walk(runs) if known.pop(seen.folder, None) != _text(seen)]
    kept = {seen.folder for seen in changed}
    return changed, [folder for folder in known if folder not in kept]


def _text(seen: Seen) -> str:
    return "-".join(map(str, seen.signature))  # inodes of some file systems are too large for SQLite's integers


def _forget(connection: sqlite3.Connection, folders: list[str]) -> None:
    for table in ("files", "runs"):
        connection.executemany(f"DELETE FROM {table} WHERE folder = ?", [(folder,) for folder in folders])


def _add(connection: sqlite3.Connection, runs: Path, changed: list[Seen]) -> None:
    """Read records into the tables."""
    table = _Table(connection)
    for start in range(0, len(changed), _BATCH):
        files = []
        for seen in changed[start : start + _BATCH]:
            path = runs / seen.folder / "record.json"
            try:
                record = read_record(path)
            except FileNotFoundError:
                continue  # removed since the walk
            except OSError as error:
                log.warning("%s is left out: %s", path, short(error))
                continue  # it may be readable the next time
            except ValueError as error:
                files.append((seen.folder, _text(seen), short(error), None))
                continue
            files.append((seen.folder, _text(seen), "", table.add(record, seen.folder)))
        connection.executemany("INSERT INTO files VALUES (?, ?, ?, ?)", files)
        table.insert()


class _Table:
    """Collects rows of table ``runs``; numbers without a column get one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names = [name for (name,) in connection.execute("SELECT name FROM columns ORDER BY number")]
        self._lowered = {name.lower() for name in self._names}
        self._rows: list[list[Any]] = []
        self._places: dict[str, dict[str, int | None]] = {}
        """Group to name to the position of its column; None for names that have none."""
        self._shapes: dict[tuple[Any, ...], int] = {}
        for position, name in enumerate(self._names):
            group, slash, rest = name.partition("/")
            if slash:
                self._places.setdefault(group, {})[rest] = position

    def add(self, record: RunRecord, folder: str) -> int:
        """Take in a record.

        Returns:
            The number of its shape: which columns it has, be they empty.
        """
        known = {**facts(record), **_more_facts(record), "folder": folder}
        row: list[Any] = [_stored(known[name]) for name in KINDS]
        row += [None] * (len(self._names) - len(row))
        numbers: dict[str, Any] = {"timings": record.timings, "cost": _flat(record.cost), **record.metrics}
        for group, values in numbers.items():
            if not isinstance(values, dict):
                continue
            places = self._places.setdefault(group, {})
            for name, value in values.items():
                if value is not None and value.__class__ is not float:
                    if not isinstance(value, int | float):
                        continue
                    value = _stored(value)
                place = places[name] if name in places else self._place(group, name)
                if place is not None:
                    if place >= len(row):
                        row += [None] * (place + 1 - len(row))
                    row[place] = value
        self._rows.append(row)
        return self._shape(numbers)

    def _shape(self, numbers: dict[str, Any]) -> int:
        key = tuple((group, *values) for group, values in numbers.items() if isinstance(values, dict))
        if key not in self._shapes:
            places = (self._places[group].get(name) for group, *names in key for name in names)
            columns = json.dumps(sorted(place for place in places if place is not None))
            self._connection.execute("INSERT OR IGNORE INTO shapes (columns) VALUES (?)", (columns,))
            self._shapes[key] = self._connection.execute(
                "SELECT number FROM shapes WHERE columns = ?", (columns,)
            ).fetchone()[0]
        return self._shapes[key]

    def _place(self, group: str, name: str) -> int | None:
        """A column for a new number; none where there are too many, or one that SQLite cannot tell from it."""
        column = f"{group}/{name}"
        place = None
        if column.lower() not in self._lowered and len(self._names) < MOST_COLUMNS:
            place = len(self._names)
            self._names.append(column)
            self._lowered.add(column.lower())
            self._connection.execute(f"ALTER TABLE runs ADD COLUMN {quoted(column)}")
            self._connection.execute("INSERT INTO columns VALUES (?, ?, ?)", (place, column, group not in _NO_METRICS))
        self._places[group][name] = place
        return place

    def insert(self) -> None:
        """Write the rows down."""
        width = len(self._names)
        self._connection.executemany(
            f"INSERT INTO runs ({', '.join(map(quoted, self._names))}) VALUES ({', '.join('?' * width)})",
            [row + [None] * (width - len(row)) for row in self._rows],
        )
        self._rows.clear()


_NO_METRICS = ("cost", "timings")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values under one name each: ``encode_seconds/alone``."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found.update(_flat(value, f"{prefix}{name}/") if isinstance(value, dict) else {f"{prefix}{name}": value})
    return found


def _more_facts(record: RunRecord) -> dict[str, Any]:
    surroundings = record.environment
    git = surroundings.get("git")
    return {
        "preset": record.cell.preset,
        "parameters": json.dumps(record.cell.parameters, sort_keys=True),
        "noise_plan": record.plan,
        "started": record.started,
        "attempt": record.attempt,
        "host": surroundings.get("host"),
        "device": surroundings.get("device"),
        "threads": surroundings.get("threads"),
        "git": git.get("commit") if isinstance(git, dict) else None,
        "command": record.command,
        "error_kind": record.error.kind if record.error else None,
        "error": record.error.message if record.error else None,
    }


def _stored(value: Any) -> Any:
    """A value as SQLite can hold it."""
    if value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(value)
    return json.dumps(value, sort_keys=True)
