"""``harness data check`` says what the reader of a run says, and goes on after the first thing that is wrong."""

from __future__ import annotations

import json
import os

import pytest
from layouts.miniatures import MINIATURES, REGISTRY

from harness.data.features.sources import read_dataset
from harness.data.sets.check import check
from harness.errors import HarnessError

RSICD = "RSICD/dataset_rsicd.json"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 11863281\n"


@pytest.fixture
def findings(tmp_path):
    """``findings("rsicd", spoil)``: what is found in a miniature that was changed."""

    def found(name, spoil=lambda root: None, deep=False):
        MINIATURES[name].write(tmp_path)
        spoil(tmp_path)
        card = MINIATURES[name].card
        assert card.layout is not None
        card = card.model_copy(
            update={"layout": card.layout.model_copy(update={"files": ()})}
        )  # they count the real one
        said = check(REGISTRY, card, tmp_path, deep=deep)
        return [one for one in said if one.harmful]

    return found


def test_a_byte_order_mark_is_in_order_as_it_is_for_a_run(findings, tmp_path):
    def spoil(root):
        (root / RSICD).write_bytes(b"\xef\xbb\xbf" + (root / RSICD).read_bytes())

    assert findings("rsicd", spoil) == []
    assert len(read_dataset(REGISTRY, MINIATURES["rsicd"].card, tmp_path)) == 10


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (POINTER, "it is a Git LFS pointer, which stands for a file of 11,863,281 bytes: get that with `git lfs pull`"),
        (b"<!DOCTYPE html><title>Sign in</title>", "it is a web page (HTML, 'Sign in'): download the file itself"),
        (b"[" * 100_000, "its brackets are nested too deep"),
        (b"", "it is empty (0 bytes)"),
        (b"\x1f\x8b\x08\x00\xff", "it is gzip-compressed: unpack it first"),
        (b"{'images': 1}", "Expecting property name"),
    ],
)
def test_what_is_no_json_is_told_by_check_and_run_in_the_same_words(findings, tmp_path, content, says):
    said = [one.text for one in findings("rsicd", lambda root: (root / RSICD).write_bytes(content))]
    assert any(says in text for text in said), said
    with pytest.raises(HarnessError) as caught:
        read_dataset(REGISTRY, MINIATURES["rsicd"].card, tmp_path)
    assert str(caught.value).rstrip(".") in said


def test_the_text_is_checked_and_what_is_there_decoded_while_images_are_missing(findings):
    images = "RSICD/RSICD_images"

    def spoil(root):
        for number in (1, 4):
            (root / images / f"airport_{number}.jpg").unlink()
        os.mkfifo(root / images / "airport_1.jpg")
        (root / images / "00012.jpg").write_bytes(b"\xff\xd8\xff\xe0")
        (root / images / "00921.jpg").write_bytes(b"")

    lost, empty, damaged = findings("rsicd", spoil, deep=True)[-3:]
    assert (lost.kind, [file.rpartition("/")[2] for file in lost.files]) == (
        "missing", ["airport_1.jpg", "airport_4.jpg"]
    )  # fmt: skip
    assert "2 of 10 images are missing: " in lost.text
    assert "airport_1.jpg (no file but a pipe)" in lost.text
    assert empty.text == "1 image (00921.jpg) is empty (0 bytes)"
    assert "00012.jpg cannot be decoded" in damaged.text


def test_a_wrong_caption_is_told_although_images_are_missing(findings):
    def spoil(root):
        content = json.loads((root / RSICD).read_text())
        content["images"][2]["sentences"] = [{"raw": None}]
        (root / RSICD).write_text(json.dumps(content))
        (root / "RSICD" / "RSICD_images" / "beach_1.jpg").unlink()

    texts = [one.text for one in findings("rsicd", spoil)]
    assert any("images[2] ('baseballfield_3.jpg') has no caption" in text for text in texts)


def test_that_nothing_was_decoded_is_said(findings):
    said = findings("rsicd", lambda root: (root / RSICD).write_text("{"), deep=True)
    assert said[-1].text.endswith("; no image was decoded, because it is not known which there should be")


def test_all_files_of_tags_that_are_missing_are_named(findings):
    tags = "mirflickr25k/mirflickr/meta/tags"

    def spoil(root):
        for number in (2, 10):
            (root / tags / f"tags{number}.txt").unlink()

    (finding,) = [one for one in findings("mirflickr-raw", spoil) if one.files]
    assert finding.kind == "missing"
    assert [file.rpartition("/")[2] for file in finding.files] == ["tags2.txt", "tags10.txt"]


def test_what_the_card_says_is_missing_is_not_said_twice(findings):
    said = findings("rsicd", lambda root: (root / RSICD).unlink())
    assert [one.text for one in said if "dataset_rsicd.json" in one.text] == [said[0].text]
    assert len(said) == 1
