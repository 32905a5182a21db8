import gzip
import os
import pickle

import numpy as np
import pytest

from harness.files.looks_like import looks_like, why_unreadable

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 11863281\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Google Drive -\n Virus scan warning</title></head></html>"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty (0 bytes)"),
        (POINTER, "a Git LFS pointer, which stands for a file of 11,863,281 bytes: get that with `git lfs pull`"),
        (PAGE, "a web page (HTML, 'Google Drive - Virus scan warning'): download the file itself"),
        (b"\xef\xbb\xbf<!-- x --> <html>Not here</html>", "a web page (HTML, 'Not here')"),
        (b"<html>\x1b]0;owned\x07</html>", "a web page (HTML, '\\x1b]0;owned\\x07')"),
        ("<html><title>Größe überschritten, Übung</title>".encode("latin-1"), "a web page (HTML, 'Gre berschritten"),
        (gzip.compress(b"x", mtime=0), "gzip-compressed"),
        (b"\0" * 5000, "nothing but zeros"),
        (b"MATLAB 5.0 MAT-file" + b"\0" * 200, "a MATLAB file"),
        (b"\0" * 512 + b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (pickle.dumps(1), "a Python pickle"),
        ("é,ü\n1,2".encode(), "text that begins with 'é,ü 1,2'"),
        (b"word " * 5000, "text that begins with"),
        (b"\x00\x01\x02\xff", ""),
    ],
)
def test_what_a_file_looks_like(tmp_path, content, said):
    path = tmp_path / "data.mat"
    path.write_bytes(content)
    assert looks_like(path).startswith(said)
    assert bool(looks_like(path)) == bool(said)


def test_nothing_is_said_of_the_kinds_that_were_expected(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    assert looks_like(tmp_path / "a.npz").startswith("a zip archive")
    assert looks_like(tmp_path / "a.npz", "zip") == ""
    assert why_unreadable(tmp_path / "a.npz", ValueError("bad\n  thing."), "zip") == "bad thing"
    (tmp_path / "page.npz").write_bytes(PAGE)
    assert why_unreadable(tmp_path / "page.npz", ValueError("bad"), "zip").startswith("it is a web page")


def test_a_missing_file_and_a_pipe_look_like_nothing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert looks_like(tmp_path / "pipe") == looks_like(tmp_path / "absent") == looks_like(tmp_path) == ""
