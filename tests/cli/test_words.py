"""Words of a command line that are refused before anything is made of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.cli.words import check_words
from harness.errors import HarnessError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", ""], "show is followed by an empty value"),
        (["table", "--results", ""], "--results is followed by an empty value"),
        (["table", "--results="], "--results is followed by an empty value"),
        ([""], "harness is followed by an empty value"),
        (["table", "--results", "caf\udce9"], "--results caf\udce9 is no text in utf-8"),
    ],
)
def test_empty_words_and_words_that_are_no_text(words, said):
    with pytest.raises(HarnessError) as error:
        check_words(words)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("words", [[], ["run", "--set", "a.b=1"], ["table", "--where", "row=''"], ["show", "é 中"]])
def test_other_words_are_taken(words):
    check_words(words)


def test_settings_of_the_environment_are_text(monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", "\udcff")
    with pytest.raises(HarnessError, match="HARNESS_CACHE=\udcff is no text"):
        check_words(["list", "methods"])


def test_the_current_folder_is_there_and_text(harness, monkeypatch, tmp_path):
    odd, gone = tmp_path / os.fsdecode(b"\xff"), tmp_path / "gone"
    odd.mkdir()
    gone.mkdir()
    monkeypatch.chdir(odd)
    result = harness("list", "methods")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"Error: the current folder {Path(tmp_path).resolve()}/\\udcff is no text in utf-8")
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = harness("list", "methods")
    assert (result.code, result.out) == (2, "")
    assert result.err == "Error: the current folder is gone (No such file or directory): go to another one.\n"
