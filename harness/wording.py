"""Small pieces of English."""

from __future__ import annotations


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


CANNOT_WEIGH = "cannot weigh pairs"
"""In the note of a record whose hasher was fitted on a selection of the pairs; tables look for it."""
