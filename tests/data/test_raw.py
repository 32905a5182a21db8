"""Raw data sets: subsets, fingerprints, and image files that are missing or damaged."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from harness.data.raw import ImageFiles, RawDataset, SomeImages, check_raw
from harness.errors import HarnessError


def picture(number, size=(12, 10)):
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8))


@dataclass(frozen=True)
class MemoryImages:
    """Images that are made when asked for."""

    numbers: tuple[int, ...]

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        return picture(self.numbers[index])

    def fingerprint(self, index):
        return f"content {self.numbers[index]}"


@pytest.fixture
def raw():
    return RawDataset(
        name="raw",
        images=MemoryImages((10, 11, 12, 13, 14)),
        captions=["a", "b", "c", "d", "e", "f", "g", "h"],
        caption_image=np.array([0, 0, 1, 2, 2, 2, 3, 4]),
        labels=np.array([5, 5, 6, 6, 7]),
        filenames=[f"{i}.tif" for i in range(5)],
        split=np.array([0, 0, 1, 2, 2], dtype=np.int8),
    )


@pytest.mark.parametrize(
    ("features", "says"),
    [
        (np.full((8, 3), np.nan, dtype=np.float32), "text_features has NaN or infinite values in 8 rows"),
        (np.ones(8), "text_features must be a matrix of numbers"),
        (np.ones((7, 3)), "text_features has 7 rows for 8 captions"),
    ],
)
def test_text_features_are_looked_at_whatever_reader_they_come_from(raw, features, says):
    with pytest.raises(HarnessError, match=f"data set 'raw', read by 'mine': {says}"):
        check_raw(replace(raw, text_features=features), "mine")


# --- subsets ---


def test_a_subset_keeps_images_captions_and_labels_together(raw):
    part = raw.subset(np.array([4, 2, 0]))
    assert len(part) == 3
    assert [part.images.fingerprint(i) for i in range(3)] == ["content 14", "content 12", "content 10"]
    assert part.images[1].tobytes() == raw.images[2].tobytes()
    assert part.labels.tolist() == [7, 6, 5]
    assert part.filenames == ["4.tif", "2.tif", "0.tif"]
    assert part.split.tolist() == [2, 1, 0]
    captions_of = {
        i: [c for c, image in zip(part.captions, part.caption_image, strict=True) if image == i] for i in range(3)
    }
    assert captions_of == {0: ["h"], 1: ["d", "e", "f"], 2: ["a", "b"]}


def test_a_subset_of_all_images_is_the_data_set(raw):
    part = raw.subset(np.arange(5))
    assert part.fingerprint == raw.fingerprint
    assert part.captions == raw.captions


def test_a_subset_of_a_subset_names_the_original_images(raw):
    part = raw.subset(np.array([4, 3, 1])).subset(np.array([2, 0]))
    assert [part.images.fingerprint(i) for i in range(2)] == ["content 11", "content 14"]
    assert part.captions == ["c", "h"]
    assert part.caption_image.tolist() == [0, 1]
    assert part.images.source is raw.images
    assert part.images.rows.tolist() == [1, 4]
    assert part.content_hashes == ["content 11", "content 14"]
    assert part.images[1].tobytes() == raw.images[4].tobytes()


def test_a_subset_of_data_without_split_or_with_label_matrices(raw):
    part = replace(raw, split=None, labels=np.eye(5, dtype=bool)).subset(np.array([3, 1]))
    assert part.split is None
    np.testing.assert_array_equal(part.labels, np.eye(5, dtype=bool)[[3, 1]])


def test_some_images_have_a_length_and_end_there(raw):
    some = SomeImages(raw.images, np.array([3, 1]))
    assert len(some) == 2
    assert some[0].tobytes() == raw.images[3].tobytes()
    with pytest.raises(IndexError):
        some[2]


# --- fingerprints ---


def test_the_fingerprint_is_that_of_the_content(raw):
    assert replace(raw).fingerprint == raw.fingerprint
    assert replace(raw, name="other", filenames=list("vwxyz")).fingerprint == raw.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"images": MemoryImages((10, 11, 12, 13, 15))},
        {"images": MemoryImages((11, 10, 12, 13, 14))},
        {"captions": ["a", "b", "c", "d", "e", "f", "g", "H"]},
        {"captions": ["b", "a", "c", "d", "e", "f", "g", "h"]},
        {"captions": ["ab", "", "c", "d", "e", "f", "g", "h"]},
        {"caption_image": np.array([0, 1, 1, 2, 2, 2, 3, 4])},
        {"labels": np.array([5, 5, 6, 6, 8])},
        {"labels": np.array([5, 6, 5, 6, 7])},
        {"labels": np.eye(5, dtype=bool)},
        {"split": np.array([0, 0, 1, 2, 3], dtype=np.int8)},
        {"split": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_of_images_captions_labels_or_split_changes_the_fingerprint(raw, change):
    assert replace(raw, **change).fingerprint != raw.fingerprint


def test_content_codes_are_equal_where_the_hashes_are(raw):
    codes = replace(raw, images=MemoryImages((12, 10, 12, 9, 10))).content_codes
    assert codes.dtype == np.int64
    assert (codes[:, None] == codes).sum() == 9
    assert (codes[0], codes[1]) == (codes[2], codes[4])
    assert len(set(raw.content_codes)) == 5


def test_label_numbers_and_label_matrices_of_the_same_bytes_have_different_fingerprints(raw):
    # once: neither type nor shape is hashed. Numbers 1, 256, ... are the bytes of one-hot rows of eight classes.
    numbers = np.array([1, 256, 1, 65536, 257])
    matrix = numbers.view(np.uint8).reshape(5, 8).astype(bool)
    assert replace(raw, labels=numbers).fingerprint != replace(raw, labels=matrix).fingerprint


def test_image_and_caption_fingerprints_stand_for_one_modality_each(raw):
    other_captions = replace(raw, captions=list("stuvwxyz"))
    assert other_captions.image_fingerprint == raw.image_fingerprint
    assert other_captions.caption_fingerprint != raw.caption_fingerprint
    other_images = replace(raw, images=MemoryImages((1, 2, 3, 4, 5)))
    assert other_images.image_fingerprint != raw.image_fingerprint
    assert other_images.caption_fingerprint == raw.caption_fingerprint


# --- image files ---


def encoded(kind, image=None):
    buffer = io.BytesIO()
    (image or picture(0, (40, 40))).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_files_are_decoded_to_their_pixels(tmp_path, kind):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.img")
        paths[-1].write_bytes(encoded(kind, picture(number)))
    images = ImageFiles(paths)
    assert len(images) == 3
    for number in range(3):
        np.testing.assert_array_equal(np.asarray(images[number]), np.asarray(picture(number)))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK", "I;16"])
def test_images_of_any_mode_become_rgb(tmp_path, mode):
    image = Image.new("I;16", (9, 7)) if mode == "I;16" else picture(0, (7, 9)).convert(mode)
    (tmp_path / "image.tif").write_bytes(encoded("TIFF", image))
    decoded = ImageFiles([tmp_path / "image.tif"])[0]
    assert decoded.mode == "RGB"
    assert decoded.size == (9, 7)


def test_the_fingerprint_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(encoded("PNG"))
    (tmp_path / "b").write_bytes(encoded("PNG"))
    (tmp_path / "c").write_bytes(encoded("PNG") + b"\0")
    images = ImageFiles([tmp_path / name for name in "abc"])
    assert images.fingerprint(0) == images.fingerprint(1) != images.fingerprint(2)


def test_a_missing_image_is_named(tmp_path):
    images = ImageFiles([tmp_path / "none.tif"])
    with pytest.raises(HarnessError, match=r"image .*none\.tif is missing"):
        images[0]
    with pytest.raises(HarnessError, match=r"image .*none\.tif is missing"):
        images.fingerprint(0)


def test_a_folder_in_place_of_an_image_is_named(tmp_path):
    with pytest.raises(HarnessError, match=f"image {tmp_path}"):
        ImageFiles([tmp_path])[0]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow remarks on damaged TIFF tags before it gives up
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9])
def test_a_truncated_image_is_named(tmp_path, kind, share):
    path, content = tmp_path / "cut.img", encoded(kind)
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(HarnessError, match=r"image .*cut\.img"):
        ImageFiles([path])[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("damage", [b"\0" * 8, b"\xff" * 2], ids=["zeros", "ones"])
def test_an_image_damaged_anywhere_in_its_header_is_decoded_or_named(tmp_path, kind, damage):
    # once: Pillow also raises ValueError ("tile cannot extend outside image") and DecompressionBombError, which is no
    # OSError, for damaged TIFF headers; UCM is TIFF.
    path, content = tmp_path / "damaged.img", encoded(kind, picture(0, (16, 16)))
    escaped = set()
    for at in range(200):
        path.write_bytes(content[:at] + damage + content[at + len(damage) :])
        try:
            assert ImageFiles([path])[0].mode == "RGB"
        except HarnessError as error:
            escaped |= set() if "damaged.img" in str(error) else {str(error)}
        except Exception as error:
            escaped.add(f"{type(error).__name__}: {error}")
    assert escaped == set()
