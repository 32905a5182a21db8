"""What can be wrong with published files, and the one sentence for each."""

from __future__ import annotations

import json

import numpy as np
import pytest
from layouts.matlab_writer import write_v5, write_v73
from layouts.miniatures import MINIATURES, REGISTRY, pixels

from harness.data.features.sources import read_dataset
from harness.data.raw import RawDataset
from harness.errors import HarnessError


@pytest.fixture
def changed(tmp_path):
    """``changed("nwpu", "NWPU-Captions/dataset_nwpu.json", edit)``: what the reader says to a changed file."""

    def change(name: str, path: str, edit) -> str:
        root = tmp_path / "data"
        if not root.exists():
            MINIATURES[name].write(root)
        file = root / path
        if path.endswith(".json"):
            content = json.loads(file.read_text(encoding="utf-8-sig"))
            file.write_text(json.dumps(edit(content)))
        elif path.endswith(".mat"):
            edit(file)
        else:
            file.write_bytes(edit(file.read_bytes()))
        with pytest.raises(HarnessError) as caught:
            read_dataset(REGISTRY, MINIATURES[name].card, root)
        said = str(caught.value)
        assert "\n" not in said
        assert said.endswith((".", "?"))
        return said.replace(f"{root}/", "")

    return change


def entry(number, **keys):
    def edit(content):
        for key, value in keys.items():
            if value is ...:
                del content["images"][number][key]
            else:
                content["images"][number][key] = value
        return content

    return edit


RSICD, UCM, NWPU = "RSICD/dataset_rsicd.json", "UCM_captions/dataset.json", "NWPU-Captions/dataset_nwpu.json"


@pytest.mark.parametrize(
    ("name", "path", "edit", "says"),
    [
        ("rsicd", RSICD, entry(1, filename="airport_1.jpg"), "image 'airport_1.jpg' is there twice"),
        ("rsicd", RSICD, entry(1, sentences=[{"raw": " "}]), "images[1] ('airport_12.jpg') has no caption"),
        ("rsicd", RSICD, entry(1, sentences=[{"raw": None}]), "images[1] ('airport_12.jpg') has no caption"),
        ("rsicd", RSICD, entry(1, filename=None), "images[1].filename is None, expected the name of an image"),
        ("rsicd", RSICD, entry(1, filename="./airport_1.jpg"), "RSICD/RSICD_images/airport_1.jpg' is there twice"),
        ("rsicd", RSICD, entry(1, sentences=...), "images[1] lacks 'sentences'"),
        ("rsicd", RSICD, entry(1, filename="../../etc/passwd"), "image name: '../../etc/passwd' is no path below its"),
        ("rsicd", RSICD, entry(1, filename="/etc/passwd"), "image name: '/etc/passwd' is no path below"),
        ("rsicd", RSICD, lambda content: {"annotations": content["images"]}, "has no list 'images'"),
        ("ucm", UCM, entry(4, classcode=3), "images[4].classcode is 3, and 'ucm' has 3 classes (0 to 2)"),
        ("ucm", UCM, entry(4, classcode=-1), "images[4].classcode is -1"),
        ("ucm", UCM, entry(4, classcode=True), "images[4].classcode is True"),
        ("nwpu", NWPU, lambda content: {}, "holds no classes"),
        ("nwpu", NWPU, lambda content: {**content, "sea_ice": 3}, "'sea_ice' is no list of images"),
        ("nwpu", NWPU, lambda content: {**content, "sea_ice": [{"filename": "x"}]}, "'sea_ice'[0] lacks 'raw'"),
        ("nwpu", NWPU,
         lambda content: {**content, "sea_ice": [{"filename": "x", "raw": ""}]}, "'sea_ice/x' has no caption"),
        ("nwpu", NWPU, lambda content: {"airplane": content["airplane"] * 2}, "airplane_001.jpg' is there twice"),
        ("mscoco", "mscoco/annotations/captions_train2014.json",
         lambda content: {**content, "images": content["images"] * 2}, "image id 1 is there twice"),
        ("mscoco", "mscoco/annotations/captions_train2014.json",
         lambda content: {**content, "annotations": []}, "image 'COCO_train2014_000000000001.jpg' has no caption"),
        ("mscoco", "mscoco/annotations/captions_val2014.json",
         lambda content: {**content, "annotations": [{"caption": "x"}]}, "annotations[0] lacks 'image_id' or "),
        ("mscoco", "mscoco/annotations/instances_val2014.json",
         lambda content: {"annotations": [{"image_id": 4}]}, "annotations[0] lacks 'image_id' or 'category_id'"),
        ("wiki", "wikipedia_dataset/testset_txt_img_cat.list",
         lambda content: content.replace(b"\t3\r", b"\t11\r"), "line 2: category 11 is out of range, expected 1 to 10"),
        ("wiki", "wikipedia_dataset/testset_txt_img_cat.list",
         lambda content: content.replace(b"\t3\r", b"\r"), "line 2: expected text id, image id and category, not"),
        ("wiki", "wikipedia_dataset/testset_txt_img_cat.list",
         lambda content: content[: content.index(b"\n") + 1], "testset_txt_img_cat.list (1, 1) must"),
        ("nuswide-raw", "nuswide/Groundtruth/AllLabels/Labels_sky.txt",
         lambda content: content.replace(b"0", b"-1130179", 1), "Labels_sky.txt, line 3: '-1130179' is no 0 or 1"),
        ("nuswide-raw", "nuswide/Groundtruth/AllLabels/Labels_sky.txt",
         lambda content: b"1\n" + content, "Labels_sky.txt has 6 lines, and ImageList/Imagelist.txt has 5"),
        ("nuswide-raw", "nuswide/NUS_WID_Tags/AllTags1k.dat",
         lambda content: content.replace(b"1\t0\t1\t", b"1\t0\t", 1), "AllTags1k.dat, line 1: expected 3 numbers"),
        ("nuswide-raw", "nuswide/NUS_WID_Tags/AllTags1k.dat",
         lambda content: content + b"0\t0\t0\t\n", "AllTags1k.dat has 6 lines"),
        ("mirflickr-raw", "mirflickr25k/mirflickr25k_annotations_v080/sea.txt",
         lambda content: content + b"im7", "sea.txt: 'im7' is no number of an image"),
        ("iaprtc12", "iaprtc12/annotations_complete_eng/00/25.eng",
         lambda content: b"<DOC></DOC>", "25.eng has no caption"),
        ("iaprtc12", "iaprtc12/saiapr_tc-12/00/labels.txt",
         lambda content: content + b"25 1\n", "line 4: expected image, region and concept, not '25 1'"),
        ("mirflickr-mat", "mirflickr25k/LAll/mirflickr25k-lall.mat",
         lambda file: write_v5(file, {"LAll": np.full((5, 3), 2)}), "LAll[0, 0] is 2, expected 0 or 1"),
        ("mirflickr-mat", "mirflickr25k/LAll/mirflickr25k-lall.mat",
         lambda file: write_v5(file, {"LAll": np.ones((4, 3))}), "YAll (5, 4) and LAll (4, 3) must have"),
        ("mirflickr-mat", "mirflickr25k/IAll/mirflickr25k-iall.mat",
         lambda file: write_v73(file, {"IAll": pixels()[..., :3]}), "IAll has 3 images, and"),
        ("mirflickr-mat", "mirflickr25k/IAll/mirflickr25k-iall.mat",
         lambda file: write_v5(file, {"IAll": pixels()}), "is not of version 7.3"),
        ("mirflickr-mat", "mirflickr25k/copy.mat",
         lambda file: write_v5(file.with_name("mirflickr25k-copy.mat"), {"LAll": np.ones((5, 3))}), "hold LAll"),
        ("iaprtc12-mat", "iaprtc12/IAPRTC-12.mat",
         lambda file: write_v5(file, {**dict.fromkeys(("T_tr", "I_te", "T_te"), np.ones((2, 2))),
                                      "I_tr": np.ones((3, 2)), "L_tr": np.ones((2, 2)), "L_te": np.ones((2, 2))}),
         "IAPRTC-12.mat: I_tr (3, 2), T_tr (2, 2) and L_tr (2, 2) must have one row for each item"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_the_place(changed, name, path, edit, says):
    assert says in changed(name, path, edit)


CSV = "metadata.csv"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (
            "picture,caption\na,b\n",
            "has no column 'image' (or file_name, filename, path, image_path); it has 'picture', 'caption'",
        ),
        ("image,words\na,b\n", "has no column 'caption' (or text, sentence); it has 'image', 'words'"),
        ("image,file_name,caption\n", "two columns mean the image"),
        ("image,caption\n", "has no rows"),
        (
            "image,caption\nb.jpg,one, two\n",
            "line 2: 3 fields, and the header has 2; a caption with ',' in it needs quotes",
        ),
        ("image,caption\nb.jpg,\n", "line 2 ('b.jpg') has no caption"),
        ("image,caption\n,x\n", "line 2: the image is '', expected the name of an image"),
        ("image,caption,wrong\nb.jpg,x,maybe\n", "line 2: wrong is 'maybe', expected one of 1, 0"),
        ("image,caption,split\nb.jpg,x,dev\n", "line 2: split 'dev' is none of train, val"),
        ("image,caption,split\nb.jpg,x,train\nd.jpg,x,\n", "image 'd.jpg' has no split, and others have one"),
        (
            "image,caption,label\nb.jpg,x,sea\nb.jpg,y,sky\n",
            "line 3: label 'sky' contradicts line 2, a row of the same",
        ),
        ("image,caption,trusted,wrong\nb.jpg,x,1,1\n", "image 'b.jpg' is both trusted and wrong"),
        ("image,caption\nnone.jpg,x\nb.jpg,y\n", "1 of 2 images is missing: none.jpg; `harness data check` lists"),
        ('image,caption\nb.jpg,"x\n', "line 2: unexpected end of data"),
    ],
)
def test_a_wrong_row_of_a_table_is_named_by_its_line(changed, table, says):
    assert says in changed("folder-csv", CSV, lambda content: table.encode())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"\n{", "line 4: no JSON"),
        (b"\n[1]", "line 4: expected an object"),
        (b'\n{"text": "x"}', "has no column 'image'"),
    ],
)
def test_a_wrong_line_of_json_is_named(changed, line, says):
    assert says in changed("folder-jsonl", "metadata.jsonl", lambda content: content + line)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_what_separates_the_columns_is_seen_in_the_header(tmp_path, separator):
    MINIATURES["folder-csv"].write(tmp_path)
    rows = [["image", "caption", "labels"], ["b.jpg", "x", "sky|sea"], ["d.jpg", "y", "sea"]]
    (tmp_path / CSV).write_text("\n".join(separator.join(row) for row in rows))
    data = read_dataset(REGISTRY, MINIATURES["folder-csv"].card, tmp_path)
    assert isinstance(data, RawDataset)
    assert data.labels.tolist() == [[True, True], [True, False]]


def test_two_tables_in_one_folder_must_be_told_apart(tmp_path):
    MINIATURES["folder-csv"].write(tmp_path)
    (tmp_path / "captions.csv").write_text("image,caption\nb.jpg,x\n")
    card = MINIATURES["folder-csv"].card
    with pytest.raises(HarnessError, match=r"holds metadata\.csv and captions\.csv; --dataset folder:FILE names"):
        read_dataset(REGISTRY, card, tmp_path)
    named = card.model_copy(update={"layout": card.layout.model_copy(update={"annotations": "captions.csv"})})
    assert len(read_dataset(REGISTRY, named, tmp_path)) == 1


def test_pixels_of_a_matlab_file_come_upright_and_survive_being_sent_to_a_process(tmp_path):
    import pickle

    MINIATURES["mirflickr-mat"].write(tmp_path)
    data = read_dataset(REGISTRY, MINIATURES["mirflickr-mat"].card, tmp_path)
    for number in range(5):
        np.testing.assert_array_equal(np.asarray(data.images[number]), pixels()[..., number])
    again = pickle.loads(pickle.dumps(data.images))
    np.testing.assert_array_equal(np.asarray(again[2]), pixels()[..., 2])


def test_tags_of_a_matlab_file_are_the_text_features(tmp_path):
    MINIATURES["mirflickr-mat"].write(tmp_path)
    data = read_dataset(REGISTRY, MINIATURES["mirflickr-mat"].card, tmp_path)
    assert data.text_features.tolist()[0] == [1, 0, 0, 1]
    assert data.captions[2] == ""
    part = data.subset(np.array([3, 0]))
    assert part.text_features[part.caption_image.argsort()].tolist() == [[1, 1, 1, 1], [1, 0, 0, 1]]


def test_instances_are_found_in_the_bytes_as_in_the_json(tmp_path):
    """The fast way of reading MS COCO's instances, and the plain one for files in another order of keys."""
    from harness_plugins.layouts.mscoco import _categories

    MINIATURES["mscoco"].write(tmp_path)
    path = tmp_path / "mscoco" / "annotations" / "instances_val2014.json"
    fast = _categories(path)
    content = json.loads(path.read_text())
    content["annotations"] = [dict(sorted(note.items(), reverse=True)) for note in content["annotations"]]
    path.write_text(json.dumps(content))
    assert _categories(path) == fast == {4: {1}, 5: {90}}


def test_the_choice_of_what_becomes_of_images_without_a_class(tmp_path):
    miniature = MINIATURES["rsicd"]
    miniature.write(tmp_path)

    def read(word):
        card = miniature.card.model_copy(update={"reading": {"classes": "file-name", "unlabelled": word}})
        return read_dataset(REGISTRY, card, tmp_path)

    assert read("class").unlabelled is None
    assert read("class").labels.tolist() == [0, 0, 1, 4, 4, 0, 2, 2, 3, 4]
    assert read("train").labels.tolist() == [0, 0, 1, -1, -1, 0, 2, 2, 3, -1]
    with pytest.raises(HarnessError, match="3 of 10 images have no class, and its card refuses that"):
        read("refuse")
    with pytest.raises(HarnessError, match="did you mean 'train'"):
        read("trian")
