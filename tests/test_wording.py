"""Small pieces of English."""

from __future__ import annotations

import pytest

from harness.wording import listed, shown


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a", "'a'"),
        (None, "None"),
        (2.5, "2.5"),
        ("x" * 5000, "'" + "x" * 59 + "..."),
        ("\x1b[31m\n\ud800", r"'\x1b[31m\n\ud800'"),
        ([1, 2], "a list"),
        ({"a": 1}, "an object"),
    ],
    ids=ascii,
)
def test_values_of_files_are_shown_in_one_short_line(value, said):
    assert shown(value) == said


def test_of_many_names_the_first_are_listed():
    assert listed(["a", "b c"]) == "'a', 'b c'"
    assert listed([*"abc", "long " * 100], most=2) == "'a', 'b' and 2 more"
    assert listed(["long " * 100]) == "'" + ("long " * 12)[:59] + "..."
