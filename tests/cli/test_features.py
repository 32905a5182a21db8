"""``harness features``: build, list, export, prune."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from harness.cells.request import OPTIONS
from harness.cli.data.export import CELL_KEYS
from harness.cli.data.options import NOT_OF_FEATURES
from harness.data.cache import cache_folder, cached_arrays, lock_file
from harness.data.decoding import VERSION, decoder_facts

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


def test_build_that_cannot_keep_what_it_computes_fails_and_says_why(harness, own_cache, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    monkeypatch.setattr("numpy.save", full)
    result = harness("features", "build", *SMALL)
    assert result.code == 1
    assert result.out.strip() == "0 computed, 0 from the cache, 2 computed but not kept"
    assert "No space left on device" in result.err
    again = harness("features", "build", *SMALL, "--json")
    assert again.code == 1
    assert [row["lost"] for row in again.json] == ["No space left on device"] * 2


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


TOWERS = """
import numpy as np
from harness import Need, Recipe, hookimpl

class Towers:
    def __init__(self, modality, weights=""):
        self.modality = modality

    def encode(self, raw, run):
        random = np.random.default_rng(0 if self.modality == "image" else 1)
        return random.normal(size=(len(raw), 16)).astype(np.float32)

class Zero:
    def fit(self, pairs, trust, run):
        self.bits = run.n_bits

    def encode_image(self, image):
        return image[:, : self.bits]

    encode_text = encode_image

@hookimpl
def register_backbones(register):
    register("towers", Towers, modality="both", summary="s", paper="p", weights="optional", parameters=())

@hookimpl
def register_hashers(register):
    register("zero", Zero, summary="s", paper="p", needs=Need.SHARED_SPACE)

@hookimpl
def register_methods(register):
    register("zero", Recipe(hasher="zero"), summary="s", paper="p")
"""


@pytest.fixture
def towers(tmp_path):
    """A plugin with a pair of towers of one space, and a method that needs such a pair."""
    (tmp_path / "towers.py").write_text(TOWERS)
    return ("--plugin", tmp_path / "towers.py", "--bits", "8", "--method", "zero", "--standardise", "none", "--json")


@pytest.mark.parametrize("verb", ["features", "data"])
def test_an_export_of_one_space_serves_methods_that_need_one(harness, own_cache, tmp_path, towers, verb, codes_of):
    words = (*SMALL, "--backbone", "towers", "--plugin", tmp_path / "towers.py", "-o", tmp_path / "toy.npz")
    assert harness(verb, "export", *words).code == 0
    (own,) = harness("run", *SMALL, "--backbone", "towers", *towers).json
    result = harness("run", "--features", tmp_path / "toy.npz", *towers)
    assert result.code == 0, result.err
    (again,) = result.json
    assert codes_of(again) == codes_of(own)
    assert again["metrics"] == own["metrics"]
    assert harness(verb, "export", *SMALL, "-o", tmp_path / "two.npz").code == 0
    refused = harness("run", "--features", tmp_path / "two.npz", *towers)
    assert "no shared space" in refused.err


def test_the_record_names_the_commit_of_weights_from_a_hub(harness, own_cache, tmp_path, towers, monkeypatch):
    monkeypatch.setattr("harness.data.features.extraction.revision_of", lambda name: f"commit of {name}")
    (plain,) = harness("run", *SMALL, "--backbone", "towers", *towers).json
    (record,) = harness("run", *SMALL, "--backbone", "towers", "--pretrained", "org/net", *towers).json
    assert plain["cell"]["revisions"] == {}
    assert record["cell"]["revisions"] == {"image": "commit of org/net", "text": "commit of org/net"}
    assert record["identity"]["backbones"]["image"]["weights"] == "hub:org/net"


DATA = [
    option.name
    for option in OPTIONS
    if not option.of_method and option.name not in ("bits", "seed", "standardise", "precision")
]
"""Options that say which data and which features."""


def test_export_and_build_know_every_option_of_data_and_backbones(harness):
    shown = {
        "features build": [name for name in DATA if name not in NOT_OF_FEATURES],
        "features export": [name for name in DATA if name not in NOT_OF_FEATURES],
        "data export": DATA,
    }
    for verb, names in shown.items():
        text = harness(*verb.split(), "--help").out
        assert [name for name in names if f"--{name.replace('_', '-')} " not in text] == [], verb
    assert set(DATA) <= set(CELL_KEYS)
    assert {"backbone", "pretrained", "image_recipe", "image_views", "text_views", "split", "relevance",
            "drop_duplicates", "skip_broken", "validation"} <= set(shown["features build"])  # fmt: skip


def test_an_export_holds_the_views_and_the_split_that_were_asked_for(harness, own_cache, tmp_path):
    words = (*SMALL, "--image-views", "2", "--text-views", "1", "--split", "stratified", "--data-seed", "3")
    assert harness("features", "export", *words, "-o", tmp_path / "toy.npz").code == 0
    with np.load(tmp_path / "toy.npz") as arrays:
        assert len(arrays["image_aug"]) == 2
        assert len(arrays["text_aug"]) == 1
        split = arrays["split"]
    assert harness("data", "export", *words, "-o", tmp_path / "cell.npz").code == 0
    by_pairs = "dataset=toy,limit=30,image-views=2,text-views=1,split=stratified,data-seed=3"
    assert harness("data", "export", "--cell", by_pairs, "-o", tmp_path / "pairs.npz").code == 0
    for name in ("cell", "pairs"):
        with np.load(tmp_path / f"{name}.npz") as arrays:
            np.testing.assert_array_equal(arrays["split"], split)
            assert len(arrays["image_aug"]) == 2


def test_an_export_says_which_images_have_no_class(harness, own_cache, tmp_path, codes_of):
    (tmp_path / "mine").mkdir()
    lines = ["image,caption,label"]
    for number in range(40):
        Image.new("RGB", (8, 8), (6 * number, 40 * (number % 4), 0)).save(tmp_path / "mine" / f"{number}.png")
        lines.append(f"{number}.png,thing {number},{'' if number % 8 == 7 else 'abc'[number % 3]}")
    (tmp_path / "mine" / "metadata.csv").write_text("\n".join(lines))
    data = ("--dataset", "folder", "--data-root", tmp_path / "mine")
    cell = ("--method", "cca-itq", "--bits", "8", "--json")
    for relevance in ("label", "instance"):
        words = ("--relevance", relevance)
        assert harness("features", "export", *data, *words, "-o", tmp_path / "mine.npz").code == 0
        (own,) = harness("run", *data, *words, *cell).json
        (again,) = harness("run", "--features", tmp_path / "mine.npz", *words, *cell).json
        assert codes_of(again) == codes_of(own)
        assert again["metrics"] == own["metrics"]
    (of_all,) = harness("run", "--features", tmp_path / "mine.npz", *cell).json
    assert sum(of_all["cell"]["images"][part] for part in ("train", "query", "database")) < 40


def test_what_is_no_feature_is_listed_and_kept(harness, own_cache):
    cached_arrays({"ready": "f", "shapes": []}, lambda: [np.zeros(1)], {"dataset": "d", "what": "ready features"})
    for version in (VERSION, VERSION - 1):
        key = {"decodable": "c", **decoder_facts(), "version": version}
        cached_arrays(key, lambda: [np.ones(1)], {"dataset": "d", "what": "which images can be decoded"})
    assert "which images can be decoded" in harness("features", "list").out
    assert "1 entry removed" in harness("features", "prune", "--unreachable", "--yes").out
    assert len(harness("features", "list", "--json").json) == 2


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
