"""What a plugin raises outside the cells is one sentence that names its file, and no internal error."""

from __future__ import annotations

import pytest

PLUGIN = """
import numpy as np
from harness import hookimpl


class Unforeseen(BaseException):
    pass


class Raising:
    def run(self, tasks, session):
        raise Unforeseen("boo")


class Wrong:
    def run(self, tasks, session):
        np.zeros(2).reshape(3)


class Babbling:
    def run(self, tasks, session):
        yield 5


class Leaving:
    def run(self, tasks, session):
        raise SystemExit(0)


@hookimpl
def register_executors(register):
    for made in (Raising, Wrong, Babbling, Leaving):
        register(made.__name__.lower(), made, summary="does not run cells")
"""


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        ("raising", "a plugin failed: Unforeseen: boo (FILE, line 12)"),
        ("wrong", "a plugin failed: ValueError: cannot reshape array of size 2 into shape (3,) (FILE, line 17)"),
        ("babbling", "the executor gives int where its contract asks for Ended (harness/execution.py)."),
        ("leaving", "a plugin failed: SystemExit: 0 (FILE, line 27)"),
    ],
)
def test_an_executor_that_fails_is_named(harness, features, tmp_path, executor, message):
    file = tmp_path / "strange.py"
    file.write_text(PLUGIN)
    words = ("--method", "random-codes", "--features", features(), "--bits", "8", "--plugin", file)
    result = harness("run", *words, "--executor", executor)
    assert result.code == 2
    assert f"Error: {message.replace('FILE', str(file))}" in result.err.splitlines()
