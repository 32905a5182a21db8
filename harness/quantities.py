"""Times, sizes, whole numbers, ranges and comma lists as people write and read them.

A comma after a backslash belongs to the value: ``a,b`` is two values, ``a\\,b`` is one. Backslashes are left alone
anywhere else, so that paths and patterns need no care; directly before a comma they count in pairs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from harness.errors import HarnessError
from harness.text import shortened

SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}

LARGEST_INTEGER = 2**63 - 1
"""SQLite, numpy and torch have no larger whole numbers; seeds and counts go up to it."""

DIGITS = len(str(LARGEST_INTEGER))
"""More in a whole number are more than it."""

LONGEST_RANGE = 10_000
"""Numbers of a range such as ``0-4``, and repeats in a plan: more are a slip of the keyboard."""

_BEFORE_COMMA = re.compile(r"(\\*),")
_RANGE = re.compile(rf"(\d{{1,{DIGITS}}})-(\d{{1,{DIGITS}}})")
_QUANTITY = re.compile(r"\s*([0-9]{0,15}\.?[0-9]{1,15})\s*([a-zA-Z]*)\s*")


def check_whole(option: str, number: int | None, least: int = 0, most: int = LARGEST_INTEGER) -> None:
    """A whole number within limits; None is nothing to check.

    Raises:
        HarnessError: It is smaller or larger.
    """
    if number is not None and not least <= number <= most:
        said = str(number) if number.bit_length() <= 128 else f"of {number.bit_length()} bits"
        expected = f"at most {most}" if number > most else f"at least {least}" if least else "0 or more"
        raise HarnessError(f"{option} {said}: expected {expected}.")


def range_of(text: str) -> range | None:
    """The whole numbers of a range such as ``0-4``, both ends among them; None for any other text.

    Raises:
        ValueError: The range runs backwards, or is longer than :data:`LONGEST_RANGE`; "the range" is the subject of
            what it says.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise ValueError(f"runs backwards: write {last}-{first}")
    if last - first >= LONGEST_RANGE:
        raise ValueError(f"has more than {LONGEST_RANGE} values")
    return range(first, last + 1)


def seconds_of(text: str, option: str) -> float:
    """``90``, ``15m``, ``2h`` or ``1.5h`` in seconds.

    Raises:
        HarnessError: It is no time, or none above 0.
    """
    return _quantity(text, option, SECONDS, "a time above 0, such as 90 (seconds), 15m or 2h")


def size_of(text: str, option: str) -> int:
    """``800MB`` or ``4GB`` in bytes.

    Raises:
        HarnessError: It is no size, has no unit, or is 0.
    """
    return int(_quantity(text, option, BYTES, "a size above 0 with its unit, such as 800MB or 4GB"))


def _quantity(text: str, option: str, units: Mapping[str, float], expected: str) -> float:
    match = _QUANTITY.fullmatch(text)
    unit = units.get(match[2].lower()) if match else None
    if match is None or unit is None or not float(match[1]):
        raise HarnessError(f"{option} {shortened(text, 60)}: expected {expected}.")
    return float(match[1]) * unit


def spoken_time(seconds: float) -> str:
    """``8 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``: two units at most."""
    if not math.isfinite(seconds):
        return "?"
    left = max(0, round(seconds))
    if left < 60:
        return f"{left} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[tuple[int, str]] = []
    for name, size in units:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count)


def comma_split(text: str) -> list[str]:
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


def comma_escaped(value: str) -> str:
    """The text that :func:`comma_split` takes for this one value."""
    return _BEFORE_COMMA.sub(lambda match: "\\" * (2 * len(match[1]) + 1) + ",", value)


def comma_single(text: str) -> str:
    """The inverse of :func:`comma_escaped`.

    Raises:
        ValueError: The text is a list of several values, or of none.
    """
    separators = [match for match in _BEFORE_COMMA.finditer(text) if len(match[1]) % 2 == 0]
    if separators:
        raise ValueError(text)
    return _BEFORE_COMMA.sub(lambda match: "\\" * (len(match[1]) // 2) + ",", text)
