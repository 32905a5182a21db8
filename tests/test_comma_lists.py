"""Comma lists, and values with commas in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.comma_lists import escaped, single, split

value = st.text(st.sampled_from("ab,\\ é"), min_size=1, max_size=10)
inner = value.map(str.strip).filter(bool)


@settings(derandomize=True, deadline=None)
@given(value)
def test_a_value_is_read_back_whatever_is_in_it(text):
    assert single(escaped(text)) == text


@settings(derandomize=True, deadline=None)
@given(inner)
def test_the_list_of_one_value_is_that_value(text):
    assert split(escaped(text)) == [text]


@settings(derandomize=True, deadline=None)
@given(st.lists(inner.filter(lambda text: not text.endswith("\\")), max_size=4))
def test_values_joined_by_commas_are_told_apart(values):
    assert split(",".join(escaped(text) for text in values)) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a,b", ["a", "b"]),
        (" a , ,b ", ["a", "b"]),
        (r"a\,b", ["a,b"]),
        (r"a\\,b", ["a\\", "b"]),
        (r"C:\data\x", [r"C:\data\x"]),
        (r"\\server\share,b", [r"\\server\share", "b"]),
        ("", []),
        (",", []),
    ],
)
def test_lists(text, values):
    assert split(text) == values


def test_a_list_is_no_single_value():
    with pytest.raises(ValueError, match="a,b"):
        single("a,b")
