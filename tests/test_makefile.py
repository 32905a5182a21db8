"""The environment that the Makefile makes: of a Python that can be used, or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parent.parent / "Makefile"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def make(tmp_path):
    """What make says of ``.venv/.installed`` in a checkout: exit code, standard output and standard error."""
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()

    def run(*words: str) -> tuple[int, str, str]:
        of_make = ("PYTHON", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")  # the suite itself runs under make
        clean = {name: value for name, value in os.environ.items() if name not in of_make}
        done = subprocess.run(
            ["make", "-f", MAKEFILE, *words, ".venv/.installed"], cwd=tmp_path, env=clean, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def environment(tmp_path):
    """An environment in that checkout, made and installed, whose Python is this program."""

    def put(program: str) -> None:
        python = tmp_path / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\n{program}\n")
        python.chmod(0o755)
        for marker in (".made", ".installed"):
            (tmp_path / ".venv" / marker).touch()

    return put


@pytest.mark.parametrize("python", ["false", "true", "/nowhere/python3.12"])
def test_a_python_that_cannot_be_used_is_refused_before_anything_is_made(make, tmp_path, python):
    code, _, told = make(f"PYTHON={python}")
    assert code != 0
    assert told.startswith(f"{python} cannot be used: it has to be Python 3.11, 3.12 or 3.13 with venv")
    assert not (tmp_path / ".venv").exists()


def test_an_environment_of_a_wrong_python_is_made_anew(make, environment):
    environment("exit 0  # Python 3.9 says nothing either")
    code, planned, _ = make("-n", f"PYTHON={sys.executable}")
    assert code == 0
    assert f"{sys.executable} -m venv --clear .venv" in planned
    assert "pip install" in planned


def test_an_environment_that_can_be_used_stays_unless_another_python_is_named(make, environment, tmp_path):
    environment(f'exec {sys.executable} "$@"')
    for words in ((), (f"PYTHON={sys.executable}",)):
        code, planned, _ = make("-n", *words)
        assert code == 0
        assert planned == "make: '.venv/.installed' is up to date.\n"
    other = tmp_path / "other"
    other.write_text(f'#!/bin/sh\ncase "$2" in *base_prefix*) echo other;; *) exec {sys.executable} "$@";; esac\n')
    other.chmod(0o755)
    assert f"{other} -m venv --clear .venv" in make("-n", f"PYTHON={other}")[1]


def test_an_environment_that_somebody_made_by_hand_keeps_what_is_in_it(make, environment, tmp_path):
    environment(f'exec {sys.executable} "$@"')
    (tmp_path / ".venv" / ".made").unlink()
    assert "-m venv  .venv" in make("-n")[1]
