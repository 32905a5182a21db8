"""What an audit counts, on sets of which it is known."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from harness.data.raw import ImageFiles, RawDataset
from harness.data.sets.audit import Audited, audit, pixel_hashes, shared_images
from harness.errors import HarnessError


def picture(colour: int, kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(out, kind)
    return out.getvalue()


@pytest.fixture
def raw(tmp_path):
    files = {
        "a.png": picture(1, "PNG"), "b.png": picture(1, "PNG"), "c.bmp": picture(1, "BMP"), "d.png": picture(4, "PNG"),
        "e.png": picture(5, "PNG"), "f.png": picture(5, "PNG"),
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return RawDataset(
        name="six",
        images=ImageFiles([tmp_path / name for name in files]),
        captions=["a field", "a field", "a  field ", "water", "water", "a road", "one"],
        caption_image=np.array([0, 0, 1, 3, 4, 4, 5]),
        labels=np.array([0, 0, 0, 1, 2, 2]),
        filenames=list(files),
    )


SPLIT = np.array([0, 1, 2, 2, 2, 2], dtype=np.int8)


def test_everything_is_counted(raw):
    report = audit(Audited("six", raw, SPLIT), raw.content_hashes, ["field", "sea"])
    assert report["parts"] == {"train": 1, "query": 1, "database": 4}
    assert report["captions_per_image"] == {"0": 1, "1": 3, "2": 2}
    assert report["images_without_captions"] == 1
    classes = report["classes"]
    assert classes["images"] == {"field": 3, "sea": 1, "2": 2}
    assert (classes["smallest"], classes["largest"]) == (1, 3)
    assert 0 < classes["balance"] < 1
    images = report["duplicate_images"]
    assert (images["images"], images["groups"], images["across_parts"]) == (4, 2, 2)
    assert images["queries_with_copy_elsewhere"] == 1
    assert images["examples"] == [["a.png", "b.png"]]
    captions = report["duplicate_captions"]
    assert captions["distinct"] == 4
    assert captions["share_elsewhere"] == round(5 / 7, 4)
    assert captions["share_same_image"] == round(2 / 7, 4)
    assert captions["share_other_image"] == round(5 / 7, 4)
    assert captions["share_other_class"] == round(2 / 7, 4)
    assert captions["most_common"] == [["a field", 3], ["water", 2]]


def test_pixels_find_copies_in_another_format(raw):
    report = audit(Audited("six", raw, SPLIT), pixel_hashes(raw))
    assert report["duplicate_images"]["images"] == 5
    assert report["duplicate_images"]["across_parts"] == 3


def test_equal_images_with_other_labels_are_counted(raw):
    labels = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [1, 0]], dtype=bool)
    report = audit(Audited("six", RawDataset(**{**raw.__dict__, "labels": labels}), SPLIT), raw.content_hashes)
    assert report["duplicate_images"]["groups_with_other_labels"] == 1
    assert report["unlabelled"] == 1
    assert report["classes"]["images"] == {"0": 4, "1": 2}


def test_images_of_two_sets_are_compared(raw):
    other = raw.subset(np.array([4, 3]))
    (entry,) = shared_images({"six": (raw, raw.content_hashes), "two": (other, other.content_hashes)})
    assert entry["sets"] == ["six", "two"]
    assert entry["images"] == [3, 2]
    assert entry["examples"] == [["d.png", "d.png"], ["e.png", "e.png"], ["f.png", "e.png"]]
    assert shared_images({"one": (raw, ["x"] * 6), "two": (other, ["y"] * 2)}) == []


def test_an_image_that_cannot_be_decoded_is_named(raw, tmp_path):
    (tmp_path / "d.png").write_bytes(b"")
    with pytest.raises(HarnessError, match=r"d\.png"):
        pixel_hashes(raw)
