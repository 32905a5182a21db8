"""TOML with the line of what is wrong.

The standard library's parser does not say where a key stands. The line is found by parsing beginnings of the file: the
first one that holds the key ends where the key's value ends, and the value begins after the longest beginning before it
that is whole TOML.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files.whole import read_text_file
from harness.text import one_line, printable, shortened

DEEPEST = 20
"""Tables and lists within each other; a plan needs five."""

MOST_DOTS = 300
"""In a line. The parser takes minutes for a name of 20,000 parts."""

LONGEST_NAME = 100
"""Characters of a key or of the name of a table."""

_MOST_WORK = 500_000
"""Characters that are parsed to find one line; the parser takes about half a second for them."""

_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|(end of document))\)$")

Key = str | int


def read_toml(path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """Text and content of a TOML file.

    Args:
        path: The file.
        what: What it is, for the message.

    Returns:
        The text, and the content, in which no whole number exceeds 64 bits and no text holds control characters.

    Raises:
        HarnessError: It cannot be read, is no TOML (the message names line and column), or holds what no file of ours
            needs: tables and lists nested beyond :data:`DEEPEST`, names longer than :data:`LONGEST_NAME`, larger
            numbers, control characters.
    """
    text = read_text_file(path, f"{what} {path}")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > MOST_DOTS:
            raise HarnessError(f"{what} {path}, line {number}: more than {MOST_DOTS} dots; a name has a few.")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        where = ""
        if place:
            message = message[: place.start()]
            lines = text.count("\n") + 1
            where = f", line {lines}" if place[3] else f", line {place[1]}, column {place[2]}"
        raise HarnessError(f"{path}{where}: {message[:1].lower()}{message[1:]}.") from error
    except RecursionError:
        raise HarnessError(f"{what} {path}: lists or tables are nested too deeply.") from None
    except ValueError:  # Python converts no number of more than 4,300 digits
        raise HarnessError(f"{what} {path}: a number has thousands of digits.") from None
    unwanted = _unwanted(content)
    if unwanted:
        keys, why = unwanted
        at = line_of(text, keys)
        where = f", line {at}" if at else ""
        raise HarnessError(f"{what} {path}{where}: key {shortened(printable('.'.join(map(str, keys))))!r}: {why}.")
    return text, content


def _unwanted(content: Mapping[str, Any]) -> tuple[tuple[Key, ...], str] | None:
    """The place of something that TOML allows and no file of ours needs, and what it is."""
    left: list[tuple[tuple[Key, ...], Any]] = [((), content)]
    while left:
        keys, value = left.pop()
        if len(keys) > DEEPEST:
            return keys[:1], f"lists or tables are nested more than {DEEPEST} deep"
        if isinstance(value, dict):
            odd = next((key for key in value if not key or one_line(key) != key), None)
            if odd is not None:
                return (*keys, odd), "a name is empty, or holds control characters or blanks that nobody sees"
            long = next((key for key in value if len(key) > LONGEST_NAME), None)
            if long is not None:
                return (*keys, long), f"a name has more than {LONGEST_NAME} characters"
            left += [((*keys, key), part) for key, part in value.items()]
        elif isinstance(value, list):
            left += [((*keys, at), part) for at, part in enumerate(value)]
        elif isinstance(value, str) and printable(value) != value:
            return keys, f"{printable(value)[:120]!r} holds control characters"
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            return keys, "a whole number has more than the 64 bits that TOML allows"
    return None


def line_of(text: str, keys: Sequence[Key]) -> int | None:
    """The line on which a key's entry begins.

    Args:
        text: A whole TOML document.
        keys: Path of the key: names of tables, positions in arrays.

    Returns:
        The line from 1; None if the document has no such key, or is so long that to look for it would take seconds.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    work = len(text)
    if work > _MOST_WORK or not _holds(_beginning(text), keys):
        return None
    without, holding = 0, len(lines)  # numbers of lines: beginnings that are whole TOML, without and with the key
    while holding - without > 1:
        middle = (without + holding) // 2
        # A beginning may end within a value; the nearest whole one before the middle, otherwise after it, serves.
        for number in [*range(middle, without, -1), *range(middle + 1, holding)]:
            part = "\n".join(lines[:number])
            work += len(part)
            if work > _MOST_WORK:
                return None
            content = _beginning(part)
            if content is not None:
                break
        else:
            break
        if _holds(content, keys):
            holding = number
        else:
            without = number
    return without + 1


def _beginning(text: str) -> dict[str, Any] | None:
    """The content of the beginning of a document; None where that is no valid TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def _holds(content: Any, keys: Sequence[Key]) -> bool:
    for key in keys:
        if isinstance(content, Mapping) and key in content:
            content = content[str(key)]
        elif isinstance(content, list) and isinstance(key, int) and key < len(content):
            content = content[key]
        else:
            return False
    return True
