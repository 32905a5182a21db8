"""The layout of captioning data sets after Karpathy and Fei-Fei (CVPR 2015): one JSON file and a folder of images.

Followed here: UCM-Captions as its authors publish it (``dataset.json``, ``imgs/``): ``images[]`` with ``filename``,
``classcode`` and ``sentences[]`` with ``raw``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from harness import HarnessError
from harness.data.raw import ImageFiles, RawDataset


def read_karpathy(card, root: Path | None) -> RawDataset:
    """Read a data set.

    Args:
        card: Its card, with a layout.
        root: The data root, or the data set's own folder.

    Returns:
        Images, captions and labels, in the order of the JSON.

    Raises:
        HarnessError: A file is missing or damaged; the message says where it belongs.
    """
    layout = card.layout
    if layout is None:
        raise HarnessError(f"dataset card {card.name!r} lacks the table [layout].")
    wanted = f"{layout.folder}/{layout.annotations} and {layout.folder}/{layout.images}/ with {card.images} images"
    if root is None:
        raise HarnessError(
            f"dataset {card.name!r} needs its files: give --data-root DIR or set HARNESS_DATA, where DIR holds "
            f"{wanted}."
        )
    folder = (
        root if (root / layout.annotations).is_file() and not (root / layout.folder).is_dir() else root / layout.folder
    )
    annotations, images = folder / layout.annotations, folder / layout.images
    missing = [
        str(path) for path, there in ((annotations, annotations.is_file()), (images, images.is_dir())) if not there
    ]
    if missing:
        raise HarnessError(
            f"dataset {card.name!r}: {' and '.join(missing)} missing; --data-root {root} must hold {wanted}."
        )
    entries = _entries(annotations)
    filenames = [str(entry["filename"]) for entry in entries]
    paths = [images / filename for filename in filenames]
    there = {path.name for path in images.iterdir()}
    absent = [filename for filename in filenames if filename not in there]
    if absent:
        raise HarnessError(
            f"dataset {card.name!r}: {len(absent)} of {len(filenames)} images are missing in {images}, the first is "
            f"{absent[0]}."
        )
    captions, caption_image = [], []
    for number, entry in enumerate(entries):
        for sentence in entry["sentences"]:
            captions.append(str(sentence["raw"]).strip())
            caption_image.append(number)
    return RawDataset(
        name=card.name,
        images=ImageFiles(paths),
        captions=captions,
        caption_image=np.array(caption_image, dtype=np.int64),
        labels=np.array([entry["classcode"] for entry in entries], dtype=np.int64),
        filenames=filenames,
    )


def _entries(annotations: Path) -> list[dict]:
    """The entries of the JSON, each with what is needed."""
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HarnessError(f"{annotations} cannot be read as JSON: {error}.") from error
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise HarnessError(f"{annotations} has no list 'images'.")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise HarnessError(f"{annotations}: images[{number}] is no object.")
        for key in ("filename", "classcode", "sentences"):
            if key not in entry:
                raise HarnessError(f"{annotations}: images[{number}] lacks {key!r}.")
        if not isinstance(entry["sentences"], list):
            raise HarnessError(f"{annotations}: images[{number}].sentences is no list.")
        if not entry["sentences"]:
            raise HarnessError(f"{annotations}: images[{number}] ({entry['filename']}) has no caption.")
        if not isinstance(entry["classcode"], int):
            raise HarnessError(
                f"{annotations}: images[{number}].classcode is {entry['classcode']!r}, expected a whole number."
            )
        for place, sentence in enumerate(entry["sentences"]):
            if not isinstance(sentence, dict) or "raw" not in sentence:
                raise HarnessError(f"{annotations}: images[{number}].sentences[{place}] lacks 'raw'.")
    return entries
