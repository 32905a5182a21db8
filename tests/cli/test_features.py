"""``harness features``: build, list, export, prune."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from filelock import FileLock

from harness.data.cache import cache_folder, cached_arrays, lock_file

SMALL = ("--dataset", "toy", "--limit", "30")


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def entries(own_cache):
    """Three entries of made-up backbones; gives their folders by name."""
    folders = {}
    for name in ("a/one", "a/two", "b"):
        key = {"name": name, "libraries": {}, "content": "c", "weights": "", "fitted_on": None}
        cached_arrays(key, lambda: [np.zeros((50, 4), dtype=np.float32)], {"dataset": "d", "modality": "image"})
        folders[name] = next(
            folder for folder in (cache_folder() / "features").iterdir() if folder not in folders.values()
        )
    return folders


def names(harness):
    return sorted(entry["backbone"] for entry in harness("features", "list", "--json").json)


def test_build_computes_once_and_says_what_came_from_the_cache(harness, own_cache):
    first = harness("features", "build", *SMALL)
    assert first.code == 0, first.err
    assert first.out.strip() == "2 computed, 0 from the cache"
    again = harness("features", "build", *SMALL, "--json")
    assert [(row["modality"], row["cached"]) for row in again.json] == [("image", True), ("text", True)]
    listed = harness("features", "list", "--json").json
    assert len(listed) == 2
    image = next(entry for entry in listed if entry["modality"] == "image")
    assert image["dataset"] == "toy"
    assert [shape[0] for shape in image["shapes"]] == [30, 30]
    assert "handcrafted" in harness("features", "list").out


def test_a_run_from_the_export_gives_the_codes_and_metrics_of_the_run_from_raw_data(
    harness, own_cache, tmp_path, codes_of
):
    cell = ("--method", "chnr,cca-itq", "--noise", "0.4", "--bits", "16", "--epochs", "2", "--data-seed", "1")
    method_of = {}
    result = harness("features", "export", *SMALL, "--data-seed", "1", "-o", tmp_path / "toy.npz")
    assert result.code == 0, result.err
    for data in (SMALL, ("--features", tmp_path / "toy.npz")):
        done = harness("run", *cell, *data, "--json")
        assert done.code == 0, done.err
        for record in done.json:
            method_of.setdefault(record["cell"]["method"], []).append(record)
    for own, exported in method_of.values():
        assert own["cell"]["dataset"] == exported["cell"]["dataset"] == "toy"
        assert own["hash"] != exported["hash"]
        assert codes_of(own) == codes_of(exported)
        assert own["metrics"] == exported["metrics"]


def test_an_export_without_split_needs_backbones_that_are_not_fitted(harness, own_cache, tmp_path):
    result = harness("features", "export", *SMALL, "--no-split", "-o", tmp_path / "toy.npz")
    assert result.code == 2
    assert "fitted on the training images" in result.err
    assert not (tmp_path / "toy.npz").exists()


def test_one_file_holds_one_set_of_features(harness, tmp_path):
    result = harness("features", "export", "--dataset", "toy", "--data-seed", "0,1", "-o", tmp_path / "x.npz")
    assert (result.code, "name 2 sets of features" in result.err) == (2, True)


def test_prune_removes_damaged_entries_and_what_killed_processes_left(harness, entries):
    (entries["b"] / "0.npy").write_bytes(b"")
    left = cache_folder() / "features" / f".{entries['b'].name}-abc"
    left.mkdir()
    shown = harness("features", "prune", "--dry-run").out
    assert "2 entries" in shown
    assert left.exists()
    assert "2 entries removed" in harness("features", "prune", "--yes").out
    assert not left.exists()
    assert names(harness) == ["a/one", "a/two"]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ((), ["a/one", "a/two", "b"]),
        (("--backbone", "a"), ["b"]),
        (("--backbone", "a/one"), ["a/two", "b"]),
        (("--dataset", "other"), ["a/one", "a/two", "b"]),
        (("--unused-for", "30d"), ["a/one", "b"]),
        (("--unused-for", "30d", "--backbone", "b"), ["a/one", "a/two", "b"]),
        (("--larger-than", "1GB"), ["a/one", "a/two", "b"]),
        (("--unreachable",), []),
        (("--all",), []),
    ],
    ids=str,
)
def test_prune_removes_what_is_asked_for(harness, entries, words, left):
    old = time.time() - 40 * 86400
    os.utime(entries["a/two"] / "key.json", (old, old))
    assert harness("features", "prune", *words, "--yes").code == 0
    assert names(harness) == left


def test_prune_keeps_what_was_used_last(harness, entries):
    for age, name in enumerate(("b", "a/one", "a/two")):
        then = time.time() - age * 1000
        os.utime(entries[name] / "key.json", (then, then))
    size = harness("features", "list", "--json").json[0]["bytes"]
    harness("features", "prune", "--keep", f"{int(size * 1.5)}B", "--yes")
    assert names(harness) == ["b"]


def test_a_hit_counts_as_use(harness, entries):
    old = time.time() - 40 * 86400
    os.utime(entries["b"] / "key.json", (old, old))
    key = {"name": "b", "libraries": {}, "content": "c", "weights": "", "fitted_on": None}
    assert cached_arrays(key, lambda: [])[1]
    harness("features", "prune", "--unused-for", "30d", "--yes")
    assert "b" in names(harness)


def test_prune_leaves_what_a_process_has_locked(harness, entries):
    with FileLock(lock_file(entries["b"])):
        result = harness("features", "prune", "--all", "--yes")
    assert "2 entries removed" in result.out
    assert "in use by a running process" in result.err
    assert names(harness) == ["b"]


def test_prune_asks(harness, entries, monkeypatch):
    monkeypatch.setattr("click.confirm", lambda text: False)
    assert "nothing was removed" in harness("features", "prune", "--all").out
    assert len(names(harness)) == 3
    assert harness("features", "prune", "--all", "--json").code == 2


def test_an_unknown_verb_is_named(harness):
    result = harness("features", "bild")
    assert result.code == 2
    assert "build" in result.err
