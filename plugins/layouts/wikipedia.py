"""The layout of the Wikipedia data set (Rasiwasia et al., ACM MM 2010).

Followed here, from ``wikipedia_dataset.zip`` of SVCL, UC San Diego: ``raw_features.mat`` with ``I_tr`` (2173, 128) and
``I_te`` (693, 128), bags of SIFT words, and ``T_tr``, ``T_te`` with 10 LDA topics; ``trainset_txt_img_cat.list`` and
``testset_txt_img_cat.list``, whose lines are text id, image id and category (1 to 10) between tabs. The texts and the
images themselves are not read.

Or a MATLAB file with ``L_tr`` and ``L_te`` besides, as codes of hashing methods bring it (``wikiData.mat``): see
:mod:`harness_plugins.layouts.hashing_matrices`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from harness_plugins.layouts.hashing_matrices import join_parts, read_matrices
from harness_plugins.layouts.matlab_file import read_matlab
from harness_plugins.layouts.places import folder_of, read_lines, refuse_missing, whole_number
from numpy.typing import NDArray

from harness import HarnessError
from harness.data.cards import DatasetCard
from harness.data.features.feature_file import table_from_arrays
from harness.data.raw import RawDataset
from harness.data.splits import QUERY, TRAIN_AND_DATABASE
from harness.data.table import FeatureTable
from harness.text import shown

FEATURES = "raw_features.mat"
LISTS = {"train": "trainset_txt_img_cat.list", "test": "testset_txt_img_cat.list"}
VARIABLES = {"train": ("I_tr", "T_tr"), "test": ("I_te", "T_te")}
WANTED = "{folder}/" + FEATURES + ", {folder}/" + " and {folder}/".join(LISTS.values()) + "; or {folder}/wikiData.mat"


def read_wikipedia(card: DatasetCard, root: Path | None) -> RawDataset | FeatureTable:
    """Read the features.

    Args:
        card: Its card, with a layout.
        root: The data root, or the data set's own folder.

    Returns:
        Features of the training images, then of the test images; the published split makes the training images the
        database.

    Raises:
        HarnessError: A file is missing or damaged, or does not fit the others; the message says which.
    """
    card.reader_parameters({})
    folder = folder_of(card, root, (FEATURES, "*.mat"), WANTED)
    needed = [folder / name for name in (FEATURES, *LISTS.values())]
    if not needed[0].is_file():
        matrices = read_matrices(card, folder, None)
        if matrices is not None:
            return matrices
    refuse_missing(card, root, (path for path in needed if not path.is_file()), WANTED)
    arrays = read_matlab(folder / FEATURES, [name for names in VARIABLES.values() for name in names])
    parts, names, sizes = [], [], []
    for part, features in VARIABLES.items():
        ids, categories = _list(folder / LISTS[part], card.classes)
        parts.append({**{name: arrays[name] for name in features}, LISTS[part]: categories[:, None]})
        names += ids
        sizes.append(len(ids))
    image, text, labels = join_parts(str(folder / FEATURES), *parts)
    return table_from_arrays(
        {
            "image": image,
            "text": text,
            "caption_image": np.arange(sum(sizes)),
            "labels": labels.reshape(-1),
            "split": np.repeat([TRAIN_AND_DATABASE, QUERY], sizes),
            "filenames": np.array(names, dtype=np.str_),
        },
        card.name,
        str(folder / FEATURES),
        parts=tuple(part for part, size in zip(VARIABLES, sizes, strict=True) for _ in range(size)),
    )


def _list(path: Path, classes: int) -> tuple[list[str], NDArray[np.int64]]:
    """Image ids and categories, from 0."""
    ids, categories = [], []
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split("\t") if "\t" in line else line.split()
        fields = [entry.strip() for entry in fields if entry.strip()]
        if not fields:
            continue
        category = whole_number(fields[-1])
        if len(fields) != 3 or category is None:
            raise HarnessError(f"{path}, line {number}: expected text id, image id and category, not {shown(line)}.")
        if not 1 <= category <= classes:
            raise HarnessError(f"{path}, line {number}: category {category} is out of range, expected 1 to {classes}.")
        ids.append(fields[1])
        categories.append(category - 1)
    return ids, np.array(categories, dtype=np.int64)
