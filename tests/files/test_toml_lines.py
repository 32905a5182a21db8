"""The line of a key in a TOML file."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.files.toml import line_of, read_toml

TEXT = """# title
title = "x"

[axes]
noise = [
  0.1,  # here

  0.2,
]
text = '''
[fixed]
'''
bits = 3

[[exclude]]
noise = 0.1
[[exclude]]
noise = 0.2
[methods.chnr]
set = { "hasher.beta" = 1 }
[methods.duch.set]
"a.b" = 2
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("title",), 2),
        (("axes",), 4),
        (("axes", "noise"), 5),
        (("axes", "noise", 1), 5),
        (("axes", "text"), 10),
        (("axes", "bits"), 13),
        (("exclude", 0, "noise"), 16),
        (("exclude", 1), 17),
        (("exclude", 1, "noise"), 18),
        (("methods", "chnr", "set", "hasher.beta"), 20),
        (("methods", "duch"), 21),
        (("methods", "duch", "set", "a.b"), 22),
        (("fixed",), None),
        (("exclude", 2), None),
        (("title", "x"), None),
    ],
)
def test_lines(keys, line):
    assert line_of(TEXT, keys) == line
    assert line_of(TEXT.replace("\n", "\r\n"), keys) == line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = 2 3\n", "line 2, column 7: expected newline"),
        ("a = [1,\n2\n\n", "line 4: unclosed array"),
        ("a = 1\na = 2\n", "line 2, column 6: cannot overwrite a value"),
        ("[a]\n[a]\n", "line 2, column 3: cannot declare"),
    ],
)
def test_syntax_errors_name_line_and_column(tmp_path, text, said):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(HarnessError) as error:
        read_toml(path, "plan")
    assert str(error.value).startswith(f"{path}, {said}")


def test_unreadable_files(tmp_path):
    with pytest.raises(HarnessError, match="there is no such file"):
        read_toml(tmp_path / "none.toml", "plan")
    with pytest.raises(HarnessError, match="is no file but a folder"):
        read_toml(tmp_path, "plan")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(HarnessError, match="no text in UTF-8"):
        read_toml(tmp_path / "latin.toml", "plan")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 20_000 + "]" * 20_000, "nested too deeply"),
        ("a = " + "{a=" * 50 + "1" + "}" * 50, "nested more than 20 deep"),
        (".".join("a" * 300) + " = 1", "nested more than 20 deep"),
        (f"a = {'9' * 5000}", "a number has thousands of digits"),
        (f"a = {'9' * 50}", "more than the 64 bits"),
        (f"a = [0x{'f' * 5000}]", "more than the 64 bits"),
        ('a = ["x\\u001b]0;title"]', "'x\\\\x1b]0;title' holds control characters"),
        ('"a\\u0000" = 1', "holds control characters"),
        ('"a\\nb" = 1', "holds control characters"),
        ('[a]\n"" = 1', "line 2: key 'a.': a name is empty"),
        (f'["{"long" * 2000}"]', "longl...': a name has more than 100 characters."),
    ],
)
def test_what_no_file_of_ours_needs_is_refused(tmp_path, text, said):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(HarnessError) as error:
        read_toml(path, "plan")
    assert str(error.value).startswith(f"plan {path}")
    assert said in str(error.value)
    assert len(str(error.value)) < 400


def test_control_characters_are_told_with_line_and_key(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text('[a]\nb = 1\n[[a.c]]\nd = [\n"x",\n"y\\u0000"]\n')
    with pytest.raises(HarnessError) as error:
        read_toml(path, "plan")
    assert str(error.value) == f"plan {path}, line 4: key 'a.c.0.d.1': 'y\\\\x00' holds control characters."


@pytest.mark.timeout(20)
def test_names_that_would_take_minutes_are_refused_at_once(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text("a = 0.5\n" + ".".join("a" * 50_000) + " = 1\n")
    with pytest.raises(HarnessError, match="line 2: more than 300 dots"):
        read_toml(path, "plan")


@pytest.mark.timeout(20)
def test_lines_of_long_files_are_found_quickly_or_not_at_all():
    text = "".join(f"key{number} = [1, 2, 3]\n" for number in range(1000))
    assert line_of(text, ("key700",)) == 701
    assert line_of("a = [\n" + "1,\n" * 20_000 + "]\nb = 1\n", ("b",)) is None
