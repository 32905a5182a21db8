"""The tables of the index: how records become rows.

``runs`` is what users see. ``files`` knows of each ``record.json`` what it looked like when it was read, or why it
could not be. ``columns`` names the columns of ``runs``, and ``shapes`` says which of them a record has, be they empty.
"""

from __future__ import annotations

import json
import logging
import math
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.records.facts import FACTS, facts
from harness.records.store import read_run, short
from harness.records.walk import Seen, walk

if TYPE_CHECKING:
    from harness.records.schema import RunRecord

log = logging.getLogger(__name__)

VERSION = 5
"""Layout of the index; raise it when columns or what they hold change. An index of another version is made again."""

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
    "training_pairs": int,
    "query_images": int,
    "database_images": int,
    "git": str,
    "command": str,
    "error_kind": str,
    "error": str,
    "notes": str,
    "detector_reason": str,
}
"""Columns beside :data:`harness.records.facts.FACTS`; ``folder`` is the run folder below ``runs``."""

COLUMN_TYPES = {**FACTS, **MORE_FACTS}
"""Columns that every index has, and what they hold."""

MOST_COLUMNS = 1900
"""SQLite allows 2000 in a table."""

_BATCH = 500
"""Records read at a time; all at once would take a few hundred megabytes."""

_TYPES = {str: "TEXT", int: "INTEGER", float: "REAL", bool: "INTEGER"}


def quoted(column: str) -> str:
    """A column name as SQL wants it."""
    return '"' + column.replace('"', '""') + '"'


def make(connection: sqlite3.Connection) -> None:
    """Make the tables, empty."""
    connection.execute(
        "CREATE TABLE files (folder TEXT PRIMARY KEY, signature TEXT, problem TEXT, shape INTEGER) WITHOUT ROWID"
    )
    connection.execute("CREATE TABLE columns (number INTEGER PRIMARY KEY, name TEXT, metric INTEGER)")
    connection.execute("CREATE TABLE shapes (number INTEGER PRIMARY KEY, columns TEXT UNIQUE)")
    declared = ", ".join(f"{quoted(name)} {_TYPES[kind]}" for name, kind in COLUMN_TYPES.items())
    connection.execute(f"CREATE TABLE runs ({declared}, UNIQUE (folder))")
    connection.executemany("INSERT INTO columns VALUES (?, ?, 0)", enumerate(COLUMN_TYPES))
    connection.execute(f"PRAGMA user_version = {VERSION}")


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether an index is of this version and its tables fit each other; one that somebody else made may not.

    Raises:
        sqlite3.Error: A table or column is missing.
    """
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        return False
    if connection.execute("SELECT 1 FROM sqlite_master WHERE type NOT IN ('table', 'index')").fetchone():
        return False
    names = [name for (name,) in connection.execute("SELECT name FROM columns ORDER BY number")]
    if names != [row[1] for row in connection.execute("PRAGMA table_info(runs)")]:
        return False
    connection.execute("SELECT columns FROM shapes LIMIT 0")
    counts = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM files WHERE problem = '')"
    rows, files = connection.execute(counts).fetchone()
    return bool(rows == files)


def changes(connection: sqlite3.Connection, runs: Path) -> tuple[list[Seen], list[str]]:
    """Records that the index does not know as they are now, and folders that it knows and that are gone."""
    known = dict(connection.execute("SELECT folder, signature FROM files"))
    changed = [seen for seen in walk(runs) if known.pop(seen.folder, None) != _text(seen)]
    return changed, list(known)  # without those that the walk has seen


def _text(seen: Seen) -> str:
    return "-".join(map(str, seen.signature))  # inodes of some file systems are too large for SQLite's integers


def forget(connection: sqlite3.Connection, folders: list[str]) -> None:
    """Remove what is known of some folders."""
    for table in ("files", "runs"):
        connection.executemany(f"DELETE FROM {table} WHERE folder = ?", [(folder,) for folder in folders])


def add(connection: sqlite3.Connection, runs: Path, changed: list[Seen]) -> None:
    """Read records into the tables."""
    table = _Table(connection)
    for start in range(0, len(changed), _BATCH):
        files: list[tuple[str, str, str, int | None]] = []
        for seen in changed[start : start + _BATCH]:
            folder = runs / seen.folder
            try:
                record = read_run(folder)
            except FileNotFoundError:
                continue  # removed since the walk
            except OSError as error:
                log.warning("%s is left out: %s", folder / "record.json", short(error))
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
        row: list[Any] = [_stored(known[name]) for name in COLUMN_TYPES]
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
        """A column for a new number; none where there are too many, one that SQLite cannot tell from it, or a name
        that SQLite does not take (NUL).
        """
        column = f"{group}/{name}"
        place = None
        if column.isprintable() and column.lower() not in self._lowered and len(self._names) < MOST_COLUMNS:
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
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat.update(_flat(value, f"{prefix}{name}/") if isinstance(value, dict) else {f"{prefix}{name}": value})
    return flat


def _more_facts(record: RunRecord) -> dict[str, Any]:
    surroundings = record.environment
    git = surroundings.get("git")
    detector = record.metrics.get("detector")
    return {
        "preset": record.cell.preset,
        "parameters": json.dumps(record.cell.parameters, sort_keys=True),
        "noise_plan": record.plan,
        "started": record.started,
        "attempt": record.attempt,
        "host": surroundings.get("host"),
        "device": surroundings.get("device"),
        "threads": surroundings.get("threads"),
        "training_pairs": record.cell.images.get("train"),
        "query_images": record.cell.images.get("query"),
        "database_images": record.cell.images.get("database"),
        "git": git.get("commit") if isinstance(git, dict) else None,
        "command": record.command,
        "error_kind": record.error.kind if record.error else None,
        "error": record.error.message if record.error else None,
        "notes": "\n".join(record.notes),
        "detector_reason": detector.get("reason") if isinstance(detector, dict) else None,
    }


def _stored(value: Any) -> Any:
    """A value as SQLite can hold it."""
    if value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else (math.inf if value > 0 else -math.inf)
    return json.dumps(value, sort_keys=True)
