"""Files are written whole or not at all, and looked at before they are read."""

from __future__ import annotations

import os
import stat

import pytest

from harness.errors import HarnessError
from harness.files.whole import LARGEST_TEXT, read_text_file, write_text, write_whole


@pytest.mark.timeout(10)
def test_a_pipe_a_device_and_a_folder_are_refused_and_stay(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link to a pipe"
    link.symlink_to(pipe)
    for output, said in ((pipe, "is a pipe: name a file."), (link, "is a pipe: name a file."),
                         (tmp_path, "is a folder: name a file in it.")):  # fmt: skip
        with pytest.raises(HarnessError) as error:
            write_text(output, "-o", "text")
        assert str(error.value) == f"-o {output} {said}"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link to a pipe", "pipe"]


@pytest.mark.parametrize("name", ["none/x", "file/x", "a" * 300, "circle", "circle/x", "a/" * 2500])
def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(HarnessError, match=r"cannot be written: .*; name a file in a folder that can\.$"):
        write_text(tmp_path / name, "-o", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["circle", "file"]


def test_a_link_stays_one_and_text_is_printable_utf8(tmp_path):
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "-o", "é\x1b[31m\udcff\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == "é\\x1b[31m\\udcff\n".encode()


def test_what_fails_half_way_leaves_the_old_file(tmp_path):
    output = tmp_path / "output"
    output.write_text("old")

    def fail(opened):
        opened.write(b"new")
        raise OSError(28, "No space left on device")

    with pytest.raises(HarnessError, match="cannot be written: No space left on device"):
        write_whole(output, "-o", fail)
    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


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
        ("a\0b", "embedded null"),
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
