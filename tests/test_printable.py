"""What a terminal would obey is written out; everything else stays as it is."""

from __future__ import annotations

import pytest

from harness.text import LONGEST_WORD, one_line, printable, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
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
def test_control_characters_become_escapes(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def test_one_line():
    assert one_line(" a\n\tb\x1b c ") == "a b\\x1b c"


def test_long_words_are_shortened_and_sentences_are_not():
    sentence = "word " * 1000
    assert shortened(sentence) == sentence
    assert shortened("x" * LONGEST_WORD) == "x" * LONGEST_WORD
    assert shortened(f"--set {'[' * 5000} wrong") == f"--set {'[' * 150}...{'[' * 75} wrong"
