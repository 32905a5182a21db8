"""The words of a command line, and where it is given, before anything is made of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise

from harness.errors import HarnessError


def check_words(words: Sequence[str]) -> None:
    """Refuse words that are empty, and words, settings in the environment and a current folder that are no text.

    Commands and paths are stored in records, as text.

    Args:
        words: The command line without the name of the program.

    Raises:
        HarnessError: A word is empty, as an unset variable of a script leaves it, something is no text in the encoding
            of the system, or the current folder is gone.
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
    try:
        folder = os.getcwd()  # noqa: PTH109 - as a text
    except OSError as error:
        raise HarnessError(f"the current folder is gone ({error.strerror}): go to another one.") from error
    _check_is_text(f"the current folder {folder}", folder)


def _check_is_text(shown: str, word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise HarnessError(
            f"{shown} is no text in {sys.getfilesystemencoding()}, the encoding of this system: rename the file or "
            "folder."
        ) from None
