"""What the program may say to a hostile file: something valid, or one sentence."""

from __future__ import annotations

import io
import logging
import unicodedata
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import Any, TypeVar
from unittest.mock import patch

import click
import pytest
from fuzz.sandbox import ROOM

import harness.cli
from harness.errors import HarnessError

LONGEST = 1000
"""Characters of a sentence, names of our own folders not counted; some list thirty names that are known."""

Found = TypeVar("Found")


def check_line(text: str) -> None:
    """One line of printable text, neither empty nor endless."""
    hidden = [hex(ord(character)) for character in text if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")]
    assert not hidden, f"{hidden[:5]} in {text[:300]!r}"
    said = text.replace(str(ROOM / "one" / "two" / "three"), "").strip()
    assert said
    assert len(said) <= LONGEST, f"{len(said)} characters: {said[:300]!r}"


def _printed(act: Callable[..., Any]) -> tuple[Any, str]:
    """Exit code and standard error of the entry point, when it has come to ``act``."""
    printed = io.StringIO()
    with (
        patch.object(harness.cli, "cli", click.Command("harness", callback=act)),
        patch("sys.argv", ["harness"]),
        redirect_stderr(printed),
        pytest.raises(SystemExit) as stop,
    ):
        harness.cli.main()
    return stop.value.code, printed.getvalue()


def answered(read: Callable[[], Found]) -> Found | None:
    """What reading gives; None where it is refused, in one sentence as the command line prints it.

    Notes on the way are lines of the same kind. Any other exception goes on to the test.
    """
    notes: list[logging.LogRecord] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = notes.append  # type: ignore[method-assign]
    logger = logging.getLogger("harness")
    logger.addHandler(listener)
    try:
        found, error = read(), None
    except HarnessError as refusal:
        found, error = None, refusal
    finally:
        logger.removeHandler(listener)

    def act() -> None:
        for note in notes:
            logging.getLogger("harness").handle(note)
        if error is not None:
            raise error

    if notes or error is not None:
        code, printed = _printed(act)
        assert code == (0 if error is None else 2)
        lines = printed.removesuffix("\n").split("\n")
        assert len(lines) == len(notes) + (error is not None), lines
        for line in lines:
            check_line(line)
    return found
