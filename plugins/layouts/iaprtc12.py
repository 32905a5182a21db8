"""The layouts of IAPR TC-12 (Grubinger et al., OntoImage 2006; ImageCLEF).

Raw, as ``iaprtc12.tgz`` unpacks: ``images/00/25.jpg`` ... and ``annotations_complete_eng/00/25.eng``: elements
``<DOCNO>``, ``<TITLE>``, ``<DESCRIPTION>``, ``<IMAGE>`` that are not quite XML, in ISO-8859-1. The labels are those of
its regions (SAIAPR TC-12, Escalante et al., CVIU 2010): ``saiapr_tc-12/00/labels.txt`` with lines of image, region and
concept. Without those files the images have no labels, and relevance can go by instance only.

Or the MATLAB files of :mod:`harness_plugins.layouts.hashing_matrices`, with the 255 concepts of the hashing literature.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from harness_plugins.layouts.class_names import label_matrix
from harness_plugins.layouts.hashing_matrices import read_matrices
from harness_plugins.layouts.image_names import image_paths
from harness_plugins.layouts.places import (
    first_there,
    folder_of,
    images_of,
    layout_of,
    place_of,
    read_lines,
    read_text,
    refuse_missing,
    whole_number,
)
from numpy.typing import NDArray

from harness import HarnessError
from harness.data.cards import DatasetCard
from harness.data.raw import ImageFiles, RawDataset
from harness.data.table import FeatureTable
from harness.text import shown

TEXTS = "annotations_complete_eng"
REGIONS = ("saiapr_tc-12", "saiapr_tc12ok/benchmark/saiapr_tc-12", "benchmark/saiapr_tc-12")
WANTED = (
    "{folder}/ with images/, annotations_complete_eng/ and, for labels, saiapr_tc-12/*/labels.txt; or with the MATLAB "
    "files of hashing codes"
)


def read_iaprtc12(card: DatasetCard, root: Path | None) -> RawDataset | FeatureTable:
    """Read IAPR TC-12.

    Args:
        card: Its card, with a layout.
        root: The data root, or the data set's own folder.

    Returns:
        Images with their descriptions, by number; or what the MATLAB files hold.

    Raises:
        HarnessError: Files are missing or damaged; the message says which and where they belong.
    """
    card.reader_parameters({})
    folder = folder_of(card, root, (TEXTS, "*.mat"), WANTED)
    images = images_of(card, folder)
    matrices = read_matrices(card, folder, images)
    if matrices is not None:
        return matrices
    texts, images = folder / TEXTS, images or place_of(folder, layout_of(card).images)
    refuse_missing(card, root, (path for path in (texts, images) if not path.is_dir()), WANTED)
    files = sorted(texts.glob("*/*.eng"))
    if not files:
        raise HarnessError(f"dataset {card.name!r}: {texts} has no files such as 00/25.eng.")
    names = [f"{file.parent.name}/{file.stem}.jpg" for file in files]
    labels, unlabelled = _labels(folder, [whole_number(file.stem) for file in files])
    return RawDataset(
        name=card.name,
        images=ImageFiles(image_paths(names, [images], texts)),
        captions=[_description(file) for file in files],
        caption_image=np.arange(len(files)),
        labels=labels,
        filenames=names,
        unlabelled=unlabelled if unlabelled.any() else None,
    )


def _description(path: Path) -> str:
    """The description of an image, or its title where that is blank."""
    text = read_text(path, "iso-8859-1")
    for element in ("DESCRIPTION", "TITLE"):
        found = re.search(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        words = " ".join(found[1].split()) if found else ""
        if words:
            return words
    raise HarnessError(f"{path} has no caption: neither <DESCRIPTION> nor <TITLE> says anything.")


def _labels(folder: Path, numbers: list[int | None]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n, concepts), and which images have none."""
    place = {number: row for row, number in enumerate(numbers) if number is not None}
    regions = first_there(folder, REGIONS)
    pairs: set[tuple[int, int]] = set()
    for path in sorted(regions.glob("*/labels.txt")) if regions is not None else ():
        for line, text in enumerate(read_lines(path), start=1):
            fields = text.split()
            if not fields:
                continue
            said = [number for field in fields if (number := whole_number(field)) is not None]
            if len(fields) != 3 or len(said) != 3:
                raise HarnessError(f"{path}, line {line}: expected image, region and concept, not {shown(text)}.")
            image, _, concept = said
            if image in place:
                pairs.add((place[image], concept))
    labels = label_matrix(len(numbers), pairs)
    return labels, np.asarray(~labels.any(axis=1))
