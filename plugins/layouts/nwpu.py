"""The layout of NWPU-Captions (Cheng et al., TGRS 2022; github.com/HaiyanHuang98/NWPU-Captions).

``dataset_nwpu.json``: class name to a list of entries with ``filename``, ``split`` and the five sentences ``raw``,
``raw_1`` ... ``raw_4``; the images of NWPU-RESISC45 in ``NWPU_images/<class>/<filename>``.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from harness_plugins.layouts.places import (
    folder_of,
    images_of,
    images_there,
    names_in,
    place_of,
    read_json,
    refuse_missing,
)

from harness import HarnessError
from harness.data.raw import ImageFiles, RawDataset, first_twice

log = logging.getLogger(__name__)

SENTENCES = ("raw", "raw_1", "raw_2", "raw_3", "raw_4")


def read_nwpu(card, root: Path | None) -> RawDataset:
    """Read NWPU-Captions.

    Args:
        card: Its card, with a layout.
        root: The data root, or the data set's own folder.

    Returns:
        Images, captions and classes, in the order of the JSON; classes are numbered by the order of their names.

    Raises:
        HarnessError: A file is missing or damaged; the message says where it belongs.
    """
    card.reader_parameters({})
    layout = card.layout
    folder = folder_of(card, root, (layout.annotations,))
    annotations = place_of(folder, layout.annotations)
    images = images_of(card, folder) or place_of(folder, layout.images)
    there = ((annotations, annotations.is_file()), (images, images.is_dir()))
    refuse_missing(card, root, (path for path, found in there if not found))
    entries = _entries(annotations)
    by_class = names_in(images)
    # In folders of their classes, as the archive has them, or all in one folder.
    names = [f"{name}/{entry['filename']}" if name in by_class else str(entry["filename"]) for name, entry in entries]
    twice = first_twice(names)
    if twice is not None:
        raise HarnessError(f"{annotations}: image {twice!r} is there twice.")
    captions, caption_image = [], []
    for number, (name, entry) in enumerate(entries):
        texts = [str(entry[key]).strip() for key in SENTENCES if key in entry]
        kept = [text for text in texts if text]
        if not kept:
            raise HarnessError(f"{annotations}: {name!r}, {entry['filename']} has no caption, only blanks.")
        captions += kept
        caption_image += [number] * len(kept)
    classes = sorted({name for name, _ in entries})
    code = {name: number for number, name in enumerate(classes)}
    parts = [entry.get("split") for _, entry in entries]
    return RawDataset(
        name=card.name,
        images=ImageFiles(images_there(card, images, names)),
        captions=captions,
        caption_image=np.array(caption_image, dtype=np.int64),
        labels=np.array([code[name] for name, _ in entries], dtype=np.int64),
        filenames=names,
        parts=tuple(str(part) for part in parts) if all(isinstance(part, str) for part in parts) else None,
    )


def _entries(annotations: Path) -> list[tuple[str, dict[str, Any]]]:
    """Class and entry, each entry with a file name and a first sentence."""
    content = read_json(annotations)
    if not isinstance(content, dict) or not content:
        raise HarnessError(f"{annotations} holds no classes: expected an object of class name to list of images.")
    found = []
    for name, entries in content.items():
        if not isinstance(entries, list):
            raise HarnessError(f"{annotations}: {name!r} is no list of images.")
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise HarnessError(f"{annotations}: {name!r}[{number}] is no object.")
            for key in ("filename", "raw"):
                if key not in entry:
                    raise HarnessError(f"{annotations}: {name!r}[{number}] lacks {key!r}.")
            found.append((str(name), entry))
    if not found:
        raise HarnessError(f"{annotations} has no images.")
    return found
