"""What a user names as a file is looked at before it is opened."""

from __future__ import annotations

import os

import pytest

from harness.errors import HarnessError
from harness.files.text_file import LARGEST_TEXT, read_text_file


@pytest.fixture
def no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "file").touch()
    return tmp_path


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "there is no such file."),
        ("file/below", "there is no such file."),
        (".", "is no file but a folder."),
        ("pipe", "is no file but a pipe."),
        ("/dev/zero", "is no file but a device."),
        ("circle", "cannot be read: Too many levels of symbolic links."),
        ("a" * 300, "cannot be read: File name too long."),
        ("a/" * 2500, "cannot be read: File name too long."),
        ("a\0b", "cannot be read: embedded null byte."),
    ],
)
def test_what_is_no_file_is_told_and_never_opened(no_files, name, said):
    with pytest.raises(HarnessError) as error:
        read_text_file(no_files / name, "plan X")
    assert str(error.value).startswith("plan X")
    assert said in str(error.value)


def test_text_with_and_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "text"
    for content in (b"\xef\xbb\xbfa\r\nb\xc3\xa9\n", b"a\nb\xc3\xa9\n"):
        path.write_bytes(content)
        assert read_text_file(path, "text") == "a\nbé\n"
    path.write_bytes(b"abc\xff")
    with pytest.raises(HarnessError, match=r"^text is no text in UTF-8 \(byte 4\)\.$"):
        read_text_file(path, "text")


def test_size_is_bounded(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"#" * LARGEST_TEXT)
    assert len(read_text_file(path, "text")) == LARGEST_TEXT
    with path.open("wb") as opened:
        opened.truncate(10**12)  # takes no room on the disk
    with pytest.raises(HarnessError, match="larger than 1 MiB"):
        read_text_file(path, "text")
