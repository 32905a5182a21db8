"""The feature cache: equal arrays without computing, and never a wrong or broken entry."""

from __future__ import annotations

import json
import logging
import subprocess
from pathlib import Path

import numpy as np
import pytest

from harness.data.cache import cache_folder, cached_arrays, filled_arrays, uses_noted

KEY = {"name": "backbone", "weights": "sha256:0", "parameters": {"size": 64, "rate": 0.1}, "fitted_on": None}


class Compute:
    """Makes arrays and counts how often."""

    def __init__(self, value=1.5):
        self.calls, self.value = 0, value

    def __call__(self):
        self.calls += 1
        return [np.full((3, 2), self.value, dtype=np.float32), np.arange(5, dtype=np.int64)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of this test alone."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def notes(caplog, monkeypatch):
    """What the cache says, also where an earlier test silenced the logger of the command line."""
    monkeypatch.setattr(logging.getLogger("harness"), "propagate", True)
    return caplog


def entry(cache):
    (folder,) = [folder for folder in (cache / "features").iterdir() if not folder.name.startswith(".")]
    return folder


def assert_arrays(arrays, value=1.5):
    np.testing.assert_array_equal(arrays[0], np.full((3, 2), value))
    np.testing.assert_array_equal(arrays[1], np.arange(5))
    assert [array.dtype for array in arrays] == [np.float32, np.int64]


def test_the_second_call_gives_equal_arrays_without_computing():
    first, second = Compute(), Compute(value=99)
    arrays, found = cached_arrays(KEY, first)
    assert not found
    assert_arrays(arrays)
    arrays, found = cached_arrays(KEY, second)
    assert found
    assert_arrays(arrays)
    assert (first.calls, second.calls) == (1, 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"weights": "sha256:1"},
        {"parameters": {"size": 65, "rate": 0.1}},
        {"parameters": {"size": 64, "rate": 0.1000001}},
        {"parameters": {}},
        {"fitted_on": "0"},
        {"new": None},
    ],
    ids=str,
)
def test_a_changed_key_computes_again_and_leaves_the_old_entry(changed):
    cached_arrays(KEY, Compute())
    arrays, found = cached_arrays(KEY | changed, Compute(value=2))
    assert not found
    assert_arrays(arrays, 2)
    arrays, found = cached_arrays(KEY, Compute(value=3))
    assert found
    assert_arrays(arrays)


def test_the_order_of_the_keys_does_not_matter():
    cached_arrays(KEY, Compute())
    assert cached_arrays(dict(reversed(KEY.items())), Compute())[1]


def test_a_key_that_json_writes_differently_is_found_again():
    # once: a tuple comes back from JSON as a list and a number used as key as a string, so such an entry is never
    # found.
    for key in ({"parameters": {"size": (64, 64)}}, {"parameters": {1: "a"}}):
        cached_arrays(key, Compute())
        assert cached_arrays(key, Compute())[1]


DAMAGE = {
    "array gone": lambda folder: (folder / "1.npy").unlink(),
    "array cut off": lambda folder: (folder / "0.npy").write_bytes((folder / "0.npy").read_bytes()[:-4]),
    "array header cut off": lambda folder: (folder / "0.npy").write_bytes((folder / "0.npy").read_bytes()[:20]),
    "array empty": lambda folder: (folder / "0.npy").write_bytes(b""),
    "array of garbage": lambda folder: (folder / "0.npy").write_bytes(b"garbage" * 20),
    "pickled array": lambda folder: np.save(folder / "0.npy", np.array([{}], dtype=object), allow_pickle=True),
    "key gone": lambda folder: (folder / "key.json").unlink(),
    "key empty": lambda folder: (folder / "key.json").write_text(""),
    "key cut off": lambda folder: (folder / "key.json").write_text((folder / "key.json").read_text()[:-9]),
    "key not text": lambda folder: (folder / "key.json").write_bytes(b"\xff\xfe\x00"),
    "key of other layout": lambda folder: (folder / "key.json").write_text("{}"),
    "key a list": lambda folder: (folder / "key.json").write_text("[1]"),
    "count of letters": lambda folder: (folder / "key.json").write_text(json.dumps({"key": KEY, "count": "two"})),
    "another key": lambda folder: (folder / "key.json").write_text(json.dumps({"key": {"name": "x"}, "count": 2})),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_computed_again_and_replaced(cache, damage):
    # once: an empty array file raises EOFError, a key or count of another type TypeError.
    cached_arrays(KEY, Compute())
    DAMAGE[damage](entry(cache))
    arrays, found = cached_arrays(KEY, Compute(value=2))
    assert not found
    assert_arrays(arrays, 2)
    arrays, found = cached_arrays(KEY, Compute(value=3))
    assert found
    assert_arrays(arrays, 2)


def test_nothing_half_written_is_left_behind(cache):
    cached_arrays(KEY, Compute())
    assert [folder for folder in (cache / "features").iterdir() if folder.name.startswith(".")] == []

    def fails():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        cached_arrays(KEY | {"name": "other"}, fails)
    assert len(list((cache / "features").iterdir())) == 1


def test_an_entry_that_another_process_wrote_meanwhile_is_no_error(notes):
    # the other process finishes while this one computes
    def slow():
        cached_arrays(KEY, Compute(value=2))
        return Compute(value=2)()

    arrays, found = cached_arrays(KEY, slow)
    assert not found
    assert_arrays(arrays, 2)
    assert cached_arrays(KEY, Compute(value=3))[1]
    assert notes.text == ""


@pytest.mark.parametrize("below", ["", "cache"])
def test_a_cache_that_cannot_be_written_costs_a_note_and_not_the_run(tmp_path, monkeypatch, notes, below):
    # a file where a folder should be; permissions would not stop root
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file" / below))
    for value in (1.5, 2):
        arrays, found = cached_arrays(KEY, Compute(value=value))
        assert not found
        assert_arrays(arrays, value)
    assert "features are not cached" in notes.text
    assert "HARNESS_CACHE" in notes.text
    assert {record.levelname for record in notes.records} == {"WARNING"}


def test_the_folder_is_that_of_the_environment_or_of_the_user():
    assert cache_folder({"HARNESS_CACHE": "/somewhere"}) == Path("/somewhere")
    assert cache_folder({"XDG_CACHE_HOME": "/home/x/.c"}) == Path("/home/x/.c/noisy-hashing-harness")
    assert cache_folder({}) == Path.home() / ".cache" / "noisy-hashing-harness"


# --- arrays that are filled where the cache keeps them ---


def fill(workspace, rows=1000):
    array = workspace.empty((rows, 4))
    array[:] = np.arange(rows)[:, None]
    return [array, np.arange(3)]


def assert_filled(arrays):
    np.testing.assert_array_equal(arrays[0], np.repeat(np.arange(1000.0)[:, None], 4, axis=1))
    np.testing.assert_array_equal(arrays[1], np.arange(3))


def test_filled_arrays_are_maps_of_the_entry_that_nobody_can_change(cache):
    arrays, found = filled_arrays(KEY, fill)
    assert not found
    assert_filled(arrays)
    assert isinstance(arrays[0], np.memmap)
    assert Path(arrays[0].filename) == entry(cache) / "0.npy"
    assert not arrays[0].flags.writeable
    arrays, found = filled_arrays(KEY, lambda workspace: pytest.fail("computed again"))
    assert found
    assert_filled(arrays)


def test_arrays_that_were_made_in_memory_come_back_as_maps_too(cache):
    for expected in (False, True):
        arrays, found = cached_arrays(KEY, Compute())
        assert found is expected
        assert_arrays(arrays)
        assert [Path(array.filename) for array in arrays] == [entry(cache) / "0.npy", entry(cache) / "1.npy"]
        assert not any(array.flags.writeable for array in arrays)


def test_a_computation_that_fails_halfway_leaves_nothing_and_no_earlier_entry_is_lost(cache):
    filled_arrays(KEY, fill)

    def fails(workspace):
        fill(workspace)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        filled_arrays({**KEY, "name": "other"}, fails)
    assert [folder.name for folder in (cache / "features").iterdir()] == [entry(cache).name]
    arrays, found = filled_arrays(KEY, fails)
    assert found
    assert_filled(arrays)


def test_a_full_disk_costs_a_note_and_not_the_run(monkeypatch, notes):
    def full(descriptor, offset, length):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    monkeypatch.setattr("numpy.save", lambda *arguments, **options: full(0, 0, 0))
    arrays, found = filled_arrays(KEY, fill)
    assert not found
    assert_filled(arrays)
    assert "No space left on device" in notes.text


def test_arrays_that_fit_no_cache_are_in_memory(tmp_path, monkeypatch, notes):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file"))
    arrays, found = filled_arrays(KEY, fill)
    assert not found
    assert_filled(arrays)
    assert "features are not cached" in notes.text


def test_the_reason_why_arrays_are_not_kept_is_that_of_the_system(tmp_path, monkeypatch, notes):
    """On a real disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    monkeypatch.setenv("HARNESS_CACHE", str(disk))
    try:
        with uses_noted() as uses:
            arrays, found = cached_arrays(KEY, lambda: [np.ones((1000, 1000), dtype=np.float32)])
        assert not found
        assert arrays[0].sum() == 1e6
        assert [use.lost for use in uses] == ["No space left on device"]
        assert "cannot be written (No space left on device)" in notes.text
        assert list((disk / "features").iterdir()) == [], "nothing half-written is left"
    finally:
        subprocess.run(["umount", "-l", disk], check=False)
