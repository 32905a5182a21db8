"""Comma lists, values with commas in them, and ranges."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.quantities import LONGEST_RANGE, comma_escaped, comma_single, comma_split, range_of

value = st.text(st.sampled_from("ab,\\ é"), min_size=1, max_size=10)
inner = value.map(str.strip).filter(bool)


@settings(derandomize=True, deadline=None)
@given(value)
def test_a_value_is_read_back_whatever_is_in_it(text):
    assert comma_single(comma_escaped(text)) == text


@settings(derandomize=True, deadline=None)
@given(inner)
def test_the_list_of_one_value_is_that_value(text):
    assert comma_split(comma_escaped(text)) == [text]


@settings(derandomize=True, deadline=None)
@given(st.lists(inner.filter(lambda text: not text.endswith("\\")), max_size=4))
def test_values_joined_by_commas_are_told_apart(values):
    assert comma_split(",".join(comma_escaped(text) for text in values)) == values


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
    assert comma_split(text) == values


def test_a_list_is_no_single_value():
    with pytest.raises(ValueError, match="a,b"):
        comma_single("a,b")


@pytest.mark.parametrize(
    ("text", "numbers"), [("0-4", [0, 1, 2, 3, 4]), (" 7-7 ", [7]), ("7", None), ("-1", None), ("0-x", None)]
)
def test_ranges(text, numbers):
    assert range_of(text) == (None if numbers is None else range(numbers[0], numbers[-1] + 1))


def test_ranges_have_an_order_and_a_limit():
    assert len(range_of(f"1-{LONGEST_RANGE}") or ()) == LONGEST_RANGE
    with pytest.raises(ValueError, match=f"has more than {LONGEST_RANGE} values"):
        range_of(f"0-{LONGEST_RANGE}")
    with pytest.raises(ValueError, match="runs backwards: write 0-4"):
        range_of("4-0")
