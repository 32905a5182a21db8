"""The reader of UCM-Captions' layout: what it reads, and one clear sentence for each thing that can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from harness_plugins.layouts.karpathy import read_karpathy
from PIL import Image

from harness.data.cards import Backbones, CardLayout, DatasetCard
from harness.errors import HarnessError

CARD = DatasetCard(
    name="mini", title="t", paper="p", licence="l", reader="karpathy", labels="single", classes=3, images=4,
    captions_per_image=2, image_size="8 x 6", backbones=Backbones(image="handcrafted", text="tfidf-svd"),
    layout=CardLayout(folder="UCM_captions", annotations="dataset.json", images="imgs"),
)  # fmt: skip
CLASS_CODES = (2, 0, 2, 1)


def entries() -> list[dict]:
    """Four images; the second has three captions. The keys are those of the published file."""
    captions = [["a river .", " some boats . "], ["one", "two", "three"], ["naïve café"], ["last", "last"]]
    return [
        {
            "filename": f"{number + 1}.tif",
            "imgid": number,
            "classcode": code,
            "sentids": list(range(len(texts))),
            "sentences": [{"raw": text, "tokens": text.split(), "imgid": number} for text in texts],
            "split": "train",
        }
        for number, (code, texts) in enumerate(zip(CLASS_CODES, captions, strict=True))
    ]


@pytest.fixture
def layout(tmp_path):
    """``layout(entries)``: a data root with four small images."""

    def write(content=None, text: str | None = None) -> Path:
        folder = tmp_path / "UCM_captions"
        (folder / "imgs").mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 6), (number * 10, 0, 0)).save(folder / "imgs" / f"{number + 1}.tif")
        content = {"images": entries(), "dataset": "UCM"} if content is None else content
        text = json.dumps(content, ensure_ascii=False) if text is None else text
        (folder / "dataset.json").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def told(root) -> str:
    with pytest.raises(HarnessError) as caught:
        read_karpathy(CARD, root)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


def test_images_captions_and_labels_come_in_the_order_of_the_json(layout):
    raw = read_karpathy(CARD, layout())
    assert raw.name == "mini"
    assert len(raw) == 4
    assert raw.filenames == ["1.tif", "2.tif", "3.tif", "4.tif"]
    assert raw.captions == ["a river .", "some boats .", "one", "two", "three", "naïve café", "last", "last"]
    assert raw.caption_image.tolist() == [0, 0, 1, 1, 1, 2, 3, 3]
    assert raw.caption_image.dtype == np.int64
    assert raw.labels.tolist() == list(CLASS_CODES)
    assert raw.split is None, "the published split is not the one of this protocol"
    for number in range(4):
        image = raw.images[number]
        assert (image.mode, image.size) == ("RGB", (8, 6))
        assert image.getpixel((0, 0)) == (number * 10, 0, 0)


def test_order_of_the_entries_decides_and_not_the_order_of_the_files(layout):
    raw = read_karpathy(CARD, layout({"images": entries()[::-1]}))
    assert raw.filenames[0] == "4.tif"
    assert raw.images[0].getpixel((0, 0)) == (30, 0, 0)
    assert raw.captions[:2] == ["last", "last"]
    assert raw.labels.tolist() == list(CLASS_CODES[::-1])


def test_data_root_may_be_the_folder_of_the_data_set_itself(layout):
    root = layout()
    assert read_karpathy(CARD, root / "UCM_captions").fingerprint == read_karpathy(CARD, root).fingerprint


def test_images_that_no_entry_names_are_ignored(layout):
    root = layout({"images": entries()[:2]})
    assert len(read_karpathy(CARD, root)) == 2


def test_no_root_says_how_to_give_one():
    said = told(None)
    assert "--data-root DIR or set HARNESS_DATA" in said
    assert "UCM_captions/dataset.json and UCM_captions/imgs/ with 4 images" in said


def test_root_that_is_empty_names_both_things_that_are_missing(tmp_path):
    said = told(tmp_path)
    assert f"{tmp_path}/UCM_captions/dataset.json and {tmp_path}/UCM_captions/imgs missing" in said
    assert f"--data-root {tmp_path} must hold UCM_captions/dataset.json" in said


def test_missing_annotations_are_named(layout):
    root = layout()
    (root / "UCM_captions" / "dataset.json").unlink()
    said = told(root)
    assert f"dataset 'mini': {root}/UCM_captions/dataset.json missing; " in said


def test_missing_folder_of_images_is_named(layout):
    root = layout()
    (root / "UCM_captions" / "imgs").rename(root / "UCM_captions" / "images")
    assert f"dataset 'mini': {root}/UCM_captions/imgs missing; " in told(root)


def changed(number: int, **keys) -> dict:
    content = entries()
    for key, value in keys.items():
        if value is ...:
            del content[number][key]
        else:
            content[number][key] = value
    return {"images": content}


@pytest.mark.parametrize(
    ("content", "end"),
    [
        (changed(1, sentences=[]), "images[1] ('2.tif') has no caption."),
        (changed(2, sentences=...), "images[2] lacks 'sentences'."),
        (changed(0, filename=...), "images[0] lacks 'filename'."),
        (changed(3, classcode=...), "images[3] lacks 'classcode'."),
        (changed(1, classcode="river"), "images[1].classcode is 'river', expected a whole number."),
        (changed(1, classcode=1.5), "images[1].classcode is 1.5, expected a whole number."),
        (changed(1, sentences=[{"raw": "fine"}, {"tokens": []}]), "images[1].sentences[1] lacks 'raw'."),
        (changed(1, sentences=["a caption"]), "images[1].sentences[0] lacks 'raw'."),
        ({"images": []}, "has no list 'images'."),
        ({"pictures": []}, "has no list 'images'."),
        ([1, 2], "has no list 'images'."),
        ({"images": {"0": {}}}, "has no list 'images'."),
    ],
)
def test_entry_that_is_wrong_is_named_by_its_place(layout, content, end):
    root = layout(content)
    said = told(root)
    assert said.startswith(f"{root}/UCM_captions/dataset.json")
    assert said.endswith(end)


@pytest.mark.parametrize("entry", [3, None, "1.tif", ["filename", "classcode", "sentences"]], ids=repr)
def test_entry_that_is_no_object_is_named_by_its_place(layout, entry):
    root = layout({"images": [*entries()[:2], entry]})
    said = told(root)
    assert said.startswith(f"{root}/UCM_captions/dataset.json: images[2]")


@pytest.mark.parametrize("sentences", [5, "a caption", {"raw": "a caption"}, True], ids=repr)
def test_sentences_that_are_no_list_are_named(layout, sentences):
    root = layout(changed(1, sentences=sentences))
    assert told(root).startswith(f"{root}/UCM_captions/dataset.json: images[1]")


@pytest.mark.parametrize("text", ["", "{", '{"images": [}', "nonsense"])
def test_file_that_is_no_json_is_named_with_the_place(layout, text):
    root = layout(text=text)
    said = told(root)
    assert said.startswith(f"{root}/UCM_captions/dataset.json cannot be read as JSON: ")
    assert "line 1 column" in said if text else "it is empty (0 bytes)" in said


def test_file_in_another_encoding_is_named(layout):
    root = layout()
    (root / "UCM_captions" / "dataset.json").write_bytes(b'{"images": "caf\xe9"}')
    assert told(root).startswith(f"{root}/UCM_captions/dataset.json is no text in UTF-8 (byte 0xe9 at position 15)")


def test_damaged_image_is_named_when_it_is_decoded(layout):
    root = layout()
    (root / "UCM_captions" / "imgs" / "3.tif").write_bytes(b"no image")
    raw = read_karpathy(CARD, root)
    with pytest.raises(HarnessError, match=r"imgs/3\.tif cannot be decoded"):
        raw.images[2]


def test_card_without_layout_is_refused():
    card = CARD.model_copy(update={"layout": None})
    with pytest.raises(HarnessError, match=r"^dataset card 'mini' lacks the table \[layout\]\.$"):
        read_karpathy(card, None)


def test_ucm_through_the_command_line_from_files_to_a_record(harness, tmp_path):
    folder = tmp_path / "data" / "UCM_captions"
    (folder / "imgs").mkdir(parents=True)
    random = np.random.default_rng(0)
    images = []
    for number in range(30):
        pixels = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        pixels[..., number % 3] //= 4
        Image.fromarray(pixels).save(folder / "imgs" / f"{number}.tif")
        texts = [f"{('red', 'green', 'blue')[number % 3]} thing number {number} view {view} ." for view in range(2)]
        sentences = [{"raw": text} for text in texts]
        images.append({"filename": f"{number}.tif", "classcode": number % 3, "sentences": sentences})
    (folder / "dataset.json").write_text(json.dumps({"images": images}))
    words = ("--dataset", "ucm", "--image-backbone", "handcrafted", "--text-backbone", "tfidf-svd", "--bits", "8")
    result = harness("run", "--method", "cca-itq", *words, "--data-root", tmp_path / "data", "--json")
    assert result.code == 0, result.err
    (record,) = result.json
    assert record["cell"]["dataset"] == "ucm"
    assert record["cell"]["images"] == {"train": 15, "trusted": 3, "query": 3, "database": 12}
    missing = harness("run", "--method", "cca-itq", *words, "--data-root", tmp_path / "elsewhere")
    assert missing.code == 2
    assert f"{tmp_path}/elsewhere/UCM_captions/dataset.json" in missing.err
    assert "Traceback" not in missing.err
