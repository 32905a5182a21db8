"""Captions that say nothing, or hold what no file can: the same for all readers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from harness_plugins.layouts.captions import Captions
from layouts.miniatures import MINIATURES, REGISTRY, card, picture

from harness.data.features.sources import read_dataset
from harness.errors import HarnessError


def test_what_is_no_text_is_left_out_like_blanks_and_told(caplog):
    captions = Captions(Path("x.json"))
    captions.add(0, ["  a river ", None, float("nan"), 5, True, ["x"], {"raw": "x"}, " \n"])
    captions.add(1, ["None", "nan"])  # words of the file are words
    assert captions.caption_image(2, str).tolist() == [0, 1, 1]
    assert captions.texts == ["a river", "None", "nan"]
    assert [record.getMessage() for record in caplog.records] == [
        "x.json: 7 sentences are left out: blank, or no text (null, NaN)."
    ]


def test_an_image_without_a_caption_is_named():
    captions = Captions(Path("x.json"))
    captions.add(1, ["words"])
    captions.add(0, [None])
    with pytest.raises(HarnessError, match=r"^x\.json: images\[0\] has no caption\.$"):
        captions.caption_image(2, lambda number: f"images[{number}]")


def test_halves_of_characters_are_replaced_and_told(caplog):
    captions = Captions(Path("x.json"))
    captions.add(0, json.loads(r'["a \ud800 b", "\ud83d\ude00"]'))
    assert captions.caption_image(1, str).tolist() == [0, 0]
    assert captions.texts == ["a \N{REPLACEMENT CHARACTER} b", "\N{GRINNING FACE}"]
    assert caplog.messages == ["x.json: 1 caption holds halves of characters, which are replaced."]


def karpathy(content):
    content["images"][0]["sentences"] += [{"raw": None}, {"raw": float("nan")}, {"raw": "\ud800 half"}]


def nwpu(content):
    content["airplane"][0].update(raw_1=None, raw_2=float("nan"), raw_3=7, raw_4="\ud800 half")


def mscoco(content):
    for text in (None, float("nan"), "\ud800 half"):
        content["annotations"].append({"image_id": 1, "id": 0, "caption": text})


@pytest.mark.parametrize(
    ("name", "path", "edit"),
    [
        ("ucm", "UCM_captions/dataset.json", karpathy),
        ("nwpu", "NWPU-Captions/dataset_nwpu.json", nwpu),
        ("mscoco", "mscoco/annotations/captions_train2014.json", mscoco),
    ],
)
def test_no_reader_makes_words_of_nothing(tmp_path, caplog, name, path, edit):
    MINIATURES[name].write(tmp_path)
    content = json.loads((tmp_path / path).read_text())
    edit(content)
    (tmp_path / path).write_text(json.dumps(content))
    data = read_dataset(REGISTRY, MINIATURES[name].card, tmp_path)
    assert not {"None", "nan", "7", ""} & set(data.captions)
    assert "\N{REPLACEMENT CHARACTER} half" in data.captions
    assert "left out: blank, or no text (null, NaN)." in caplog.text
    assert data.fingerprint


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("metadata.csv", "image,caption,label\n0.png,words,a\n0.png,,a\n1.png,others,\n"),
        (
            "metadata.jsonl",
            '{"image": "0.png", "caption": "words", "label": ["a", null]}\n'
            '{"image": "0.png", "caption": null, "label": "a"}\n'
            '{"image": "1.png", "caption": "others", "label": NaN}\n',
        ),
    ],
)
def test_a_blank_row_of_a_table_is_left_out_where_the_image_has_another(tmp_path, caplog, table, content):
    for number in range(2):
        picture(tmp_path / f"{number}.png", number)
    (tmp_path / table).write_text(content)
    data = read_dataset(REGISTRY, card("folder"), tmp_path)
    assert data.captions == ["words", "others"]
    assert data.labels.tolist() == [0, -1]
    assert "1 sentence is left out" in caplog.text


def test_what_is_left_out_is_told_once_in_a_run(harness, tmp_path):
    """The command of a cell names the data root in full, and that is the same data."""
    for number in range(20):
        picture(tmp_path / "own" / f"{number}.png", number)
    rows = [f"{number}.png,thing number {number},{'ab'[number % 2]}" for number in range(20)]
    (tmp_path / "own" / "metadata.csv").write_text("\n".join(["image,caption,label", *rows, "3.png,,b"]))
    root = os.path.relpath(tmp_path / "own")
    result = harness("run", "--method", "random-codes", "--dataset", "folder", "--data-root", root, "--bits", "8")
    assert result.code == 0, result.err
    assert result.err.count("metadata.csv: 1 sentence is left out") == 1
    assert result.err.startswith("note: ")


def test_lines_of_json_end_at_line_breaks_alone(tmp_path):
    texts = ["a\u2028b", "c\u0085d", "e\x1cf"]
    for number in range(3):
        picture(tmp_path / f"{number}.png", number)
    lines = [
        json.dumps({"image": f"{number}.png", "caption": text}, ensure_ascii=False) for number, text in enumerate(texts)
    ]
    (tmp_path / "metadata.jsonl").write_text("\r\n".join(lines), encoding="utf-8", newline="")
    assert read_dataset(REGISTRY, card("folder"), tmp_path).captions == texts
