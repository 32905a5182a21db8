"""Questions to the index in SQL, which can read and nothing else."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from typing import Any

from harness.errors import HarnessError, unknown_name
from harness.records.index import RunIndex, interruptible

ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
"""What a statement may do; everything that writes, attaches a file or changes a setting is something else."""

MOST_ROWS = 1_000_000
"""Most rows of an answer; SQL can make rows without end, which would fill the memory."""

LONGEST_VALUE = 100_000_000
"""Most bytes of a text that SQL makes."""

_TEXT_OR_NAME = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*")
_ALIAS = re.compile(r"\bas\s+(\"(?:[^\"]|\"\")*\")", re.IGNORECASE)


def query(index: RunIndex, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Ask the index.

    Args:
        index: The index; its table is ``runs``.
        sql: One SELECT.

    Returns:
        Column names and rows.

    Raises:
        HarnessError: The statement is wrong, names a column that there is not, would do anything but read, or gives
            more than :data:`MOST_ROWS` rows.
        KeyboardInterrupt: The user has ended it.
    """
    _check_quoted_names(sql, index.columns)
    refused: list[str] = []

    def allow(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
        if action not in ALLOWED or (action == sqlite3.SQLITE_READ and first not in ("runs", "")):
            if action == sqlite3.SQLITE_READ and first not in ("files", "columns", "sqlite_master", "sqlite_schema"):
                return sqlite3.SQLITE_OK  # a table that the statement itself made: WITH
            refused.append(first or "")
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    index.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    index.connection.set_authorizer(allow)
    try:
        with interruptible(index.connection):
            cursor = index.connection.execute(sql)
            rows = cursor.fetchmany(MOST_ROWS + 1)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise _explained(str(error), index.columns, bool(refused)) from error
    finally:
        index.connection.set_authorizer(None)
    if len(rows) > MOST_ROWS:
        raise HarnessError(f"the query gives more than {MOST_ROWS} rows; end it with LIMIT, or ask for less.")
    if cursor.description is None:
        raise HarnessError('the query is empty; for example "SELECT method, noise, \\"i2t/map\\" FROM runs".')
    return [name for name, *_ in cursor.description], rows


def _check_quoted_names(sql: str, columns: Iterable[str]) -> None:
    """Refuse names in double quotes that are no columns; SQLite would take a misspelt column for a text."""
    known = {*(name.lower() for name in columns), "runs", *(_bare(alias) for alias in _ALIAS.findall(sql))}
    for match in _TEXT_OR_NAME.finditer(sql):
        if match[0].startswith('"') and _bare(match[0]) not in known:
            raise unknown_name("column", match[0][1:-1], columns, "Texts stand in single quotes.")


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"').lower()


def _explained(message: str, columns: Iterable[str], refused: bool) -> HarnessError:
    """SQLite's message as one sentence that says what to do."""
    missing = re.match(r"no such column: (\S+)", message)
    if missing:
        name = missing[1].rpartition(".")[2] or missing[1]
        of_group = [column for column in columns if column.partition("/")[0] == name]
        if of_group:
            example = f"{name}/map" if f"{name}/map" in of_group else of_group[0]
            return HarnessError(f'no column {name!r}: metrics are written in double quotes, such as "{example}".')
        return unknown_name("column", name, columns, "`harness results list --columns` lists all.")
    table = re.match(r"no such table: (\S+)", message)
    if table:
        return HarnessError(f"no table {table[1]!r}: the only one is runs, a row for each record.")
    if refused or message == "not authorized":
        return HarnessError("the query would do more than read; it must be one SELECT over the table runs.")
    if "one statement" in message:
        return HarnessError("the query holds several statements; it must be one SELECT over the table runs.")
    return HarnessError(
        f'the query cannot be run: {message}; names with / @ . or a reserved word ("limit") stand in double quotes.'
    )
