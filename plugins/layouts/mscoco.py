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

from harness_plugins.layouts.captions import Captions
from harness_plugins.layouts.class_names import label_matrix
from harness_plugins.layouts.hashing_matrices import read_matrices
from harness_plugins.layouts.image_names import image_paths, name_of_image
from harness_plugins.layouts.places import first_there, folder_of, read_json, refuse_missing

from harness import HarnessError
from harness.data.cards import DatasetCard
from harness.data.raw import ImageFiles, RawDataset
from harness.data.table import FeatureTable
from harness.files.regular_file import require_regular
from harness.text import shown

YEARS = ("2014", "2017")
PARTS = ("train", "val")
WANTED = (
    "{folder}/ with annotations/captions_train2014.json, captions_val2014.json, instances_train2014.json, "
    "instances_val2014.json (or of 2017), train2014/ and val2014/"
)
INSTANCE = re.compile(rb'"image_id"\s*:\s*(\d+)\s*,\s*"bbox"\s*:\s*\[[^\]]*\]\s*,\s*"category_id"\s*:\s*(\d+)')
CATEGORY = re.compile(rb'"category_id"\s*:')


def read_mscoco(card: DatasetCard, root: Path | None) -> RawDataset | FeatureTable:
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
    captions = Captions(notes)
    pairs: list[tuple[int, int]] = []
    for part in PARTS:
        categories = _categories(notes / f"instances_{part}{year}.json")
        for name, identity, texts in _captions(notes / f"captions_{part}{year}.json"):
            own = categories.get(identity)
            if not own:
                continue
            pairs += [(len(files), category) for category in own]
            captions.add(len(files), texts)
            files.append(f"{part}{year}/{name}")
            parts.append(part)
    if not files:
        raise HarnessError(f"dataset {card.name!r}: no image of {notes} has a caption and an instance.")
    return RawDataset(
        name=card.name,
        images=ImageFiles(image_paths(files, [images], notes)),
        captions=captions.texts,
        caption_image=captions.caption_image(len(files), lambda at: f"image {shown(files[at])}"),
        labels=label_matrix(len(files), pairs),
        filenames=files,
        parts=tuple(parts),
    )


def _captions(path: Path) -> list[tuple[str, int, list[Any]]]:
    """File name, id and captions of each image; captions in one line."""
    content = read_json(path)
    texts: dict[int, list[Any]] = {}
    for place, note in enumerate(_entries(content, "annotations", ("image_id", "caption"), path)):
        identity, text = _number(note, "image_id", f"{path}: annotations[{place}]"), note["caption"]
        texts.setdefault(identity, []).append(" ".join(text.split()) if isinstance(text, str) else text)
    found = []
    seen: set[int] = set()
    for place, image in enumerate(_entries(content, "images", ("id", "file_name"), path)):
        identity = _number(image, "id", f"{path}: images[{place}]")
        name = name_of_image(image["file_name"], f"{path}: images[{place}].file_name")
        if identity in seen:
            raise HarnessError(f"{path}: image id {identity} is there twice.")
        seen.add(identity)
        if identity not in texts:
            raise HarnessError(f"{path}: image {shown(name)} has no caption.")
        found.append((name, identity, texts[identity]))
    return found


def _entries(content: Any, name: str, keys: tuple[str, ...], path: Path) -> list[dict[str, Any]]:
    """A list of the JSON, each of its entries an object with some keys."""
    entries = content.get(name) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise HarnessError(f"{path} has no list {name!r}.")
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict) or any(key not in entry for key in keys):
            raise HarnessError(f"{path}: {name}[{place}] lacks {' or '.join(map(repr, keys))}.")
    return entries


def _number(entry: dict[str, Any], key: str, where: str) -> int:
    """The number of an image or a category."""
    number = entry[key]
    if not isinstance(number, int) or isinstance(number, bool):
        raise HarnessError(f"{where}.{key} is {shown(number)}, expected a whole number.")
    return number


def _categories(path: Path) -> dict[int, set[int]]:
    """Image id to the ids of its categories.

    The outlines of 600,000 instances make the file hundreds of megabytes, and several gigabytes as Python objects: the
    two numbers that matter are looked for in the bytes. Where they do not stand as in the published files, the file is
    read as JSON.
    """
    found: dict[int, set[int]] = {}
    with require_regular(path).open("rb") as opened:
        if path.stat().st_size:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                number = 0
                for match in INSTANCE.finditer(content):
                    found.setdefault(int(match[1]), set()).add(int(match[2]))
                    number += 1
                if number and number == sum(1 for _ in CATEGORY.finditer(content)):
                    return found
    found = {}
    for place, note in enumerate(_entries(read_json(path), "annotations", ("image_id", "category_id"), path)):
        where = f"{path}: annotations[{place}]"
        found.setdefault(_number(note, "image_id", where), set()).add(_number(note, "category_id", where))
    return found
