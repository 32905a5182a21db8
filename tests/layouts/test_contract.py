"""What every reader keeps, checked on every layout in miniature."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from layouts.miniatures import MINIATURES, REGISTRY

from harness.data.features.sources import read_dataset
from harness.data.parts import Choice, choose_parts
from harness.data.raw import RawDataset
from harness.data.table import FeatureTable
from harness.errors import HarnessError

PARTS = {"train", "val", "test", "restval", "query", "database"}

every = pytest.mark.parametrize("name", list(MINIATURES))


def read(name: str, root) -> RawDataset | FeatureTable:
    return read_dataset(REGISTRY, MINIATURES[name].card, root)


@pytest.fixture
def written(tmp_path):
    """``written("ucm")``: a data root with that layout."""

    def write(name: str):
        root = tmp_path / "data"
        MINIATURES[name].write(root)
        return root

    return write


def read_with_an_image(name: str, root) -> None:
    data = read(name, root)
    if isinstance(data, RawDataset):
        data.images[0]


def told(name: str, root) -> str:
    with pytest.raises(HarnessError) as caught:
        read_with_an_image(name, root)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith((".", "?"))
    return said


@every
def test_what_is_read_is_what_was_written(name, written):
    data, expected = read(name, written(name)), MINIATURES[name].expected
    assert isinstance(data, FeatureTable if expected.get("ready") else RawDataset)
    assert len(data) == expected["images"]
    assert len(data.caption_image) == expected["captions"]
    if "first" in expected:
        assert data.captions[0] == expected["first"]
    np.testing.assert_array_equal(data.labels[0], expected["label"])
    assert data.parts == (None if expected.get("parts") is None else tuple(expected["parts"]))
    unlabelled = [] if data.unlabelled is None else np.flatnonzero(data.unlabelled).tolist()
    assert unlabelled == expected.get("unlabelled", [])


@every
def test_shapes_and_types_are_those_of_the_contract(name, written):
    data = read(name, written(name))
    n = len(data)
    assert data.caption_image.dtype == np.int64
    assert (np.bincount(data.caption_image, minlength=n) > 0).all()
    assert (data.labels.dtype, data.labels.ndim) in ((np.dtype(np.int64), 1), (np.dtype(bool), 2))
    assert len(data.labels) == n
    assert data.parts is None or (len(data.parts) == n and set(data.parts) <= PARTS)
    if isinstance(data, RawDataset):
        assert len(set(data.filenames)) == len(data.filenames) == n
        assert all(caption == caption.strip() for caption in data.captions)
        for index in range(n):
            image = data.images[index]
            assert image.mode == "RGB"
            assert min(image.size) > 1
        assert len(set(data.content_hashes)) == n, "every image of a miniature is another one"
        assert data.text_features is None or data.text_features.dtype == np.float32
    else:
        assert data.image.dtype == data.text.dtype == np.float32
        assert len(data.image) == n


@every
def test_reading_twice_elsewhere_or_from_the_folder_itself_gives_the_same(name, written, tmp_path):
    root = written(name)
    first = read(name, root)
    shutil.copytree(root, tmp_path / "copy" / "data")
    assert read(name, tmp_path / "copy" / "data").fingerprint == first.fingerprint
    folder = MINIATURES[name].card.layout.folder
    assert read(name, root / folder).fingerprint == first.fingerprint


@every
def test_a_subset_keeps_what_belongs_together(name, written):
    data = read(name, written(name))
    if isinstance(data, RawDataset):
        rows = np.array([len(data) - 1, 0])
        part = data.subset(rows)
        assert part.filenames == [data.filenames[row] for row in rows]
        assert part.content_hashes == [data.content_hashes[row] for row in rows]
        assert {part.captions[row] for row in np.flatnonzero(part.caption_image == 0)} == {
            data.captions[row] for row in np.flatnonzero(data.caption_image == rows[0])
        }


@every
def test_one_byte_of_an_image_changes_the_fingerprint_and_a_new_date_does_not(name, written):
    root = written(name)
    files = sorted(path for path in root.rglob("*") if path.suffix in (".jpg", ".tif", ".png"))
    if not files:
        return
    before = read(name, root).fingerprint
    os.utime(files[0], (1, 1))
    assert read(name, root).fingerprint == before
    used = {path.name for path in getattr(read(name, root).images, "paths", [])}
    file = next(path for path in files if path.name in used)
    content = bytearray(file.read_bytes())
    stat = file.stat()
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the size and the date are the old ones
    assert read(name, root).fingerprint != before


@every
def test_without_a_root_the_reader_says_how_to_give_one_and_what_it_holds(name):
    said = told(name, None)
    assert "--data-root DIR or set HARNESS_DATA" in said


@every
def test_an_empty_root_is_answered_with_what_belongs_there(name, tmp_path):
    said = told(name, tmp_path)
    assert str(tmp_path) in said


CASES = [(name, path) for name, miniature in MINIATURES.items() for path in miniature.needed]


@pytest.mark.parametrize(("name", "path"), CASES)
def test_each_missing_file_is_named(name, path, written):
    root = written(name)
    (root / path).rename(root / f"gone-{root.name}")
    said = told(name, root)
    assert "missing" in said or "must hold" in said or "reads one table" in said
    if not name.endswith("-mat"):  # there the variables of the files decide which layout it is
        assert path.rpartition("/")[2] in said or any(
            words in said for words in ("annotations such as", "tags1.txt", "dataset*.json")
        )


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, m in MINIATURES.items() for path in m.texts])
def test_a_text_in_another_encoding_is_named(name, path, written):
    root = written(name)
    content = (root / path).read_bytes()
    (root / path).write_bytes(content + "\ncafé".encode("latin-1"))
    said = told(name, root)
    assert path.rpartition("/")[2] in said
    assert "is no text in UTF-8 (byte 0xe9" in said


@pytest.mark.parametrize("name", [name for name, miniature in MINIATURES.items() if miniature.main])
def test_garbage_in_the_main_file_is_named(name, written):
    root = written(name)
    (root / MINIATURES[name].main).write_bytes(b"<!DOCTYPE html><html>Sign in\n</html>\n")
    assert MINIATURES[name].main.rpartition("/")[2] in told(name, root)


@every
def test_the_parts_of_a_cell_are_disjoint_and_complete(name, written):
    data = read(name, written(name))
    relevance = "label" if data.unlabelled is None else "instance"
    splits = [] if len(data) < 9 else ["paper", "stratified"]
    splits += ["published"] if data.parts and {"train", "test"} <= set(data.parts) else []
    for split in splits:
        parts = choose_parts(data, Choice(3, split, relevance=relevance))
        assert parts.name == split
        assert (parts.split == 1).any()
        assert set(parts.split.tolist()) <= {-1, 0, 1, 2, 3}


@every
def test_a_key_that_the_reader_does_not_know_is_answered_with_one_that_it_does(name, written):
    miniature = MINIATURES[name]
    card = miniature.card.model_copy(update={"reading": {"unlabeled": "train"}})
    with pytest.raises(HarnessError, match=r"table \[reading\]: unknown parameter of reader .*'unlabeled'"):
        read_dataset(REGISTRY, card, written(name))
