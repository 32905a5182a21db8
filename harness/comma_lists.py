"""Comma lists of the command line, and values that contain a comma themselves.

A comma after a backslash belongs to the value: ``a,b`` is two values, ``a\\,b`` is one. Backslashes are left alone
anywhere else, so that paths and patterns need no care; directly before a comma they count in pairs.
"""

from __future__ import annotations

import re

_BEFORE_COMMA = re.compile(r"(\\*),")


def split(text: str) -> list[str]:
    """The values of a comma list, without surrounding blanks; empty ones are left out.

    Args:
        text: What was written.

    Returns:
        The values with their own commas bare.
    """
    parts, part, begin = [], "", 0
    for match in _BEFORE_COMMA.finditer(text):
        backslashes = len(match[1])
        part += text[begin : match.start()] + "\\" * (backslashes // 2)
        if backslashes % 2:
            part += ","
        else:
            parts.append(part)
            part = ""
        begin = match.end()
    parts.append(part + text[begin:])
    return [stripped for part in parts if (stripped := part.strip())]


def escaped(value: str) -> str:
    """The text that :func:`split` takes for this one value."""
    return _BEFORE_COMMA.sub(lambda match: "\\" * (2 * len(match[1]) + 1) + ",", value)


def single(text: str) -> str:
    """The inverse of :func:`escaped`.

    Raises:
        ValueError: The text is a list of several values, or of none.
    """
    separators = [match for match in _BEFORE_COMMA.finditer(text) if len(match[1]) % 2 == 0]
    if separators:
        raise ValueError(text)
    return _BEFORE_COMMA.sub(lambda match: "\\" * (len(match[1]) // 2) + ",", text)
