"""The layouts of MIRFlickr-25K (Huiskes and Lew, MIR 2008; press.liacs.nl/mirflickr).

Raw, as ``mirflickr25k.zip`` and ``mirflickr25k_annotations_v080.zip`` unpack: ``im1.jpg`` ... ``im25000.jpg``,
``meta/tags/tags1.txt`` ... (one tag a line), and one text file for each of 24 concepts with the numbers of its images
(``sky.txt``; the 14 files ``*_r1.txt`` are narrower readings of the same concepts and are not used). As in the
literature on hashing, tags that fewer than 20 images have are dropped, then images without a tag or a concept.

Or the MATLAB files of :mod:`harness_plugins.layouts.hashing_matrices`, which hold the 20,015 images that are left.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
from harness_plugins.layouts.hashing_matrices import read_matrices
from harness_plugins.layouts.image_names import image_paths
from harness_plugins.layouts.places import first_there, folder_of, layout_of, read_lines, read_text, whole_number
from numpy.typing import NDArray

from harness import HarnessError
from harness.data.absent import names_in
from harness.data.cards import DatasetCard
from harness.data.raw import ImageFiles, RawDataset
from harness.data.table import FeatureTable
from harness.errors import MissingFilesError
from harness.text import shown

PARAMETERS = {"rarest_tag": 20}
"""``rarest_tag``: images that a tag needs to count."""

WANTED = (
    "{folder}/ with mirflickr25k-iall.mat, -yall.mat and -lall.mat (or other MATLAB files of hashing codes), or with "
    "im1.jpg, ..., meta/tags/tags1.txt, ... and the annotations"
)
IMAGE = re.compile(r"^im(\d+)\.jpg$")
CONCEPT = re.compile(r"^(?!.*_r1\.txt$)[a-z_]+\.txt$")
NO_CONCEPT = ("readme.txt", "license.txt", "copyright.txt", "common_tags.txt")


def read_mirflickr(card: DatasetCard, root: Path | None) -> RawDataset | FeatureTable:
    """Read MIRFlickr-25K.

    Args:
        card: Its card, with a layout.
        root: The data root, or the data set's own folder.

    Returns:
        Images with their tags as one caption each, or with bags of tags; or ready features.

    Raises:
        HarnessError: Files are missing or damaged; the message says which and where they belong.
    """
    parameters = card.reader_parameters(PARAMETERS)
    folder = folder_of(card, root, ("*.mat", "LAll", "meta", "mirflickr"), WANTED)
    images = first_there(folder, ["mirflickr", "images"]) or folder
    matrices = read_matrices(card, folder, images, "mirflickr25k")
    if matrices is not None:
        return matrices
    tags = first_there(folder, ["meta/tags", "mirflickr/meta/tags", "tags"])
    concepts = _concepts(folder)
    numbers = sorted(int(match[1]) for name in names_in(images) if (match := IMAGE.match(name)))
    if tags is None or not concepts or not numbers:
        lacking = [
            said
            for said, there in (
                ("images im1.jpg, ...", numbers), ("meta/tags/tags1.txt, ...", tags),
                ("annotations such as sky.txt", concepts),
            )
            if not there
        ]  # fmt: skip
        raise HarnessError(
            f"dataset {card.name!r}: {' and '.join(lacking)} missing in {folder}; --data-root {root} must hold "
            f"{WANTED.replace('{folder}', layout_of(card).folder)}."
        )
    return _raw(card, images, tags, concepts, numbers, parameters["rarest_tag"])


def _concepts(folder: Path) -> list[Path]:
    """The files of the concepts, by name; they lie in the folder or in one for themselves."""
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())) if folder.is_dir() else ():
        found = [place / name for name in sorted(names_in(place)) if CONCEPT.match(name) and name not in NO_CONCEPT]
        if len(found) > 1:
            return found
    return []


def _raw(
    card: DatasetCard, images: Path, tags: Path, concepts: list[Path], numbers: list[int], rarest: int
) -> RawDataset:
    place = {number: row for row, number in enumerate(numbers)}
    labels = np.zeros((len(numbers), len(concepts)), dtype=bool)
    for column, path in enumerate(concepts):
        labels[[place[number] for number in _members(path) if number in place], column] = True
    there = names_in(tags)
    lacking = [number for number in numbers if f"tags{number}.txt" not in there]
    if lacking:
        raise MissingFilesError(
            f"dataset {card.name!r}: {len(lacking)} of {len(numbers)} files of tags are missing in {tags}, the first "
            f"is tags{lacking[0]}.txt.",
            [str(tags / f"tags{number}.txt") for number in lacking],
        )
    all_tags = [
        list(dict.fromkeys(line.strip() for line in read_lines(tags / f"tags{number}.txt") if line.strip()))
        for number in numbers
    ]
    frequency = Counter(tag for own in all_tags for tag in own)
    common = [[tag for tag in own if frequency[tag] >= rarest] for own in all_tags]
    kept = np.flatnonzero(labels.any(axis=1) & np.array([bool(own) for own in common]))
    if not len(kept):
        raise HarnessError(f"dataset {card.name!r}: no image has a concept and a tag that {rarest} images have.")
    names = [f"im{numbers[row]}.jpg" for row in kept]
    return RawDataset(
        name=card.name,
        images=ImageFiles(image_paths(names, [images], images)),
        captions=[" ".join(common[row]) for row in kept],
        caption_image=np.arange(len(kept)),
        labels=labels[kept],
        filenames=names,
    )


def _members(path: Path) -> NDArray[np.int64]:
    """Numbers of the images of a concept."""
    words = read_text(path).split()
    numbers = [whole_number(word) for word in words]
    if None in numbers:
        raise HarnessError(f"{path}: {shown(words[numbers.index(None)])} is no number of an image.")
    return np.array(numbers, dtype=np.int64)
