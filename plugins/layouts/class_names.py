"""Classes of images from what a data set says of them, and what becomes of images without one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import HarnessError
from harness.errors import unknown_name
from harness.text import shown

UNLABELLED = ("train", "class", "refuse")
"""Values of the card's parameter ``unlabelled``: images without a class train, but are no queries and no database
items (the default: methods need no labels, and nothing could be relevant to them); or they are one more class; or an
error."""

_NUMBER = re.compile(r"[ _-]*\d+$")


def class_of_name(filename: str) -> str | None:
    """``airport_12.jpg`` to "airport"; None for a name that is a number alone, as of 921 images of RSICD."""
    stem = filename.rpartition("/")[2].rpartition(".")[0] or filename
    return _NUMBER.sub("", stem).strip().lower() or None


def single_labels(
    classes: Sequence[str | int | None], card: Any, unlabelled: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """Class numbers, in the order of the names.

    Args:
        classes: Class of each image, or None.
        card: The card, for messages.
        unlabelled: One of :data:`UNLABELLED`.

    Returns:
        (n,) int64, -1 for no class; and which images have none, or None if all have one.

    Raises:
        HarnessError: An image has no class and ``unlabelled`` is "refuse", that word is unknown, or a class number
            is beyond 32 bits.
    """
    if unlabelled not in UNLABELLED:
        raise unknown_name(f"value of 'unlabelled' in dataset card {card.name!r}", unlabelled, UNLABELLED)
    missing = np.array([name is None for name in classes], dtype=bool)
    if missing.any() and unlabelled == "refuse":
        raise HarnessError(
            f"dataset {card.name!r}: {int(missing.sum())} of {len(classes)} images have no class, and its card refuses "
            "that."
        )
    known = sorted({name for name in classes if name is not None}, key=lambda name: (isinstance(name, str), name))
    number = {name: place for place, name in enumerate(known)}
    large = next((name for name in known if isinstance(name, int) and not -(2**31) <= name < 2**31), None)
    if large is not None:
        raise HarnessError(f"dataset {card.name!r}: {shown(large)} is no number of a class.")
    if all(isinstance(name, int) for name in known):
        number = {name: name for name in known}  # type: ignore[misc]
    nothing = max(number.values(), default=-1) + 1 if unlabelled == "class" else -1
    labels = np.array([nothing if name is None else number[name] for name in classes], dtype=np.int64)
    return labels, missing if missing.any() and unlabelled == "train" else None


def label_matrix(number: int, pairs: Iterable[tuple[int, Any]]) -> NDArray[np.bool_]:
    """Sets of labels as a matrix.

    Args:
        number: Number of images.
        pairs: Image and label, the labels all of one kind that can be sorted.

    Returns:
        (number, n_labels) bool, a column for each label that occurs, in their order; one empty column if none does.
    """
    pairs = list(pairs)
    column = {label: place for place, label in enumerate(sorted({label for _, label in pairs}))}
    labels = np.zeros((number, max(1, len(column))), dtype=bool)
    for row, label in pairs:
        labels[row, column[label]] = True
    return labels
