"""TOML with the line of what is wrong.

The standard library's parser does not say where a key stands. The line is found by parsing growing beginnings of the
file: the first one that holds the key ends where the key's value ends, and the value begins after the longest
beginning before it that is whole TOML.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError

_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|(end of document))\)$")

Key = str | int


def read_toml(path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """Text and content of a TOML file.

    Args:
        path: The file.
        what: What it is, for the message.

    Returns:
        The text, and the content.

    Raises:
        HarnessError: It cannot be read, or is no TOML; the message names line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"{what} {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise HarnessError(f"{what} {path} is no text in UTF-8.") from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        where = ""
        if place:
            message = message[: place.start()]
            lines = text.count("\n") + 1
            where = f", line {lines}" if place[3] else f", line {place[1]}, column {place[2]}"
        raise HarnessError(f"{path}{where}: {message[:1].lower()}{message[1:]}.") from error


def line_of(text: str, keys: Sequence[Key]) -> int | None:
    """The line on which a key's entry begins.

    Args:
        text: A whole TOML document.
        keys: Path of the key: names of tables, positions in arrays.

    Returns:
        The line from 1; None if the document has no such key.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    whole = 0
    for number in range(1, len(lines) + 1):
        try:
            content = tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue
        if _holds(content, keys):
            return whole + 1
        whole = number
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
