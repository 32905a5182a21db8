"""JSON that every program reads, and JSON from strangers."""

from __future__ import annotations

import json
import math
import os

import pytest

from harness.execution.sweep_state import Invocation
from harness.files.json_text import DEEPEST, json_text, parsed_json, read_json, read_json_as


def strict(text):
    return json.loads(text, parse_constant=pytest.fail)


def test_numbers_that_are_not_finite_become_null_and_bytes_digits():
    value = {"a": [1.5, math.inf, (-math.inf, math.nan)], "b": b"\x00\xff", "c": {"d": None, "e": "Infinity"}}
    assert strict(json_text(value)) == {
        "a": [1.5, None, [None, None]], "b": "00ff", "c": {"d": None, "e": "Infinity"}
    }  # fmt: skip
    assert json_text({"a": 1}, indent=None) == '{"a": 1}'


def test_brackets_may_stand_as_deep_as_said_and_no_deeper():
    assert parsed_json("[" * DEEPEST + "]" * DEEPEST) is not None
    for depth in (DEEPEST + 1, 100_000):
        for begin, end in (("[", "]"), ('{"a":', "}")):
            with pytest.raises(ValueError, match=f"more than {DEEPEST} deep"):
                parsed_json(begin * depth + "1" + end * depth)


def test_only_plain_files_are_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "pipe" / "below"):
        with pytest.raises((ValueError, OSError)):
            read_json(path)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 2**40)
    with pytest.raises(ValueError, match="larger than 256 MB"):
        read_json(tmp_path / "huge")


@pytest.mark.parametrize("change", [{"started": "soon"}, {"argv": 3}, {"more": 1}, {"pid": None}])
def test_content_of_another_kind_is_refused(tmp_path, change):
    said = {
        "argv": ["harness"], "host": "h", "pid": 1, "executor": "serial", "workers": None, "shard": "", "to_run": 1,
        "started": 1.0, **change,
    }  # fmt: skip
    (tmp_path / "said.json").write_text(json.dumps(said))
    if "more" in change:  # of a newer version
        assert read_json_as(tmp_path / "said.json", Invocation).argv == ("harness",)
    else:
        with pytest.raises(ValueError, match=next(iter(change))):
            read_json_as(tmp_path / "said.json", Invocation)
