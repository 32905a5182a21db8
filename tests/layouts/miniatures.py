"""Every layout in miniature, with the quirks of the real one: written by the tests, read by the shared contract."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from layouts.matlab_writer import write_v5, write_v73
from PIL import Image

from harness.data.cards import DatasetCard, read_card
from harness.plugin.loading import load_registry

REGISTRY = load_registry()


@dataclass(frozen=True)
class Miniature:
    """A layout.

    Attributes:
        card: Its card, with the numbers of the miniature where they matter.
        write: Writes it below a data root.
        needed: Files or folders below the root without each of which the reader must refuse, by name.
        texts: Text files in UTF-8.
        main: A file that is garbage in one of the tests.
        expected: Facts: images, captions, labels (of the first image), parts, unlabelled.
    """

    card: DatasetCard
    write: Callable[[Path], None]
    needed: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    main: str = ""
    expected: dict[str, Any] = field(default_factory=dict)


def card(name: str, **changed: Any) -> DatasetCard:
    return read_card(REGISTRY.get("dataset", name).card).model_copy(update=changed)


def picture(path: Path, number: int, size: tuple[int, int] = (10, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def text(path: Path, content: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding))


def sentences(number: int, texts: list[str]) -> list[dict[str, Any]]:
    return [
        {"tokens": raw.split(), "raw": raw, "imgid": number, "sentid": 5 * number + place}
        for place, raw in enumerate(texts)
    ]


PARTS = ["train", "train", "train", "val", "test", "test", "train", "train", "train", "test"]


def ucm(root: Path) -> None:
    folder = root / "UCM_captions"
    entries = []
    for number in range(10):
        picture(folder / "imgs" / f"{number + 1}.tif", number)
        entries.append(
            {
                "classcode": number % 3, "classname": f"class {number % 3}", "filename": f"{number + 1}.tif",
                "imgid": number, "sentids": [], "sentences": sentences(number, ["There is a café .", " Trees . "]),
                "split": PARTS[number],
            }
        )  # fmt: skip
    content = {"images": entries, "dataset": "UCM", "classes": [], "num_classes": 3}
    text(folder / "dataset.json", json.dumps(content, ensure_ascii=False))


RSICD_NAMES = ["airport_1", "airport_12", "baseballfield_3", "00012", "00921", "airport_4", "beach_1", "beach_2",
               "denseresidential_410", "00001"]  # fmt: skip


def rsicd(root: Path, annotations: str = "dataset_rsicd.json") -> None:
    folder = root / "RSICD"
    entries = []
    for number, name in enumerate(RSICD_NAMES):
        picture(folder / "RSICD_images" / f"{name}.jpg", number)
        entries.append(
            {
                "filename": f"{name}.jpg", "imgid": number, "sentids": [], "split": PARTS[number],
                "sentences": sentences(number, ["many planes are parked .", "many planes are parked ."]),
            }
        )  # fmt: skip
    text(folder / annotations, json.dumps({"images": entries, "dataset": "rsicd"}))


def rsitmd(root: Path) -> None:
    """One sentence is blank, as four were in the first release."""
    folder = root / "RSITMD"
    entries = []
    for number, name in enumerate(["airport_1", "airport_2", "boat_7", "storagetanks_30"]):
        picture(folder / "images" / f"{name}.tif", number)
        texts = ["a plane", " " if number == 1 else "a field"]
        entries.append({"filename": f"{name}.tif", "imgid": number, "sentences": sentences(number, texts),
                        "split": "train" if number < 3 else "test", "keywords": ["plane"]})  # fmt: skip
    text(root / "RSITMD" / "dataset_RSITMD.json", json.dumps({"images": entries, "dataset": "rsitmd"}))


def sydney(root: Path) -> None:
    folder = root / "Sydney_captions"
    entries = []
    for number in range(4):
        picture(folder / "imgs" / f"{number + 1}.tif", number)
        entries.append({"filename": f"{number + 1}.tif", "imgid": number, "split": PARTS[number],
                        "sentences": sentences(number, ["a lawn"])})  # fmt: skip
    text(folder / "dataset.json", json.dumps({"images": entries}))


def flickr(root: Path) -> None:
    """Karpathy's COCO file has a file path beside the file name, and a part restval."""
    entries = []
    for number in range(4):
        where = "val2014" if number % 2 else "train2014"
        picture(root / "images" / where / f"COCO_{where}_{number:012}.jpg", number)
        entries.append({"filepath": where, "filename": f"COCO_{where}_{number:012}.jpg", "imgid": number,
                        "sentences": sentences(number, ["A man rides ."]),
                        "split": ["train", "restval", "val", "test"][number], "cocoid": number})  # fmt: skip
    text(root / "dataset_coco.json", "\ufeff" + json.dumps({"images": entries, "dataset": "coco"}))


def nwpu(root: Path) -> None:
    folder = root / "NWPU-Captions"
    content: dict[str, list] = {}
    for place, name in enumerate(["airplane", "basketball_court", "sea_ice"]):
        content[name] = []
        for number in range(1, 4):
            picture(folder / "NWPU_images" / name / f"{name}_{number:03}.jpg", 10 * place + number)
            content[name].append({
                "filename": f"{name}_{number:03}.jpg", "imgid": number, "split": ["train", "val", "test"][number - 1],
                "raw": "a", "raw_1": "b ", "raw_2": "c", "raw_3": "d", "raw_4": "" if number == 2 else "e",
            })  # fmt: skip
    text(folder / "dataset_nwpu.json", json.dumps(content))


def mirflickr_raw(root: Path) -> None:
    """im3 has no concept, im4 no frequent tag; tags have Windows line ends; im10 sorts after im2."""
    folder = root / "mirflickr25k"
    tags = {1: "sky\r\nnikon\r\n", 2: "nikon\r\nsea\r\n", 3: "sky\r\n", 4: "rare\r\n", 10: "sea\r\nsky\r\n"}
    for number, content in tags.items():
        picture(folder / "mirflickr" / f"im{number}.jpg", number)
        text(folder / "mirflickr" / "meta" / "tags" / f"tags{number}.txt", content)
    notes = folder / "mirflickr25k_annotations_v080"
    text(notes / "README.txt", "MIRFLICKR annotations")
    text(notes / "plant_life.txt", "1\n10\n")
    text(notes / "sea.txt", "2\r\n10\r\n4\r\n")
    text(notes / "sea_r1.txt", "3\n")


LABELS = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0]], dtype=np.uint8)
BAGS = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 0]], dtype=np.uint8)


def pixels() -> np.ndarray:
    """(height, width, 3, n)."""
    return np.random.default_rng(0).integers(0, 256, (6, 4, 3, len(LABELS)), dtype=np.uint8)


def mirflickr_mat(root: Path) -> None:
    """In folders of their own, as the archive has them: pixels in 7.3, the others in the version before."""
    folder = root / "mirflickr25k"
    write_v73(folder / "IAll" / "mirflickr25k-iall.mat", {"IAll": pixels()})
    write_v5(folder / "YAll" / "mirflickr25k-yall.mat", {"YAll": BAGS})
    write_v5(folder / "LAll" / "mirflickr25k-lall.mat", {"LAll": LABELS})


def mirflickr_names(root: Path) -> None:
    folder = root / "mirflickr25k"
    names = [f"im{number}.jpg" for number in (1, 2, 3, 10, 11)]
    for number, name in enumerate(names):
        picture(folder / "mirflickr" / name, number)
    write_v5(folder / "FAll" / "mirflickr25k-fall.mat", {"FAll": names})
    write_v5(folder / "YAll" / "mirflickr25k-yall.mat", {"YAll": BAGS})
    write_v73(folder / "LAll" / "mirflickr25k-lall.mat", {"LAll": LABELS})


def mirflickr_merged(root: Path) -> None:
    """All in one file, the pixels called "images"."""
    write_v73(
        root / "mirflickr25k" / "FLICKR-25K.mat",
        {"images": pixels(), "YAll": BAGS.astype(float), "LAll": LABELS.astype(float)},
    )


def two_parts(path: Path, labels: np.ndarray = LABELS) -> None:
    """I_tr, T_tr, L_tr, I_te, T_te, L_te: six items over three."""
    random = np.random.default_rng(4)
    places = {"tr": [0, 1, 2, 3, 4, 0], "te": [2, 1, 0]}
    write_v5(
        path,
        {f"{kind}_{part}": random.random((len(rows), {"I": 7, "T": 5}[kind])) if kind != "L" else labels[rows]
         for part, rows in places.items() for kind in ("I", "T", "L")},
    )  # fmt: skip


def nuswide_raw(root: Path) -> None:
    """Windows separators and line ends, a tab at the end of each row of tags; "sky" and "water" are the top two."""
    folder = root / "nuswide"
    names = [f"actor\\{number:04}_{number}.jpg" for number in range(5)]
    for number, name in enumerate(names):
        picture(folder / "Flickr" / name.replace("\\", "/"), number)
    text(folder / "ImageList" / "Imagelist.txt", "\r\n".join(names) + "\r\n")
    text(folder / "ImageList" / "TrainImagelist.txt", "\r\n".join(names[:3]) + "\r\n")
    text(folder / "ImageList" / "TestImagelist.txt", "\r\n".join(names[3:]) + "\r\n")
    for concept, column in (("sky", "11010"), ("water", "01010"), ("airport", "00001")):
        text(folder / "Groundtruth" / "AllLabels" / f"Labels_{concept}.txt", "\r\n".join(column) + "\r\n")
    text(folder / "NUS_WID_Tags" / "TagList1k.txt", "nature\nsky\nblue\n")
    rows = ["1\t0\t1\t", "0\t0\t0\t", "1\t1\t1\t", "0\t1\t0\t", "0\t0\t1\t"]
    text(folder / "NUS_WID_Tags" / "AllTags1k.dat", "\r\n".join(rows) + "\r\n")


def nuswide_mat(root: Path) -> None:
    """CNN features in place of pixels; the files of the other set of concepts lie beside."""
    folder = root / "nuswide"
    features = np.random.default_rng(1).normal(size=(5, 7))
    write_v73(folder / "nus-wide-tc10-xall-vgg.mat", {"XAll": features})
    write_v73(folder / "nus-wide-tc10-yall.mat", {"YAll": BAGS.astype(float)})
    write_v5(folder / "nus-wide-tc10-lall.mat", {"LAll": LABELS})
    write_v5(folder / "nus-wide-tc21-lall.mat", {"LAll": LABELS[:4]})


def mscoco(root: Path) -> None:
    """Image 3 of the training part has no instance; one caption ends with a line break."""
    folder = root / "mscoco"
    for part, numbers in (("train", (1, 2, 3)), ("val", (4, 5))):
        images, captions, instances = [], [], []
        for number in numbers:
            name = f"COCO_{part}2014_{number:012}.jpg"
            picture(folder / f"{part}2014" / name, number)
            images.append({"license": 5, "file_name": name, "height": 8, "width": 10, "id": number})
            captions += [{"image_id": number, "id": 10 * number + place, "caption": words}
                         for place, words in enumerate(["A bowl on a table.\n", "A cat"])]  # fmt: skip
            categories = {1: (1, 90), 2: (17,), 3: (), 4: (1, 1), 5: (90,)}[number]
            instances += [
                {"segmentation": [[1.5, 2.5]], "area": 1.0, "iscrowd": 0, "image_id": number,
                 "bbox": [1.0, 2.0, 3.0, 4.0], "category_id": category, "id": 100 * number + place}
                for place, category in enumerate(categories)
            ]  # fmt: skip
        captions.reverse()  # the published files are in no order
        notes = folder / "annotations"
        text(notes / f"captions_{part}2014.json", json.dumps({"info": {}, "images": images, "annotations": captions}))
        categories = [{"supercategory": "person", "id": 1, "name": "person"}]
        text(notes / f"instances_{part}2014.json",
             json.dumps({"images": images, "annotations": instances, "categories": categories}))  # fmt: skip


ENG = """<DOC>
<DOCNO>annotations/{place}.eng</DOCNO>
<TITLE>{title}</TITLE>
<DESCRIPTION>{words}</DESCRIPTION>
<NOTES></NOTES>
<LOCATION>Cuzco, Perú</LOCATION>
<DATE>April 2002</DATE>
<IMAGE>images/{place}.jpg</IMAGE>
<THUMBNAIL>thumbnails/{place}.jpg</THUMBNAIL>
</DOC>
"""


def iaprtc12(root: Path) -> None:
    """ISO-8859-1, one description over two lines, one blank; one image has no region."""
    folder = root / "iaprtc12"
    for number, place in enumerate(["00/25", "00/60", "01/1000"]):
        picture(folder / "images" / f"{place}.jpg", number)
        words = ["a photo of a brown\nchurch in Perú;", "  ", "two people"][number]
        content = ENG.format(place=place, title="Plaza de Armas", words=words)
        text(folder / "annotations_complete_eng" / f"{place}.eng", content, "iso-8859-1")
    text(folder / "saiapr_tc-12" / "00" / "labels.txt", "25 1 199\r\n25 2 243\r\n60 1 243\r\n")
    text(folder / "saiapr_tc-12" / "01" / "labels.txt", "")


def iaprtc12_mat(root: Path) -> None:
    random = np.random.default_rng(2)
    write_v5(
        root / "iaprtc12" / "IAPRTC-12.mat",
        {"I_tr": random.normal(size=(4, 6)), "T_tr": random.normal(size=(4, 5)), "L_tr": LABELS[:4],
         "I_te": random.normal(size=(2, 6)), "T_te": random.normal(size=(2, 5)), "L_te": LABELS[:2], "V_tr": 1.0},
    )  # fmt: skip


def paths_mat(root: Path) -> None:
    """Rows of characters, padded with blanks, and paths of the machine on which the files were made."""
    folder = root / "mscoco"
    names = ["COCO_val2014_000000000004.jpg", "b.jpg", "c.jpg"]
    for number, name in enumerate(names):
        picture(folder / "images" / ("val2014" if number == 0 else "other") / name, number)
    places = ["/home/somebody/coco/val2014/" + names[0], "/x/other/b.jpg", "/x/other/c.jpg"]
    write_v5(folder / "index.mat", {"index": np.array(places)})
    write_v5(folder / "caption.mat", {"caption": np.array([["a man", "a longer one"], ["a dog", ""], ["x", "y"]])})
    write_v5(folder / "label.mat", {"category": LABELS[:3]})


def wiki(root: Path) -> None:
    random = np.random.default_rng(3)
    folder = root / "wikipedia_dataset"
    write_v5(
        folder / "raw_features.mat",
        {"I_tr": random.random((6, 128)), "T_tr": random.random((6, 10)),
         "I_te": random.random((3, 128)), "T_te": random.random((3, 10))},
    )  # fmt: skip
    for name, categories in (("trainset", (1, 10, 3, 3, 1, 2)), ("testset", (10, 3, 2))):
        lines = [f"{name}{number}-3\t{name}image{number}\t{category}" for number, category in enumerate(categories)]
        text(folder / f"{name}_txt_img_cat.list", "\r\n".join(lines) + "\r\n")


PAIRS = [
    ("a one.jpg", "a river, wide", "water body", "1", "0", "train"),
    ("b.jpg", "boats\nat sea", "water body", "0", "1", "train"),
    ("a one.jpg", "naïve café", "water body", "1", "0", "train"),
    ("sub/c.jpg", 'the "red" roof', "town", "", "", "test"),
    ("d.jpg", "nothing", "", "0", "0", "val"),
]


def folder_csv(root: Path) -> None:
    """As a spreadsheet writes it: byte order mark, Windows line ends, quotes, a line break in a field, a blank line."""
    for number, name in enumerate(["a one.jpg", "b.jpg", "sub/c.jpg", "d.jpg"]):
        picture(root / name, number)
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow([" Image", "Caption ", "label", "trusted", "wrong", "split", "remark"])
    writer.writerows([(*pair, "x") for pair in PAIRS])
    text(root / "metadata.csv", table.getvalue() + "\r\n", "utf-8-sig")


def folder_jsonl(root: Path) -> None:
    lines = []
    for number, name in enumerate(["p.png", "q.png", "r.png"]):
        picture(root / "images" / name, number)
        labels = [["sky", "sea"], ["sea"], []][number]
        lines.append(json.dumps({"file_name": name, "text": f"words {number}", "labels": labels}))
    text(root / "metadata.jsonl", "\n".join(lines))


UCM_CARD, RSICD_CARD = card("ucm", images=10, classes=3), card("rsicd", images=10)
MIR, COCO, IAPR = card("mirflickr25k", reading={"rarest_tag": 2}), card("mscoco"), card("iaprtc12")
TAGS = "mirflickr25k/mirflickr/meta/tags"
COCO_NOTES = "mscoco/annotations"

MINIATURES = {
    "ucm": Miniature(
        UCM_CARD, ucm, ("UCM_captions/dataset.json", "UCM_captions/imgs", "UCM_captions/imgs/3.tif"),
        ("UCM_captions/dataset.json",), "UCM_captions/dataset.json",
        {"images": 10, "captions": 20, "first": "There is a café .", "label": 0, "parts": PARTS},
    ),
    "rsicd": Miniature(
        RSICD_CARD, rsicd, ("RSICD/dataset_rsicd.json", "RSICD/RSICD_images", "RSICD/RSICD_images/00012.jpg"),
        ("RSICD/dataset_rsicd.json",), "RSICD/dataset_rsicd.json",
        {"images": 10, "captions": 20, "label": 0, "parts": PARTS, "unlabelled": [3, 4, 9]},
    ),
    "rsicd-in-folders": Miniature(
        RSICD_CARD, lambda root: rsicd(root, "annotations_rsicd/dataset_rsicd.json"),
        expected={"images": 10, "captions": 20, "label": 0, "parts": PARTS, "unlabelled": [3, 4, 9]},
    ),
    "rsitmd": Miniature(
        card("rsitmd"), rsitmd, ("RSITMD/dataset_RSITMD.json", "RSITMD/images/boat_7.tif"),
        ("RSITMD/dataset_RSITMD.json",), "RSITMD/dataset_RSITMD.json",
        {"images": 4, "captions": 7, "label": 0, "parts": ["train", "train", "train", "test"]},
    ),
    "sydney": Miniature(
        card("sydney"), sydney, ("Sydney_captions/dataset.json", "Sydney_captions/imgs"),
        ("Sydney_captions/dataset.json",), "Sydney_captions/dataset.json",
        {"images": 4, "captions": 4, "label": -1, "parts": PARTS[:4], "unlabelled": [0, 1, 2, 3]},
    ),
    "karpathy": Miniature(
        card("karpathy"), flickr, ("dataset_coco.json", "images/val2014/COCO_val2014_000000000003.jpg"),
        ("dataset_coco.json",), "dataset_coco.json",
        {"images": 4, "captions": 4, "label": -1, "parts": ["train", "restval", "val", "test"],
         "unlabelled": [0, 1, 2, 3]},
    ),
    "nwpu": Miniature(
        card("nwpu"), nwpu,
        ("NWPU-Captions/dataset_nwpu.json", "NWPU-Captions/NWPU_images",
         "NWPU-Captions/NWPU_images/sea_ice/sea_ice_002.jpg"),
        ("NWPU-Captions/dataset_nwpu.json",), "NWPU-Captions/dataset_nwpu.json",
        {"images": 9, "captions": 42, "first": "a", "label": 0, "parts": ["train", "val", "test"] * 3},
    ),
    "mirflickr-raw": Miniature(
        MIR, mirflickr_raw,
        (TAGS, f"{TAGS}/tags4.txt", "mirflickr25k/mirflickr25k_annotations_v080"), (f"{TAGS}/tags1.txt",), "",
        {"images": 3, "captions": 3, "first": "sky nikon", "label": [True, False], "parts": None},
    ),
    "mirflickr-mat": Miniature(
        MIR, mirflickr_mat, ("mirflickr25k/YAll", "mirflickr25k/LAll/mirflickr25k-lall.mat"), (),
        "mirflickr25k/YAll/mirflickr25k-yall.mat",
        {"images": 5, "captions": 5, "first": "tag0 tag3", "label": [True, False, False]},
    ),
    "mirflickr-names": Miniature(
        MIR, mirflickr_names, ("mirflickr25k/YAll", "mirflickr25k/mirflickr/im10.jpg"), (),
        "mirflickr25k/FAll/mirflickr25k-fall.mat",
        {"images": 5, "captions": 5, "label": [True, False, False]},
    ),
    "mirflickr-merged": Miniature(
        MIR, mirflickr_merged, (), (), "mirflickr25k/FLICKR-25K.mat",
        {"images": 5, "captions": 5, "first": "tag0 tag3", "label": [True, False, False]},
    ),
    "mirflickr-parts": Miniature(
        MIR, lambda root: two_parts(root / "mirflickr25k" / "mir_cnn.mat"), (), (), "mirflickr25k/mir_cnn.mat",
        {"images": 9, "captions": 9, "label": [True, False, False], "ready": True,
         "parts": ["train"] * 6 + ["test"] * 3},
    ),
    "nuswide-raw": Miniature(
        card("nuswide-10", reading={"concepts": 2}), nuswide_raw,
        ("nuswide/ImageList/Imagelist.txt", "nuswide/Groundtruth/AllLabels", "nuswide/NUS_WID_Tags/AllTags1k.dat",
         "nuswide/NUS_WID_Tags/TagList1k.txt", "nuswide/Flickr", "nuswide/Flickr/actor/0003_3.jpg"),
        ("nuswide/ImageList/Imagelist.txt", "nuswide/NUS_WID_Tags/TagList1k.txt"), "nuswide/NUS_WID_Tags/AllTags1k.dat",
        {"images": 3, "captions": 3, "first": "nature blue", "label": [True, False],
         "parts": ["train", "train", "test"]},
    ),
    "nuswide-mat": Miniature(
        card("nuswide-10"), nuswide_mat, ("nuswide/nus-wide-tc10-yall.mat", "nuswide/nus-wide-tc10-xall-vgg.mat"), (),
        "nuswide/nus-wide-tc10-lall.mat", {"images": 5, "captions": 5, "label": [True, False, False], "ready": True},
    ),
    "mscoco": Miniature(
        COCO, mscoco,
        (f"{COCO_NOTES}/captions_val2014.json", f"{COCO_NOTES}/instances_train2014.json", "mscoco/train2014",
         "mscoco/val2014/COCO_val2014_000000000005.jpg"),
        (f"{COCO_NOTES}/captions_train2014.json",), f"{COCO_NOTES}/instances_val2014.json",
        {"images": 4, "captions": 8, "first": "A cat", "label": [True, False, True],
         "parts": ["train", "train", "val", "val"]},
    ),
    "paths-mat": Miniature(
        COCO, paths_mat, ("mscoco/images/other/c.jpg",), (), "mscoco/caption.mat",
        {"images": 3, "captions": 5, "first": "a man", "label": [True, False, False]},
    ),
    "iaprtc12": Miniature(
        IAPR, iaprtc12, ("iaprtc12/images", "iaprtc12/annotations_complete_eng", "iaprtc12/images/01/1000.jpg"),
        ("iaprtc12/saiapr_tc-12/00/labels.txt",), "iaprtc12/saiapr_tc-12/00/labels.txt",
        {"images": 3, "captions": 3, "first": "a photo of a brown church in Perú;", "label": [True, True],
         "unlabelled": [2]},
    ),
    "iaprtc12-mat": Miniature(
        IAPR, iaprtc12_mat, (), (), "iaprtc12/IAPRTC-12.mat",
        {"images": 6, "captions": 6, "label": [True, False, False], "ready": True,
         "parts": ["train"] * 4 + ["test"] * 2},
    ),
    "wiki": Miniature(
        card("wiki"), wiki,
        ("wikipedia_dataset/raw_features.mat", "wikipedia_dataset/trainset_txt_img_cat.list",
         "wikipedia_dataset/testset_txt_img_cat.list"),
        ("wikipedia_dataset/testset_txt_img_cat.list",), "wikipedia_dataset/raw_features.mat",
        {"images": 9, "captions": 9, "label": 0, "ready": True, "parts": ["train"] * 6 + ["test"] * 3},
    ),
    "wiki-matrices": Miniature(
        card("wiki"), lambda root: two_parts(root / "wikipedia_dataset" / "wikiData.mat", np.arange(1, 6)[:, None]),
        ("wikipedia_dataset/wikiData.mat",), (), "wikipedia_dataset/wikiData.mat",
        {"images": 9, "captions": 9, "label": 1, "ready": True, "parts": ["train"] * 6 + ["test"] * 3},
    ),
    "any-matrices": Miniature(
        card("hashing-matrices"), lambda root: two_parts(root / "own.mat"), (), (), "own.mat",
        {"images": 9, "captions": 9, "label": [True, False, False], "ready": True,
         "parts": ["train"] * 6 + ["test"] * 3},
    ),
    "folder-csv": Miniature(
        card("folder"), folder_csv, ("metadata.csv", "sub/c.jpg"), ("metadata.csv",), "metadata.csv",
        {"images": 4, "captions": 5, "first": "a river, wide", "label": 1, "parts": ["train", "train", "test", "val"],
         "unlabelled": [3]},
    ),
    "folder-jsonl": Miniature(
        card("folder"), folder_jsonl, ("metadata.jsonl", "images/r.png"), ("metadata.jsonl",), "metadata.jsonl",
        {"images": 3, "captions": 3, "first": "words 0", "label": [True, True], "unlabelled": [2]},
    ),
}  # fmt: skip
