"""The words of a command line before anything is made of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise

from harness.errors import HarnessError


def check_words(words: Sequence[str]) -> None:
    """No word and no setting of the environment is empty by mistake, and all are text.

    Commands and paths are stored in records, as text.

    Args:
        words: The command line without the name of the program.

    Raises:
        HarnessError: One is empty, as an unset variable of a script leaves it, or is no text in the encoding of the
            system.
    """
    for before, word in pairwise(["harness", *words]):
        name, equals, value = word.partition("=")
        if equals and not value and name.startswith("--"):
            before, word = name, ""
        if not word:
            raise HarnessError(
                f"{before} is followed by an empty value: give one, or leave it out (is a variable unset?)."
            )
        _check_is_text(f"{before} {word}", word)
    for name, value in os.environ.items():
        if name.startswith("HARNESS_"):
            _check_is_text(f"{name}={value}", value)


def _check_is_text(shown: str, word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise HarnessError(
            f"{shown} is no text in {sys.getfilesystemencoding()}, the encoding of this system: rename the file or "
            "folder, or go to the folder and name what is in it."
        ) from None
