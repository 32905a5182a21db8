"""The layout of captioning data sets after Karpathy and Fei-Fei (CVPR 2015): one JSON file and a folder of images.

Followed here: UCM-Captions as its authors publish it (``dataset.json``, ``imgs/``): ``images[]`` with ``filename``,
``classcode``, ``split`` and ``sentences[]`` with ``raw``; RSICD (``dataset_rsicd.json``, ``RSICD_images/``; no class
code: the class is the beginning of the file name), RSITMD (``dataset_RSITMD.json``, ``images/``; the same; its first
release has blank sentences), Sydney-Captions (``dataset.json``, ``imgs/``); and Karpathy's own files
(``dataset_flickr30k.json``, ``dataset_coco.json`` with ``filepath`` beside ``filename`` and the part ``restval``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness_plugins.layouts.captions import Captions
from harness_plugins.layouts.class_names import class_of_name, single_labels
from harness_plugins.layouts.image_names import image_paths, name_of_image
from harness_plugins.layouts.places import (
    ANY,
    first_there,
    folder_of,
    layout_of,
    place_of,
    read_json,
    refuse_missing,
)

from harness import HarnessError
from harness.data.cards import DatasetCard
from harness.data.raw import ImageFiles, RawDataset
from harness.errors import unknown_name
from harness.text import shown

PARAMETERS = {"classes": "classcode", "unlabelled": "train"}
"""``classes``: where the class is: "classcode" (every entry has one), "file-name", or "any" (a class code if every
entry has one, otherwise none). ``unlabelled``: see :mod:`harness_plugins.layouts.class_names`."""

CLASSES = ("classcode", "file-name", "any")


def read_karpathy(card: DatasetCard, root: Path | None) -> RawDataset:
    """Read a data set.

    Args:
        card: Its card, with a layout.
        root: The data root, or the data set's own folder.

    Returns:
        Images, captions and labels, in the order of the JSON.

    Raises:
        HarnessError: A file is missing or damaged; the message says where it belongs.
    """
    parameters = card.reader_parameters(PARAMETERS)
    if parameters["classes"] not in CLASSES:
        raise unknown_name(f"value of 'classes' in dataset card {card.name!r}", parameters["classes"], CLASSES)
    annotations, folders = _places(card, root)
    entries = _entries(annotations, parameters["classes"])
    if parameters["classes"] == "classcode" and card.classes:
        _refuse_out_of_range(entries, card, annotations)
    filenames = [_name(entry, f"{annotations}: images[{number}]") for number, entry in enumerate(entries)]
    captions = Captions(annotations)
    for number, entry in enumerate(entries):
        captions.add(number, (sentence["raw"] for sentence in entry["sentences"]))
    labels, unlabelled = single_labels(_classes(entries, parameters["classes"]), card, parameters["unlabelled"])
    parts = [entry.get("split") for entry in entries]
    return RawDataset(
        name=card.name if layout_of(card).folder != ANY else annotations.absolute().parent.name,
        images=ImageFiles(image_paths(filenames, folders, annotations)),
        captions=captions.texts,
        caption_image=captions.caption_image(len(entries), lambda at: f"images[{at}] ({shown(filenames[at])})"),
        labels=labels,
        filenames=filenames,
        parts=tuple(str(part) for part in parts) if all(isinstance(part, str) for part in parts) else None,
        unlabelled=unlabelled,
    )


def _places(card: DatasetCard, root: Path | None) -> tuple[Path, list[Path]]:
    """The JSON file and the folders of the images: archives unpack into a second folder of their name."""
    layout = layout_of(card)
    folder = folder_of(card, root, (layout.annotations, *layout.other_annotations))
    names = [layout.annotations, *layout.other_annotations]
    annotations = _only_json(card, folder) if not names[0] else first_there(folder, names) or place_of(folder, names[0])
    places = [place_of(folder, name) for name in (layout.images, *layout.other_images)]
    images = [place for place in places if place.is_dir()]
    there = ((annotations, annotations.is_file()), (places[0], bool(images)))
    refuse_missing(card, root, (path for path, found in there if not found))
    return annotations, images


def _only_json(card: DatasetCard, folder: Path) -> Path:
    """The one file that is called like Karpathy's."""
    found = sorted(folder.glob("dataset*.json"))
    if len(found) != 1:
        names = f"there are {', '.join(path.name for path in found)}" if found else "there is none"
        raise HarnessError(
            f"--dataset {card.name}: {folder} must hold one file dataset*.json, and {names}; --dataset "
            f"{card.name}:FILE names another."
        )
    return found[0]


def _refuse_out_of_range(entries: list[dict[str, Any]], card: Any, annotations: Path) -> None:
    """Class codes count from 0 to the number of classes that the card says."""
    for number, entry in enumerate(entries):
        if not 0 <= entry["classcode"] < card.classes:
            raise HarnessError(
                f"{annotations}: images[{number}].classcode is {shown(entry['classcode'])}, and {card.name!r} has "
                f"{card.classes} classes (0 to {card.classes - 1})."
            )


def _name(entry: dict[str, Any], where: str) -> str:
    """Name below the folder of the images; Karpathy's COCO has a ``filepath`` (``val2014``) beside it."""
    name = name_of_image(entry["filename"], f"{where}.filename")
    return f"{name_of_image(entry['filepath'], f'{where}.filepath')}/{name}" if entry.get("filepath") else name


def _classes(entries: list[dict[str, Any]], where: str) -> list[str | int | None]:
    if where == "file-name":
        return [class_of_name(str(entry["filename"])) for entry in entries]
    if where == "any" and not all(isinstance(entry.get("classcode"), int) for entry in entries):
        return [None] * len(entries)
    return [entry["classcode"] for entry in entries]


def _entries(annotations: Path, classes: str) -> list[dict[str, Any]]:
    """The entries of the JSON, each with what is needed."""
    content = read_json(annotations)
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise HarnessError(f"{annotations} has no list 'images'.")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise HarnessError(f"{annotations}: images[{number}] is no object.")
        for key in ("filename", "classcode", "sentences") if classes == "classcode" else ("filename", "sentences"):
            if key not in entry:
                raise HarnessError(f"{annotations}: images[{number}] lacks {key!r}.")
        if not isinstance(entry["sentences"], list):
            raise HarnessError(f"{annotations}: images[{number}].sentences is no list.")
        if classes == "classcode" and (not isinstance(entry["classcode"], int) or isinstance(entry["classcode"], bool)):
            raise HarnessError(
                f"{annotations}: images[{number}].classcode is {shown(entry['classcode'])}, expected a whole number."
            )
        for place, sentence in enumerate(entry["sentences"]):
            if not isinstance(sentence, dict) or "raw" not in sentence:
                raise HarnessError(f"{annotations}: images[{number}].sentences[{place}] lacks 'raw'.")
    return entries
