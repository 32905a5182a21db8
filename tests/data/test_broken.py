"""``--skip-broken`` on a folder in the published layout of UCM."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from harness.data.broken import broken_images, refuse_broken, without_broken
from harness.data.decoding import decode
from harness.data.raw import ImageFiles, RawDataset, paths_of
from harness.errors import HarnessError

N = 40
BACKBONES = ("--image-backbone", "handcrafted", "--text-backbone", "tfidf-svd", "--set", "image_backbone.size=32")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data root with a small UCM, and an empty cache."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    images = tmp_path / "UCM_captions" / "imgs"
    images.mkdir(parents=True)
    random = np.random.default_rng(0)
    entries = []
    for number in range(N):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(images / f"{number}.png")
        sentences = [{"raw": f"there is a thing of kind {number % 4} here", "sentid": number}]
        entries.append({"filename": f"{number}.png", "classcode": number % 4, "sentences": sentences})
    (tmp_path / "UCM_captions" / "dataset.json").write_text(json.dumps({"images": entries}))
    return tmp_path


def run(harness, folder, *words):
    return harness(
        "run", "--method", "random-codes", "--dataset", "ucm", "--data-root", folder, "--bits", "8", *BACKBONES, *words,
        "--json",
    )  # fmt: skip


def spoil(folder, *numbers):
    for number in numbers:
        file = folder / "UCM_captions" / "imgs" / f"{number}.png"
        file.write_bytes(file.read_bytes()[:200])


def test_a_broken_image_stops_the_grid_once_before_its_first_cell(harness, folder):
    spoil(folder, 7, 30)
    result = run(harness, folder, "--seed", "0-2")
    assert result.code == 2
    assert result.err.count("imgs/7.png cannot be decoded: ") == 1
    assert "(and 1 more of 40)" in result.err
    assert "add --skip-broken to leave them out" in result.err
    assert not result.out
    assert not list((folder / "results").rglob("record.json")), "no cell was begun"


def test_a_missing_image_stops_the_run_or_is_left_out_and_listed(harness, folder):
    for number in (7, 30):
        (folder / "UCM_captions" / "imgs" / f"{number}.png").unlink()
    result = run(harness, folder)
    assert result.code == 2
    assert "2 of 40 images are missing: " in result.err
    assert "a run with --skip-broken leaves it out" in result.err
    spoil(folder, 8)
    result = run(harness, folder, "--skip-broken")
    assert result.code == 0, result.err
    (record,) = result.json
    assert sum(record["cell"]["images"][part] for part in ("train", "query", "database")) == N - 3
    (note,) = [note for note in record["notes"] if "--skip-broken" in note]
    assert note.startswith("--skip-broken left out 3 of 40 images: ")
    assert "imgs/7.png is missing. " in note
    assert "imgs/8.png cannot be decoded" in note


def test_broken_images_are_left_out_of_all_parts_and_listed_in_the_record(harness, folder):
    spoil(folder, 7, 30)
    result = run(harness, folder, "--skip-broken")
    assert result.code == 0, result.err
    (record,) = result.json
    images = record["cell"]["images"]
    assert images["train"] + images["query"] + images["database"] == N - 2
    (note,) = [note for note in record["notes"] if "--skip-broken" in note]
    assert note.startswith("--skip-broken left out 2 of 40 images: ")
    assert "imgs/7.png cannot be decoded" in note
    assert "imgs/30.png cannot be decoded" in note
    assert "--skip-broken" in record["command"]
    assert result.err.count("note: --skip-broken left out") == 1


@pytest.mark.parametrize(
    ("verb", "words"), [(("features", "build"), ()), (("features", "export"), ("-o", "x.npz")),
                        (("data", "export"), ("-o", "x"))],
)  # fmt: skip
def test_every_verb_that_needs_features_names_the_option(harness, folder, monkeypatch, verb, words):
    monkeypatch.chdir(folder)
    said = (*verb, "--dataset", "ucm", "--data-root", folder, *BACKBONES)
    spoil(folder, 7)
    result = harness(*said, *words)
    assert result.code == 2
    assert "imgs/7.png cannot be decoded: " in result.err
    assert "add --skip-broken to leave them out" in result.err
    result = harness(*said, *words, "--skip-broken")
    assert result.code == 0, result.err


def test_where_nothing_is_broken_the_cell_is_the_same(harness, folder):
    (plain,) = run(harness, folder).json
    result = run(harness, folder, "--skip-broken")
    (record,) = result.json
    assert record["hash"] == plain["hash"]
    assert not [note for note in record["notes"] if "--skip-broken" in note]


def test_an_image_that_breaks_later_leaves_the_cache_as_it_was(harness, folder):
    """Features of the whole folder are still there when the file is whole again."""
    file = folder / "UCM_captions" / "imgs" / "7.png"
    whole = file.read_bytes()
    once = run(harness, folder)
    (first,) = once.json
    assert f"images, 2 views {N}/{N}" in once.err
    spoil(folder, 7)
    assert run(harness, folder).code == 2
    assert run(harness, folder, "--skip-broken").code == 0
    file.write_bytes(whole)
    again = run(harness, folder, "--overwrite", "always")
    assert again.json[0]["metrics"] == first["metrics"]
    assert f"images, 2 views {N}/{N}" not in again.err, "nothing was decoded again"


def small(tmp_path, number: int = 3) -> RawDataset:
    paths = [tmp_path / f"{at}.png" for at in range(number)]
    for path in paths:
        Image.new("RGB", (8, 8)).save(path)
    names = [path.name for path in paths]
    return RawDataset("small", ImageFiles(paths), names, np.arange(number), np.zeros(number, dtype=np.int64), names)


def test_which_images_are_broken_is_found_out_once(tmp_path, monkeypatch):
    raw = small(tmp_path)
    (tmp_path / "1.png").write_bytes(b"")
    first = broken_images(raw)
    decoded = []
    monkeypatch.setattr(ImageFiles, "__getitem__", lambda self, at: decoded.append(at) or decode(self.paths[at]))
    assert broken_images(raw) == first == {1: f"image {tmp_path}/1.png cannot be decoded: the file is empty (0 bytes)."}
    assert decoded == [1], "only for its sentence"


def test_a_pipe_among_the_images_is_left_out_and_opened_by_nobody(tmp_path):
    raw = small(tmp_path)
    (tmp_path / "1.png").unlink()
    os.mkfifo(tmp_path / "1.png")
    assert broken_images(raw) == {1: f"image {tmp_path}/1.png is no file but a pipe."}
    with pytest.raises(HarnessError, match=r"^data set 'small': image .*1\.png is no file but a pipe; mend it"):
        refuse_broken(raw)
    assert [path.name for path in paths_of(without_broken(raw)[0].images)] == ["0.png", "2.png"]


def test_data_without_a_single_image_are_refused(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"")
    raw = RawDataset(
        "empty", ImageFiles([tmp_path / f"{number}.png" for number in range(3)]), ["a", "b", "c"], np.arange(3),
        np.zeros(3, dtype=np.int64), ["0", "1", "2"],
    )  # fmt: skip
    with pytest.raises(HarnessError, match=r"data set 'empty': no image can be decoded; the first: image .*0\.png"):
        without_broken(raw)


def test_an_image_that_cannot_even_be_read_is_left_out(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths[:2]:
        Image.new("RGB", (8, 8)).save(path)
    raw = RawDataset(
        "gap", ImageFiles(paths), ["a", "b", "c"], np.arange(3), np.zeros(3, dtype=np.int64), ["0", "1", "2"]
    )
    kept, (note,) = without_broken(raw)
    assert len(kept) == 2
    assert kept.captions == ["a", "b"]
    assert "2.png" in note
