"""``--skip-broken`` on a folder in the published layout of UCM."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from harness.data.broken import without_broken
from harness.data.raw import ImageFiles, RawDataset
from harness.errors import HarnessError

N = 40
BACKBONES = ("--image-backbone", "handcrafted", "--text-backbone", "tfidf-svd", "--set", "image_backbone.size=32")


@pytest.fixture
def folder(tmp_path):
    """A data root with a small UCM."""
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


def test_a_broken_image_stops_the_run_and_is_named(harness, folder):
    spoil(folder, 7)
    result = run(harness, folder)
    assert result.code == 1
    assert "imgs/7.png cannot be decoded: " in result.err
    assert "Traceback" not in result.err


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
    (first,) = run(harness, folder).json
    spoil(folder, 7)
    assert run(harness, folder).code == 1
    assert run(harness, folder, "--skip-broken").code == 0
    file.write_bytes(whole)
    again = run(harness, folder, "--overwrite", "always")
    assert again.json[0]["metrics"] == first["metrics"]
    assert "images" not in again.err.partition("finished")[0].replace("images (fit)", ""), "nothing was decoded again"


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
