"""Content hashes are remembered, and a file that changed is read again whatever its date says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from harness.data import content_hashes
from harness.errors import HarnessError


@pytest.fixture
def files(tmp_path, monkeypatch) -> list[Path]:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(content_hashes, "SETTLED", -(10**18))
    (tmp_path / "images").mkdir()
    found = [tmp_path / "images" / f"{number}.jpg" for number in range(20)]
    for number, path in enumerate(found):
        path.write_bytes(bytes([number]) * 100)
    return found


@pytest.fixture
def read(monkeypatch) -> list[Path]:
    """The files that are read, as they are."""
    seen: list[Path] = []
    real = content_hashes.hash_file

    def hash_file(path):
        seen.append(path)
        return real(path)

    monkeypatch.setattr(content_hashes, "hash_file", hash_file)
    return seen


def test_hashes_are_those_of_the_content_in_the_order_of_the_files(files):
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    assert content_hashes.hash_files(files) == expected
    assert content_hashes.hash_files(files[::-1]) == expected[::-1]


def test_an_unchanged_file_is_not_read_again(files, read):
    first = content_hashes.hash_files(files)
    assert len(read) == 20
    assert content_hashes.hash_files(files) == first
    assert len(read) == 20


@pytest.mark.parametrize("how", ["written", "replaced", "swapped"])
def test_a_change_that_keeps_size_and_date_is_seen(files, read, how):
    before = content_hashes.hash_files(files)
    stat = files[3].stat()
    other = b"x" * 100
    if how == "written":
        files[3].write_bytes(other)
    elif how == "replaced":
        new = files[3].with_name("new")
        new.write_bytes(other)
        os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        new.replace(files[3])
    else:
        files[3].rename(files[3].with_name("kept"))
        files[4].rename(files[3])
        files[3].with_name("kept").rename(files[4])
    os.utime(files[3], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = content_hashes.hash_files(files)
    assert after[3] != before[3]
    assert after[3] == hashlib.sha256(files[3].read_bytes()).hexdigest()


def test_a_file_that_changed_just_now_is_not_remembered(files, read, monkeypatch):
    monkeypatch.setattr(content_hashes, "SETTLED", 10**18)
    content_hashes.hash_files(files)
    content_hashes.hash_files(files)
    assert len(read) == 40


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": 1}', b"\xff"])
def test_a_damaged_memory_is_no_memory(files, content):
    first = content_hashes.hash_files(files)
    (memory,) = (Path(os.environ["HARNESS_CACHE"]) / "content-hashes").glob("*.json")
    memory.write_bytes(content)
    assert content_hashes.hash_files(files) == first


def test_a_cache_that_cannot_be_written_costs_nothing_else(files, monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "a file"))
    assert len(content_hashes.hash_files(files)) == 20


def test_a_missing_file_is_named(files):
    files[5].unlink()
    with pytest.raises(HarnessError, match=r"image .*/5\.jpg is missing"):
        content_hashes.hash_files(files)
