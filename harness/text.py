"""Texts for people: those of strangers made harmless before they leave the program, and small pieces of English.

Names, captions and messages come from files of others. A terminal obeys the control characters in them: an escape
sequence hides lines, sets the title of the window or moves the cursor over what was said before.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

LONGEST_WORD = 300
"""Characters of a word that a message repeats whole: paths may be long, 5,000 brackets say nothing."""

CANNOT_WEIGH = "cannot weigh pairs"
"""In the note of a record whose hasher was fitted on a selection of the pairs; tables look for it."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)")

_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")


def printable(text: str) -> str:
    """A text in which everything that a terminal would obey is written out, ``\\x1b`` say.

    Args:
        text: Any text.

    Returns:
        The text. Tabs and line ends stay; control characters (C0, DEL, C1), a carriage return within a line, signs that
        reverse the direction of writing, and halves of surrogate pairs, which no file can hold, become escapes. What
        is printable already comes back as it is.
    """
    return _UNPRINTABLE.sub(_escaped, text)


def one_line(text: str) -> str:
    """A printable text without line ends, runs of blanks as one: a name, a title, a sentence."""
    return " ".join(printable(text).split())


def without_long_words(text: str) -> str:
    """A message in which words above :data:`LONGEST_WORD` characters keep their beginning and end alone."""
    return _LONG_WORD.sub(lambda match: f"{match[0][: LONGEST_WORD // 2]}...{match[0][-LONGEST_WORD // 4 :]}", text)


def counted(number: int, noun: str, nouns: str = "") -> str:
    """``1 run``, ``2 runs``; ``nouns`` where the plural takes more than an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {nouns or noun + 's'}"


def shown(value: object, longest: int = 60) -> str:
    """A value from a file for a sentence: in one line, not too long, and of lists and objects the kind alone."""
    if isinstance(value, list | dict):  # they may be nested deeper than Python can write them
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value[: 2 * longest] if isinstance(value, str) else value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names from a file for a sentence: the first ones, each in quotes and not too long."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown(name) for name in names[:most]) + more


def shortened(text: str, longest: int = 200) -> str:
    """A text of a user for a message: its beginning, where it is long."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def cut_in_the_middle(text: str, longest: int) -> str:
    """A title in at most so many characters: its beginning and its end, which say most, where it is longer."""
    if len(text) <= longest:
        return text
    end = max(longest - 3, 0) // 2
    return f"{text[: longest - 3 - end]}...{text[len(text) - end :]}" if longest > 3 else text[:longest]


def folded(text: str, width: int | None) -> str:
    """A text in lines of a width, broken at blanks; a word that is longer than a line, as a path, stays whole.

    Args:
        text: The text, each line with its indentation.
        width: Characters of a line; None for lines as they are.
    """
    if width is None:
        return text
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip(" ")))
        wrapper = textwrap.TextWrapper(
            width, subsequent_indent=f"{indent}    ", break_long_words=False, break_on_hyphens=False
        )
        lines.append(wrapper.fill(line))
    return "\n".join(lines)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
