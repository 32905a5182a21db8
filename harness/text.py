"""Text of strangers made harmless before it leaves the program.

Names, captions and messages come from files of others. A terminal obeys the control characters in them: an escape
sequence hides lines, sets the title of the window or moves the cursor over what was said before.
"""

from __future__ import annotations

import re

LONGEST_WORD = 300
"""Characters of a word that a message repeats whole: paths may be long, 5,000 brackets say nothing."""

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


def shortened(text: str) -> str:
    """A message in which words above :data:`LONGEST_WORD` characters keep their beginning and end alone."""
    return _LONG_WORD.sub(lambda match: f"{match[0][: LONGEST_WORD // 2]}...{match[0][-LONGEST_WORD // 4 :]}", text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
