"""The layout of NWPU-Captions (Cheng et al., TGRS 2022; github.com/HaiyanHuang98/NWPU-Captions).

``dataset_nwpu.json``: class name to a list of entries with ``filename``, ``split`` and the five sentences ``raw``,
``raw_1`` ... ``raw_4``; the images of NWPU-RESISC45 in ``NWPU_images/<class>/<filename>``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from harness_plugins.layouts.captions import Captions
from harness_plugins.layouts.image_names import image_paths, name_of_image
from harness_plugins.layouts.places import folder_of, images_of, layout_of, place_of, read_json, refuse_missing

from harness import HarnessError
from harness.data.absent import names_in
from harness.data.cards import DatasetCard
from harness.data.raw import ImageFiles, RawDataset
from harness.text import shown

SENTENCES = ("raw", "raw_1", "raw_2", "raw_3", "raw_4")


def read_nwpu(card: DatasetCard, root: Path | None) -> RawDataset:
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
    layout = layout_of(card)
    folder = folder_of(card, root, (layout.annotations,))
    annotations = place_of(folder, layout.annotations)
    images = images_of(card, folder) or place_of(folder, layout.images)
    there = ((annotations, annotations.is_file()), (images, images.is_dir()))
    refuse_missing(card, root, (path for path, found in there if not found))
    entries = _entries(annotations)
    by_class = names_in(images)
    # In folders of their classes, as the archive has them, or all in one folder.
    names = [f"{name}/{file}" if name in by_class else file for name, file, _ in entries]
    captions = Captions(annotations)
    for number, (_, _, entry) in enumerate(entries):
        captions.add(number, (entry[key] for key in SENTENCES if key in entry))
    classes = sorted({name for name, _, _ in entries})
    code = {name: number for number, name in enumerate(classes)}
    parts = [entry.get("split") for _, _, entry in entries]
    return RawDataset(
        name=card.name,
        images=ImageFiles(image_paths(names, [images], annotations)),
        captions=captions.texts,
        caption_image=captions.caption_image(len(names), lambda at: shown(names[at])),
        labels=np.array([code[name] for name, _, _ in entries], dtype=np.int64),
        filenames=names,
        parts=tuple(str(part) for part in parts) if all(isinstance(part, str) for part in parts) else None,
    )


def _entries(annotations: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """Class, file name and entry, each entry with a first sentence."""
    content = read_json(annotations)
    if not isinstance(content, dict) or not content:
        raise HarnessError(f"{annotations} holds no classes: expected an object of class name to list of images.")
    found = []
    for name, entries in content.items():
        if not isinstance(entries, list):
            raise HarnessError(f"{annotations}: {shown(name)} is no list of images.")
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise HarnessError(f"{annotations}: {shown(name)}[{number}] is no object.")
            for key in ("filename", "raw"):
                if key not in entry:
                    raise HarnessError(f"{annotations}: {shown(name)}[{number}] lacks {key!r}.")
            found.append((name, name_of_image(entry["filename"], f"{annotations}: {shown(name)}[{number}]"), entry))
    if not found:
        raise HarnessError(f"{annotations} has no images.")
    return found
