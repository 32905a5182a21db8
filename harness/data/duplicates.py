"""Images with equal content that stand in different parts of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.splits import DATABASE, QUERY, UNUSED
from harness.text import counted

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Copies:
    """Images that have a copy in a part that comes first: queries, then training images, then the database.

    Attributes:
        training: Training images that are copies of queries, ascending.
        database: Database images that are copies of queries or of training images, ascending.
    """

    training: Ints
    database: Ints

    def __len__(self) -> int:
        return len(self.training) + len(self.database)

    @property
    def images(self) -> Ints:
        """All of them, ascending."""
        return np.sort(np.concatenate([self.training, self.database]))


def find_copies(contents: Sequence[str] | Ints, split: NDArray[np.int8]) -> Copies:
    """Copies across the parts of a split; copies within one part are no matter here.

    Args:
        contents: (n_images,) content hash of each image, or any other code that is equal for equal content.
        split: (n_images,) split codes. Images of code 3 count as training images.

    Returns:
        The copies.
    """
    codes = np.unique(np.asarray(contents), return_inverse=True)[1].reshape(-1)
    rank = np.full(len(split), 1)  # training, in the database or not
    rank[split == QUERY] = 0
    rank[split == DATABASE] = 2
    rank[split == UNUSED] = 3
    best = np.full(codes.max(initial=-1) + 1, 3)
    np.minimum.at(best, codes, rank)
    copies = rank > best[codes]
    return Copies(np.flatnonzero(copies & (rank == 1)), np.flatnonzero(copies & (rank == 2)))


def without_copies(split: NDArray[np.int8], copies: Copies) -> NDArray[np.int8]:
    """The split with those images unused; queries stay, and training images before those of the database."""
    changed = split.copy()
    changed[copies.images] = UNUSED
    return changed


def described(copies: Copies) -> str:
    """For people: how many copies there are, and where."""
    parts = [
        f"{len(images)} {name}"
        for name, images in (("training", copies.training), ("database", copies.database))
        if len(images)
    ]
    number = len(copies)
    return (
        f"{counted(number, 'image')} ({', '.join(parts)}) {'is a copy' if number == 1 else 'are copies'} of one in "
        "another part"
    )
