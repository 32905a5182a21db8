"""A stored run against the same cell run again."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from harness import __version__
from harness.errors import HarnessError
from harness.execution.verification import MetricDifference, changed_circumstances, verify
from harness.records.store import RunStore


@pytest.fixture
def run(harness, features, tmp_path):
    """A finished run of a small cell."""

    def make(*words, method="random-codes"):
        arguments = ("run", "--method", method, "--features", features(), "--bits", "12", "--noise", "0.4", *words)
        result = harness(*arguments, "--json")
        assert result.code in (0, 1), result.err
        return RunStore(tmp_path / "results").lookup(result.json[0]["hash"])

    return make


def edit(stored, change):
    path = stored.folder / "record.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return RunStore(stored.folder.parents[3]).lookup(stored.record.hash)


def test_untouched_run_is_identical_and_nothing_is_written(run):
    stored = run("--epochs", "2", "--set", "hasher.hidden=32", method="chnr")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in stored.folder.iterdir()}
    found = verify(stored)
    assert found.identical
    assert found.hash == found.hash_now == stored.record.hash
    assert {(code.part, code.modality) for code in found.codes} == {
        (part, modality) for part in ("query", "database") for modality in ("image", "text")
    }
    assert found.metrics > 200
    assert found.changes == []
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in stored.folder.iterdir()} == before


def test_differing_bits_and_items_are_counted(run):
    stored = run()
    path = stored.folder / "arrays.npz"
    with np.load(path) as opened:
        arrays = dict(opened)
    items = len(arrays["query_image_codes"])
    arrays["query_image_codes"][0, 0] ^= 0b11000000
    arrays["query_image_codes"][1, 1] ^= 0b10000000
    arrays["database_text_codes"] = arrays["database_text_codes"][:-1]
    np.savez(path, **arrays)
    found = verify(stored)
    assert not found.identical
    codes = {(code.part, code.modality): code for code in found.codes}
    assert codes["query", "image"].differing_bits == pytest.approx(3 / (items * 12))
    assert codes["query", "image"].differing_items == pytest.approx(2 / items)
    assert codes["database", "text"].differing_items == 1.0
    assert codes["query", "text"].differing_bits == 0.0


def test_largest_difference_of_metrics_comes_first(run):
    def change(content):
        content["metrics"]["i2t"]["map"] += 0.25
        content["metrics"]["t2i"]["map"] += 0.5
        content["metrics"]["i2i"]["map"] = None
        content["metrics"]["i2t"]["gone@1"] = 0.5
        content["environment"]["versions"]["torch"] = "0.9"

    found = verify(edit(run(), change))
    assert [(one.metric, round(one.size, 9)) for one in found.differing] == [
        ("i2i/map", math.inf), ("t2i/map", 0.5), ("i2t/map", 0.25)
    ]  # fmt: skip
    assert found.not_computed == ["i2t/gone@1"]
    assert any(change.startswith("torch 0.9 -> ") for change in found.changes)
    assert not any(code.differing_items for code in found.codes)


def rewrite_arrays(stored, change):
    path = stored.folder / "arrays.npz"
    with np.load(path) as opened:
        arrays = dict(opened)
    change(arrays)
    np.savez(path, **arrays)


def flip(array):
    """One bit of one value."""
    array.reshape(-1).view(np.uint8)[-1] ^= 1


FORGERIES = {
    "row": (lambda content: content["cell"].update(row="chnr"), "facts", "row is chnr, and now random-codes"),
    "method": (lambda content: content["cell"].update(method="chnr"), "facts", "method is chnr, and in the identity"),
    "bits": (lambda content: content["cell"].update(bits=16), "facts", "bits is 16, and in the identity 12"),
    "seed of the identity": (lambda content: content["identity"].update(seed=7), "facts", "that of the identity is"),
    "status": (lambda content: content.update(status="invalid"), "facts", "the status is invalid, and now ok"),
    "metric removed": (lambda content: content["metrics"]["i2t"].pop("map"), "lacking", "metric i2t/map"),
    "text as metric": (
        lambda content: (content["metrics"]["i2t"].update(map="high"), content.update(status="invalid")),
        "differing",
        MetricDifference("i2t/map", "high", None),
    ),
}


def test_a_record_that_was_changed_is_not_identical(run):
    """Whatever was changed: facts of the cell, its identity, its status, the set of metrics."""
    stored = run()
    path = stored.folder / "record.json"
    whole = path.read_text()
    for name, (change, field, said) in FORGERIES.items():
        path.write_text(whole)
        found = verify(edit(stored, change))
        assert not found.identical, name
        if field == "facts":
            assert any(phrase.startswith(said) or said in phrase for phrase in found.facts), name
        elif field == "lacking":
            assert found.lacking == [said]
        else:
            assert [one.metric for one in found.differing] == [said.metric]


def test_run_in_another_folder_is_not_identical(run, tmp_path):
    stored = run()
    moved = stored.folder.with_name("f" * 12)
    stored.folder.rename(moved)
    found = verify(RunStore(tmp_path).lookup(str(moved)))
    assert found.facts == [f"the hash is {stored.record.hash}, and the folder is called {'f' * 12}"]
    assert not found.identical


def test_one_bit_of_any_array_or_tensor_is_noticed(run):
    stored = run("--epochs", "1", "--set", "hasher.hidden=32", method="chnr")
    rewrite_arrays(stored, lambda arrays: [flip(arrays[name]) for name in ("trust", "curve_loss", "n_bits")])
    path = stored.folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    found = verify(stored)
    assert sorted(found.differing_arrays) == ["curve_loss", "n_bits", "trust"]
    assert len(found.differing_tensors) == 1
    assert found.differing == found.facts == found.lacking == []
    assert not any(code.differing_items for code in found.codes)
    assert not found.identical
    path.unlink()
    found = verify(stored)
    assert found.tensors == 0
    assert all(name.startswith("tensor ") for name in found.lacking)
    assert found.lacking
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(HarnessError, match=r"model\.safetensors is damaged"):
        verify(stored)


def test_what_a_run_of_an_earlier_version_lacks_is_a_note(run):
    stored = edit(run(), lambda content: content["environment"]["versions"].update(harness="0.0.1"))
    rewrite_arrays(stored, lambda arrays: arrays.pop("query_blocks"))
    found = verify(stored)
    assert found.lacking == ["array query_blocks"]
    assert found.identical
    stored = edit(stored, lambda content: content["environment"]["versions"].update(harness=__version__))
    assert not verify(stored).identical


def test_metrics_with_other_cutoffs_are_compared_too(harness, run):
    """Those that `harness score --metric` has added."""
    stored = run()
    assert harness("score", stored.record.hash, "--metric", "map@15").code == 0
    stored = RunStore(stored.folder.parents[3]).lookup(stored.record.hash)
    assert "map@15" in stored.record.metrics["i2t"]
    found = verify(stored)
    assert found.identical
    assert found.not_computed == []
    changed = verify(edit(stored, lambda content: content["metrics"]["i2t"].update({"map@15": 0.5})))
    assert [one.metric for one in changed.differing] == ["i2t/map@15"]


def test_threads_of_the_record_are_used(run):
    found = verify(edit(run(), lambda content: content["environment"].update(threads=2)))
    assert found.threads == 2
    assert not [change for change in found.changes if change.startswith("threads")]


def test_edited_component_is_named_as_the_reason(harness, features, tmp_path):
    plugin = tmp_path / "own.py"
    code = (
        "import torch\nfrom harness import Recipe, hookimpl\n\nclass Own:\n    def fit(self, pairs, trust, run):\n"
        "        self.weight = torch.ones(64, run.n_bits).tril() - 0.5\n\n    def encode_image(self, image):\n"
        "        return image @ self.weight[: image.shape[1]]\n\n    encode_text = encode_image\n\n"
        "@hookimpl\ndef register_hashers(register):\n    register('own', Own, summary='s')\n\n"
        "@hookimpl\ndef register_methods(register):\n    register('own', Recipe('own'), summary='s')\n"
    )
    plugin.write_text(code)
    words = ("run", "--method", "own", "--plugin", plugin, "--features", features(), "--bits", "8", "--json")
    (record,) = harness(*words).json
    stored = RunStore(tmp_path / "results").lookup(record["hash"])
    assert verify(stored).identical
    plugin.write_text(code.replace("- 0.5", "- 0.25"))
    found = verify(stored)
    assert not found.identical
    assert found.hash_now != found.hash
    assert "code of hasher own" in found.changes


def test_failed_run_foreign_codes_and_missing_arrays_cannot_be_verified(run):
    stored = run()
    with pytest.raises(HarnessError, match="ended with status failed: there are no codes"):
        verify(edit(stored, lambda content: content.update(status="failed")))
    stored = edit(stored, lambda content: content.update(status="ok"))
    with pytest.raises(HarnessError, match="codes came from another program"):
        verify(edit(stored, lambda content: content.update(command="")))
    stored = run("--overwrite", "always")
    (stored.folder / "arrays.npz").unlink()
    with pytest.raises(HarnessError, match=r"arrays\.npz: there is no such file"):
        verify(stored)


def test_cell_that_cannot_run_any_more_says_so(run, tmp_path):
    stored = run()
    (tmp_path / "small.npz").unlink()
    with pytest.raises(HarnessError, match=r"small\.npz"):
        verify(stored)


def test_circumstances_that_differ_are_phrases():
    before = {"device": "cpu", "threads": 1, "versions": {"torch": "1", "numpy": "2"}, "git": {"commit": "a"},
              "settings": {"deterministic": False}, "host": "x"}  # fmt: skip
    after = {"device": "cuda:0", "threads": 1, "versions": {"torch": "2", "numpy": "2"}, "git": {"commit": "b"},
             "settings": {"deterministic": True}, "host": "y"}  # fmt: skip
    assert changed_circumstances(before, before) == []
    assert changed_circumstances(before, after) == [
        "device cpu -> cuda:0", "torch 1 -> 2", "deterministic False -> True", "commit of the harness"
    ]  # fmt: skip
    assert changed_circumstances({}, after) == []


def test_difference_of_what_is_not_defined_is_infinite():
    assert MetricDifference("m", None, 0.5).size == math.inf
    assert MetricDifference("m", 0.25, 0.5).size == 0.25
