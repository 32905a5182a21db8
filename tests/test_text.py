"""What a terminal would obey is written out and everything else stays as it is; values of files in a sentence."""

from __future__ import annotations

import pytest

from harness.text import LONGEST_WORD, listed, one_line, printable, shown, without_long_words


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("seen\rhidden", "seen\\x0dhidden"),
        ("\x9b2J\x85\x7f\x00", "\\x9b2J\\x85\\x7f\\x00"),
        ("\u202etxt.exe\u2066", "\\u202etxt.exe\\u2066"),
        ("\udcff\ud800", "\\udcff\\ud800"),
        ("a\tb\nc\r\nd", "a\tb\nc\r\nd"),
        ("r† 中文 é 🙂 \u200d β=0.5", "r† 中文 é 🙂 \u200d β=0.5"),
    ],
)
def test_control_characters_become_escapes(text, escaped):
    assert printable(text) == escaped
    assert printable(escaped) == escaped


def test_one_line():
    assert one_line(" a\n\tb\x1b c ") == "a b\\x1b c"


def test_long_words_are_shortened_and_sentences_are_not():
    sentence = "word " * 1000
    assert without_long_words(sentence) == sentence
    assert without_long_words("x" * LONGEST_WORD) == "x" * LONGEST_WORD
    assert without_long_words(f"--set {'[' * 5000} wrong") == f"--set {'[' * 150}...{'[' * 75} wrong"


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
