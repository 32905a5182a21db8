"""The layout of MS COCO (Lin et al., ECCV 2014; cocodataset.org): captions, instances for the labels, and two folders.

``annotations/captions_train2014.json`` and ``captions_val2014.json`` (``images[]`` with ``id`` and ``file_name``,
``annotations[]`` with ``image_id`` and ``caption``), ``instances_*.json`` (``categories[]``, ``annotations[]`` with
``image_id`` and ``category_id``), images in ``train2014/`` and ``val2014/``; or the same of 2017. As in the literature
on hashing, both parts are one set, an image's labels are the categories of its instances, and images without one are
left out. Or the MATLAB files of :mod:`harness_plugins.layouts.hashing_matrices` (``COCO.mat``).
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np
from harness_plugins.layouts.class_names import label_matrix
from harness_plugins.layouts.hashing_matrices import read_matrices
from harness_plugins.layouts.places import first_there, folder_of, images_there, read_json, refuse_missing

from harness import HarnessError
from harness.data.raw import ImageFiles, RawDataset
from harness.data.table import FeatureTable

YEARS = ("2014", "2017")
PARTS = ("train", "val")
WANTED = (
    "{folder}/ with annotations/captions_train2014.json, captions_val2014.json, instances_train2014.json, "
    "instances_val2014.json (or of 2017), train2014/ and val2014/"
)
INSTANCE = re.compile(rb'"image_id"\s*:\s*(\d+)\s*,\s*"bbox"\s*:\s*\[[^\]]*\]\s*,\s*"category_id"\s*:\s*(\d+)')
CATEGORY = re.compile(rb'"category_id"\s*:')


def read_mscoco(card, root: Path | None) -> RawDataset | FeatureTable:
    """Read MS COCO.

    Args:
        card: Its card, with a layout.
        root: The data root, or the data set's own folder.

    Returns:
        Images of both parts with all of their captions; or what the MATLAB files hold.

    Raises:
        HarnessError: Files are missing or damaged; the message says which and where they belong.
    """
    card.reader_parameters({})
    folder = folder_of(card, root, ("annotations", "*.mat"), WANTED)
    images = first_there(folder, ["images"]) or folder
    matrices = read_matrices(card, folder, images)
    if matrices is not None:
        return matrices
    notes = folder / "annotations"
    year = next((year for year in YEARS if (notes / f"captions_train{year}.json").is_file()), YEARS[0])
    needed = [notes / f"{kind}_{part}{year}.json" for kind in ("captions", "instances") for part in PARTS]
    places = {part: first_there(images, [f"{part}{year}"]) or images / f"{part}{year}" for part in PARTS}
    refuse_missing(card, root, (path for path in (*needed, *places.values()) if not path.exists()), WANTED)
    files: list[str] = []
    parts: list[str] = []
    captions: list[str] = []
    caption_image: list[int] = []
    pairs: list[tuple[int, int]] = []
    for part in PARTS:
        categories = _categories(notes / f"instances_{part}{year}.json")
        for name, identity, texts in _captions(notes / f"captions_{part}{year}.json"):
            own = categories.get(identity)
            if not own:
                continue
            pairs += [(len(files), category) for category in own]
            captions += texts
            caption_image += [len(files)] * len(texts)
            files.append(f"{part}{year}/{name}")
            parts.append(part)
    if not files:
        raise HarnessError(f"dataset {card.name!r}: no image of {notes} has a caption and an instance.")
    return RawDataset(
        name=card.name,
        images=ImageFiles(images_there(card, images, files)),
        captions=captions,
        caption_image=np.array(caption_image, dtype=np.int64),
        labels=label_matrix(len(files), pairs),
        filenames=files,
        parts=tuple(parts),
    )


def _captions(path: Path) -> list[tuple[str, int, list[str]]]:
    """File name, id and captions of each image."""
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise HarnessError(f"{path} has no list 'images'.")
    texts: dict[int, list[str]] = {}
    for place, note in enumerate(content.get("annotations", [])):
        if not isinstance(note, dict) or "image_id" not in note or "caption" not in note:
            raise HarnessError(f"{path}: annotations[{place}] lacks 'image_id' or 'caption'.")
        text = " ".join(str(note["caption"]).split())
        if text:
            texts.setdefault(note["image_id"], []).append(text)
    found = []
    seen: set[Any] = set()
    for place, image in enumerate(content["images"]):
        if not isinstance(image, dict) or "id" not in image or "file_name" not in image:
            raise HarnessError(f"{path}: images[{place}] lacks 'id' or 'file_name'.")
        if image["id"] in seen:
            raise HarnessError(f"{path}: image id {image['id']} is there twice.")
        seen.add(image["id"])
        if image["id"] not in texts:
            raise HarnessError(f"{path}: image {image['file_name']} has no caption.")
        found.append((str(image["file_name"]), image["id"], texts[image["id"]]))
    return found


def _categories(path: Path) -> dict[int, set[int]]:
    """Image id to the ids of its categories.

    The outlines of 600,000 instances make the file hundreds of megabytes, and several gigabytes as Python objects: the
    two numbers that matter are looked for in the bytes. Where they do not stand as in the published files, the file is
    read as JSON.
    """
    found: dict[int, set[int]] = {}
    with path.open("rb") as opened:
        if path.stat().st_size:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                number = 0
                for match in INSTANCE.finditer(content):
                    found.setdefault(int(match[1]), set()).add(int(match[2]))
                    number += 1
                if number and number == sum(1 for _ in CATEGORY.finditer(content)):
                    return found
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise HarnessError(f"{path} has no list 'annotations'.")
    found = {}
    for place, note in enumerate(content["annotations"]):
        if not isinstance(note, dict) or "image_id" not in note or "category_id" not in note:
            raise HarnessError(f"{path}: annotations[{place}] lacks 'image_id' or 'category_id'.")
        found.setdefault(note["image_id"], set()).add(note["category_id"])
    return found
