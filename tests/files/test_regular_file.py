"""Only regular files are opened."""

from __future__ import annotations

import os

import pytest

from harness.errors import HarnessError
from harness.files.regular_file import require_regular


def test_a_file_and_a_link_to_one_pass(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert require_regular(tmp_path / "link").read_text() == "x"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("absent", "is missing."),
        ("file/below", "is missing."),
        ("folder", "is no file but a folder."),
        ("pipe", "is no file but a pipe."),
        ("device", "is no file but a device."),
        ("loop", "cannot be read: Too many levels of symbolic links."),
        ("x" * 300, "cannot be read: File name too long."),
        ("a\0b", "cannot be read: "),
    ],
)
def test_whatever_else_is_there_is_named_and_not_opened(tmp_path, name, says):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(HarnessError, match=r"^image .*") as caught:
        require_regular(tmp_path / name, "image")
    assert says in str(caught.value)
