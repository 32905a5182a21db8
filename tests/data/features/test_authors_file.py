"""Miniature files in the layout of the CHNR and DUCH authors (comrados/noisy_captions, data/)."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest

from harness.data.features.authors_file import read_authors_files
from harness.data.features.sources import features_source
from harness.errors import HarnessError

N, CAPTIONS = 6, 15  # captions: 5, 4, 3, 1, 1, 1
COUNTS = [5, 4, 3, 1, 1, 1]
ORIGINAL = "image_emb_{}_aug_center_crop_only.h5"
NAMES = {
    "image": ORIGINAL,
    "image_aug": "image_emb_{}_aug_aug_center.h5",
    "text": "caption_emb_{}_aug.h5",
    "text_aug": "caption_emb_{}_aug_rb.h5",
}
DATASET = {"image": "image_emb", "image_aug": "image_emb", "text": "caption_emb", "text_aug": "caption_emb"}


def matrix(part, seed=0):
    rows = N if part.startswith("image") else CAPTIONS
    return np.random.default_rng([seed, *part.encode()]).normal(size=(rows, 4 if part.startswith("image") else 3))


def annotations(tag):
    return {
        "dataset": tag,
        "images": [
            {
                "filename": f"{i}.tif",
                "classcode": 20 - i // 2,
                "sentences": [{"raw": f"{tag} image {i} sentence {j}", "aug_rb": "x"} for j in range(count)],
            }
            for i, count in enumerate(COUNTS)
        ],
    }


@pytest.fixture
def write(tmp_path):
    """Write the authors' files of one data set; ``skip`` leaves parts out."""

    def files(tag="UCM", skip=(), seed=0, folder="ucm"):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        for part, name in NAMES.items():
            if part not in skip:
                with h5py.File(place / name.format(tag), "w") as opened:
                    opened[DATASET[part]] = matrix(part, seed)
        if "json" not in skip:
            (place / f"augmented_{tag}.json").write_text(json.dumps(annotations(tag)), encoding="utf-8")
        return place

    return files


def test_a_folder_is_read_whole(write):
    table = read_authors_files(write())
    np.testing.assert_array_equal(table.image, matrix("image").astype(np.float32))
    np.testing.assert_array_equal(table.text, matrix("text").astype(np.float32))
    np.testing.assert_array_equal(table.image_views[0], matrix("image_aug").astype(np.float32))
    np.testing.assert_array_equal(table.text_views[0], matrix("text_aug").astype(np.float32))
    assert len(table.image_views) == len(table.text_views) == 1
    assert table.labels.tolist() == [20, 20, 19, 19, 18, 18]
    assert np.bincount(table.caption_image).tolist() == COUNTS
    assert table.captions[5] == "UCM image 1 sentence 0"
    assert table.filenames == [f"{i}.tif" for i in range(N)]
    assert table.split is table.trusted is table.wrong is None


@pytest.mark.parametrize("file", [ORIGINAL.format("UCM"), "caption_emb_UCM_aug_rb.h5", "augmented_UCM.json"])
def test_any_file_of_the_folder_stands_for_all(write, file):
    folder = write()
    of_file, of_folder = read_authors_files(folder / file), read_authors_files(folder)
    assert of_file.fingerprint == of_folder.fingerprint
    assert of_file.name == "ucm"


@pytest.mark.parametrize("tag", ["UCM", "RSICD"])
@pytest.mark.parametrize("file", [ORIGINAL, "augmented_{}.json"])
def test_a_file_chooses_between_two_data_sets_in_one_folder(write, tag, file):
    write("UCM", seed=1, folder="both")
    folder = write("RSICD", seed=2, folder="both")
    table = read_authors_files(folder / file.format(tag))
    np.testing.assert_array_equal(table.image, matrix("image", 1 if tag == "UCM" else 2).astype(np.float32))
    assert table.captions[0].startswith(tag)
    assert table.name == tag.lower()


def test_a_folder_of_two_data_sets_is_ambiguous_and_names_the_files(write):
    write("UCM", folder="both")
    folder = write("RSICD", folder="both")
    with pytest.raises(HarnessError, match=r"--features .*both: expected one .*RSICD.*UCM"):
        read_authors_files(folder)


def test_views_are_left_out_where_no_augmented_file_is_there(write):
    table = read_authors_files(write(skip=("image_aug", "text_aug")))
    assert table.image_views == table.text_views == ()


def test_of_several_augmented_files_the_papers_choice_is_taken(write):
    folder = write()
    for name in ("image_emb_UCM_aug_rotation.h5", "image_emb_UCM_aug_blur.h5", "caption_emb_UCM_aug_bt.h5"):
        with h5py.File(folder / name, "w") as opened:
            opened["image_emb" if name.startswith("image") else "caption_emb"] = matrix(name)
    table = read_authors_files(folder)
    np.testing.assert_array_equal(table.image_views[0], matrix("image_aug").astype(np.float32))
    np.testing.assert_array_equal(table.text_views[0], matrix("text_aug").astype(np.float32))
    assert len(table.image_views) == len(table.text_views) == 1


def test_the_command_line_option_takes_folder_and_files(write):
    folder = write()
    for path in (folder, folder / ORIGINAL.format("UCM"), folder / "augmented_UCM.json"):
        source = features_source(path, None, 0)
        assert source.name == "ucm"
        assert len(source) == N


def test_the_fingerprint_changes_with_features_and_annotations(write):
    folder = write()
    before = read_authors_files(folder).fingerprint
    changed = annotations("UCM")
    changed["images"][2]["sentences"][0]["raw"] = "another sentence"
    (folder / "augmented_UCM.json").write_text(json.dumps(changed), encoding="utf-8")
    after = read_authors_files(folder).fingerprint
    assert after != before
    with h5py.File(folder / NAMES["text"].format("UCM"), "r+") as opened:
        opened["caption_emb"][0, 0] = 7
    assert read_authors_files(folder).fingerprint not in (before, after)


# --- missing and damaged pieces ---


def refused(path, says):
    with pytest.raises(HarnessError) as error:
        read_authors_files(path)
    message = str(error.value)
    assert message.startswith(f"--features {path}")
    assert re.search(says, message), message


def test_a_missing_folder_is_named(tmp_path):
    refused(tmp_path / "none", "no such file or folder")


@pytest.mark.parametrize(
    ("skip", "says"),
    [
        (("image", "image_aug"), "'image_emb' of the original images .*found none"),
        (("text", "text_aug"), "'caption_emb' of the original texts .*found none"),
        (("json",), "expected one JSON file .*found none"),
        (tuple(NAMES), "'image_emb'"),
    ],
)
def test_a_missing_piece_is_named(write, skip, says):
    refused(write(skip=skip), says)


def test_two_original_files_are_ambiguous_and_both_named(write):
    folder = write()
    with h5py.File(folder / "image_emb_UCM_other.h5", "w") as opened:
        opened["image_emb"] = matrix("image")
    refused(folder, r"found image_emb_UCM_aug_center_crop_only\.h5, image_emb_UCM_other\.h5")


def test_two_json_files_are_ambiguous_and_both_named(write):
    folder = write()
    (folder / "other.json").write_text("{}", encoding="utf-8")
    refused(folder, r"found augmented_UCM\.json, other\.json")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "it is empty"), (b"no hdf5 at all", "it is text"), (b"<html></html>", "it is a web page"), (b"\0\1\2", "")],
)
def test_a_damaged_hdf5_file_is_named(write, content, says):
    folder = write()
    (folder / NAMES["text"].format("UCM")).write_bytes(content)
    refused(folder, rf"caption_emb_UCM_aug\.h5 cannot be read as HDF5: {says}")


def test_a_hdf5_file_cut_off_is_named(write):
    folder = write()
    file = folder / NAMES["image"].format("UCM")
    file.write_bytes(file.read_bytes()[:-200])
    refused(folder, r"aug_center_crop_only\.h5")


def test_a_group_in_place_of_the_matrix_is_named(write):
    # once: h5py raises TypeError there, which is not caught.
    folder = write(skip=("image",))
    with h5py.File(folder / NAMES["image"].format("UCM"), "w") as opened:
        opened.create_group("image_emb")
    refused(folder, "image_emb")


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_a_damaged_json_file_is_named(write, content):
    folder = write()
    (folder / "augmented_UCM.json").write_text(content, encoding="utf-8")
    refused(folder, r"augmented_UCM\.json cannot be read as JSON")


@pytest.mark.parametrize(
    "change",
    [
        lambda images: images[0].pop("classcode"),
        lambda images: images[3].pop("sentences"),
        lambda images: images[3]["sentences"][0].pop("raw"),
        lambda images: images[1].update(classcode="water"),
        lambda images: images[1].update(classcode=None),
        lambda images: images[1].update(sentences=3),
    ],
    ids=["no classcode", "no sentences", "no raw", "classcode of letters", "classcode null", "sentences a number"],
)
def test_annotations_without_the_keys_needed_say_which_are_needed(write, change):
    folder, content = write(), annotations("UCM")
    change(content["images"])
    (folder / "augmented_UCM.json").write_text(json.dumps(content), encoding="utf-8")
    refused(folder, r"images\[\]\.classcode or images\[\]\.sentences\[\]\.raw")


@pytest.mark.parametrize("content", ["{}", "[]", "3", '{"images": {"a": 1}}', '{"images": ["a.tif"]}'])
def test_json_of_another_layout_is_refused(write, content):
    folder = write()
    (folder / "augmented_UCM.json").write_text(content, encoding="utf-8")
    refused(folder, r"images\[\]\.classcode")


def test_more_captions_in_the_json_than_rows_of_text_are_refused(write):
    folder, content = write(), annotations("UCM")
    content["images"][5]["sentences"].append({"raw": "one more"})
    (folder / "augmented_UCM.json").write_text(json.dumps(content), encoding="utf-8")
    refused(folder, r"text \(15, 3\) and caption_image \(16,\) must have one row for each caption")


def test_an_image_without_sentences_is_refused(write):
    folder, content = write(), annotations("UCM")
    content["images"][4]["sentences"] = []
    content["images"][5]["sentences"] *= 2
    (folder / "augmented_UCM.json").write_text(json.dumps(content), encoding="utf-8")
    refused(folder, "1 of 6 images have no caption, the first is image 4")


def test_an_augmented_file_of_another_size_is_refused(write):
    folder = write(skip=("image_aug",))
    with h5py.File(folder / NAMES["image_aug"].format("UCM"), "w") as opened:
        opened["image_emb"] = matrix("image")[:-1]
    refused(folder, "image_aug has shape")
