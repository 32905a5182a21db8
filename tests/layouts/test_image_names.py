"""Names of images in the files of strangers: what they mean, and where they must not lead."""

from __future__ import annotations

import json
import unicodedata

import pytest
from harness_plugins.layouts.image_names import image_paths
from layouts.miniatures import MINIATURES, REGISTRY, card, picture

from harness.data.features.sources import read_dataset
from harness.data.raw import paths_of
from harness.errors import HarnessError

NFC, NFD = (unicodedata.normalize(form, "Häfen/é 0.png") for form in ("NFC", "NFD"))


@pytest.fixture
def folder(tmp_path):
    picture(tmp_path / "images" / "0.png", 0)
    picture(tmp_path / NFD, 1)
    return tmp_path


def paths(folder, *names):
    return image_paths(names, [folder, folder / "images"], folder / "table.csv")


def test_all_spellings_of_a_file_are_one_path(folder):
    spellings = ("0.png", "./0.png", "images/0.png", "./images//0.png", "images/./0.png")
    assert set(paths(folder, *spellings)) == {folder / "images" / "0.png"}


def test_another_unicode_form_is_found_and_told_once(folder, caplog):
    assert paths(folder, NFC, NFC, NFD) == [folder / NFD] * 3
    (record,) = caplog.records
    assert "names are written in another Unicode form than the files, which are taken" in record.getMessage()


def test_a_file_that_is_not_there_belongs_into_the_first_folder(folder):
    assert paths(folder, "x/1.png", "0.PNG") == [folder / "x" / "1.png", folder / "0.PNG"]


def test_links_of_the_user_are_followed(folder, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    picture(store / "blob.png", 3)
    (folder / "linked.png").symlink_to(store / "blob.png")
    assert paths(folder, "linked.png") == [folder / "linked.png"]


HOSTILE = {
    "../secret.png": "is no path below its folder",
    "images/../../secret.png": "is no path below its folder",
    "/etc/passwd": "is no path below its folder",
    "..": "is no path below its folder",
    "images/": "is no name of a file",
    "images/.": "is no name of a file",
    "a\0b.png": "holds control characters",
    "\ud800.png": "is no valid Unicode",
    "x" * 300 + ".png": "is longer than a path may be",
    "x/" * 2500 + "y.png": "is longer than a path may be",
}


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_that_lead_elsewhere_or_nowhere_are_refused_in_a_sentence(folder, name):
    with pytest.raises(HarnessError) as caught:
        paths(folder, name)
    said = str(caught.value)
    assert HOSTILE[name] in said
    assert said.startswith(f"{folder}/table.csv: image name")
    assert len(said.replace(str(folder), "")) < 300


def named(content, name):
    """The annotation of a miniature, with another name for one image."""
    if isinstance(content, dict) and "images" in content:
        entry = content["images"][0]
        entry["file_name" if "file_name" in entry else "filename"] = name
    elif isinstance(content, dict):
        content["airplane"][0]["filename"] = name
    return content


READERS = {
    "ucm": "UCM_captions/dataset.json",
    "nwpu": "NWPU-Captions/dataset_nwpu.json",
    "mscoco": "mscoco/annotations/captions_train2014.json",
    "folder-csv": "metadata.csv",
    "folder-jsonl": "metadata.jsonl",
    "nuswide-raw": "nuswide/ImageList/Imagelist.txt",
}


@pytest.mark.parametrize("reader", READERS)
def test_no_reader_follows_a_name_out_of_the_folder(tmp_path, reader):
    root = tmp_path / "root"
    MINIATURES[reader].write(root)
    picture(tmp_path / "secret.png", 9)
    file, name = root / READERS[reader], "../" * 3 + "secret.png"
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix == ".json":
        text = json.dumps(named(json.loads(text), name))
    else:
        text = text.replace("b.jpg", name).replace("p.png", name).replace("actor\\0000_0.jpg", name)
    file.write_text(text)
    with pytest.raises(HarnessError, match="secret\\.png' is no path below its folder"):
        read_dataset(REGISTRY, MINIATURES[reader].card, root)


def test_one_file_named_in_three_ways_is_one_image_with_three_captions(tmp_path):
    for number in range(3):
        picture(tmp_path / "images" / f"{number}.png", number)
    rows = [f"{way}{number}.png,words {way}{number},a" for number in range(3) for way in ("", "images/", "./images/")]
    (tmp_path / "metadata.csv").write_text("\n".join(["image,caption,label", *rows]))
    data = read_dataset(REGISTRY, card("folder"), tmp_path)
    assert data.filenames == ["0.png", "1.png", "2.png"]
    assert data.caption_image.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert paths_of(data.images) == [tmp_path / "images" / f"{number}.png" for number in range(3)]
