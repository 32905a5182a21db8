"""The line of a key in a TOML file."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.toml_lines import line_of, read_toml

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
    with pytest.raises(HarnessError, match="cannot be read: No such file"):
        read_toml(tmp_path / "none.toml", "plan")
    with pytest.raises(HarnessError, match="cannot be read: Is a directory"):
        read_toml(tmp_path, "plan")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(HarnessError, match="no text in UTF-8"):
        read_toml(tmp_path / "latin.toml", "plan")
