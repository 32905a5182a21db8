"""Small pieces of English."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int, noun: str, nouns: str = "") -> str:
    """``1 run``, ``2 runs``; ``nouns`` where the plural takes more than an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {nouns or noun + 's'}"


def shown(value: object, longest: int = 60) -> str:
    """A value from a file for a sentence: in one line, not too long, and of lists and objects the kind alone."""
    if isinstance(value, list | dict):  # they may be nested deeper than Python can write them
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value[: 2 * longest] if isinstance(value, str) else value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def shortened(text: str, longest: int = 200) -> str:
    """A text of a user for a message: its beginning, where it is long."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names from a file for a sentence: the first ones, each in quotes and not too long."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown(name) for name in names[:most]) + more


CANNOT_WEIGH = "cannot weigh pairs"
"""In the note of a record whose hasher was fitted on a selection of the pairs; tables look for it."""
