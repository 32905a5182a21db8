"""Who is training, query and database image; which caption an image gets; who is trusted. All from the data seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.runtime.seeding import numpy_generator

TRAIN, QUERY, DATABASE, TRAIN_AND_DATABASE = 0, 1, 2, 3
"""Split codes; 3 is the usual protocol of MIRFlickr, NUS-WIDE and COCO: training images are in the database too."""

UNUSED = -1
"""Split code of images that play no part: a published validation part, dropped copies, queries that were not cut."""

SPLITS = ("paper", "stratified", "published", "protocol")
"""50/10/40 by seed; the same, each class alike; the parts that the authors published; the usual protocol of the set."""

TRAINING_PARTS, VALIDATION_PARTS, QUERY_PARTS = ("train", "restval"), ("val",), ("test", "query")
DATABASE_PART = "database"
"""Names of published parts, as in Karpathy's files; ``query`` and ``database`` for files of our own kind."""

VERSION = 1
"""Raise when the same data seed gives another split, caption choice or trusted subset than before."""

Ints = NDArray[np.int64]


def paper_split(n_images: int, data_seed: int) -> NDArray[np.int8]:
    """50 % training, 10 % query, 40 % database images, as in CHNR and DUCH.

    Args:
        n_images: Number of images.
        data_seed: Data seed.

    Returns:
        (n_images,) split codes. Sizes are rounded down as in the authors' code: int(n / 2) training images, then
        int(0.2 x rest) queries.

    Raises:
        HarnessError: A part would be empty.
    """
    n_train, n_query = _paper_sizes(n_images)
    order = numpy_generator(data_seed, "split").permutation(n_images)
    split = np.full(n_images, DATABASE, dtype=np.int8)
    split[order[:n_train]] = TRAIN
    split[order[n_train : n_train + n_query]] = QUERY
    return split


def _paper_sizes(n_images: int) -> tuple[int, int]:
    """Numbers of training and query images of the 50/10/40 split."""
    n_train = int(n_images * 0.5)
    n_query = int((n_images - n_train) * 0.2)
    if n_train < 1 or n_query < 1:
        raise HarnessError(
            f"{n_images} images are too few for the 50/10/40 split: it needs at least 9, so that each part has one."
        )
    return n_train, n_query


def stratified_split(labels: NDArray, data_seed: int) -> NDArray[np.int8]:
    """Parts of the sizes of :func:`paper_split`, in which each class has its share to within one image.

    Args:
        labels: (n_images,) integers, or (n_images, n_classes), whose rows are then classes of their own.
        data_seed: Data seed.

    Returns:
        (n_images,) split codes.

    Raises:
        HarnessError: A part would be empty.
    """
    n_train, n_query = _paper_sizes(len(labels))
    codes = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    shuffled = numpy_generator(data_seed, "stratified-split").permutation(len(labels))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    split = np.full(len(labels), DATABASE, dtype=np.int8)
    chosen = _evenly(len(by_class), n_train)
    split[by_class[chosen]] = TRAIN
    rest = np.delete(by_class, chosen)
    split[rest[_evenly(len(rest), n_query)]] = QUERY
    return split


def _evenly(length: int, number: int) -> Ints:
    """``number`` evenly spaced places in a list."""
    return (np.arange(number) * length + length // 2) // number


def published_split(parts: Sequence[str] | None, name: str) -> NDArray[np.int8]:
    """The parts that the authors published.

    Args:
        parts: (n_images,) name of each image's part, or None.
        name: Name of the data set, for messages.

    Returns:
        (n_images,) split codes: ``train`` and ``restval`` are training and database, ``test`` (or ``query``) are the
        queries, ``val`` is unused (it is there for tuning). Where there is a part ``database``, it alone is that.

    Raises:
        HarnessError: There are no published parts, one has a name that is not known, or no image is in a part.
    """
    if parts is None:
        raise HarnessError(f"--split published: {name!r} comes without published parts; use --split paper.")
    names_of_parts = set(parts)
    codes = {
        **dict.fromkeys(TRAINING_PARTS, TRAIN if DATABASE_PART in names_of_parts else TRAIN_AND_DATABASE),
        **dict.fromkeys(QUERY_PARTS, QUERY),
        **dict.fromkeys(VALIDATION_PARTS, UNUSED),
        DATABASE_PART: DATABASE,
    }
    unknown = sorted(names_of_parts - set(codes))
    if unknown:
        raise HarnessError(f"--split published: {name!r} has a part {unknown[0]!r}; known are {', '.join(codes)}.")
    for kind, names in (("training", TRAINING_PARTS), ("test", QUERY_PARTS)):
        if not names_of_parts & set(names):
            raise HarnessError(
                f"--split published: {name!r} has no published {kind} part ({' or '.join(names)}), only "
                f"{', '.join(sorted(names_of_parts))}; use --split paper."
            )
    return np.array([codes[part] for part in parts], dtype=np.int8)


def protocol_split(n_images: int, queries: int, training: int, data_seed: int) -> NDArray[np.int8]:
    """Some images are queries, all others the database, and some of these are for training, too.

    Args:
        n_images: Number of images.
        queries: Number of queries.
        training: Number of training images; 0 for the whole database.
        data_seed: Data seed.

    Returns:
        (n_images,) split codes.

    Raises:
        HarnessError: There are fewer images than that.
    """
    if queries + max(training, 1) > n_images:
        raise HarnessError(
            f"--split protocol takes {queries} queries and {training} training images, and there are {n_images} "
            "images: use --split paper."
        )
    order = numpy_generator(data_seed, "protocol-split").permutation(n_images)
    split = np.full(n_images, DATABASE, dtype=np.int8)
    split[order[:queries]] = QUERY
    split[order[queries : queries + training] if training else order[queries:]] = TRAIN_AND_DATABASE
    return split


def cut_validation(split: NDArray[np.int8], share: float, data_seed: int) -> NDArray[np.int8]:
    """For tuning: some training images become the queries, and the real queries are unused.

    Args:
        split: (n_images,) split codes.
        share: Share of the training images, rounded, at least one of them.
        data_seed: Data seed.

    Returns:
        (n_images,) split codes.

    Raises:
        HarnessError: No training image would be left.
    """
    training = training_images(split)
    number = max(1, round(share * len(training)))
    if number >= len(training):
        raise HarnessError(f"--validation {share:g} leaves none of {len(training)} training images.")
    changed = split.copy()
    changed[split == QUERY] = UNUSED
    changed[numpy_generator(data_seed, "validation").permutation(training)[:number]] = QUERY
    return changed


def check_split(split: NDArray[np.integer], where: str) -> None:
    """Check that a split has training, query and database images.

    Raises:
        HarnessError: A code is unknown or a part is empty.
    """
    unknown = np.setdiff1d(split, [TRAIN, QUERY, DATABASE, TRAIN_AND_DATABASE, UNUSED])
    if len(unknown):
        raise HarnessError(
            f"{where}: split holds {unknown[0]}; known are 0 train, 1 query, 2 database, 3 train and database, -1 "
            "unused."
        )
    for part, members in (
        ("training", training_images(split)),
        ("query", query_images(split)),
        ("database", database_images(split)),
    ):
        if not len(members):
            raise HarnessError(f"{where}: the split has no {part} image.")


def training_images(split: NDArray[np.integer]) -> Ints:
    """Training images, ascending."""
    return np.flatnonzero((split == TRAIN) | (split == TRAIN_AND_DATABASE))


def query_images(split: NDArray[np.integer]) -> Ints:
    """Query images, ascending."""
    return np.flatnonzero(split == QUERY)


def database_images(split: NDArray[np.integer]) -> Ints:
    """Database images, ascending."""
    return np.flatnonzero((split == DATABASE) | (split == TRAIN_AND_DATABASE))


def choose_captions(caption_image: Ints, n_images: int, data_seed: int) -> Ints:
    """One caption for each image, drawn evenly from its own.

    Args:
        caption_image: (n_captions,) image of each caption.
        n_images: Number of images; each has a caption.
        data_seed: Data seed.

    Returns:
        (n_images,) caption row of each image.
    """
    order = np.argsort(caption_image, kind="stable")
    counts = np.bincount(caption_image, minlength=n_images)
    first = np.cumsum(counts) - counts
    picked = numpy_generator(data_seed, "caption-choice").random(n_images)
    return order[first + np.minimum((picked * counts).astype(np.int64), counts - 1)]


def trusted_order(n_train: int, data_seed: int) -> Ints:
    """(n_train,) random order of the training rows; the trusted subset is its front,
    so subsets are nested over shares.
    """
    return numpy_generator(data_seed, "trusted").permutation(n_train)


def trusted_subset(order: Ints, share: float) -> NDArray[np.bool_]:
    """(n_train,) bool: the first int(share x n_train) rows of the order."""
    trusted = np.zeros(len(order), dtype=bool)
    trusted[order[: int(len(order) * share + 1e-9)]] = True
    return trusted


def stratified_limit(labels: NDArray, limit: int, data_seed: int) -> Ints:
    """Choose images so that each class keeps its share.

    Args:
        labels: (n_images,) integers, or (n_images, n_classes), whose rows are then classes of their own.
        limit: Number of images to keep.
        data_seed: Data seed.

    Returns:
        (min(limit, n_images),) image numbers, ascending.
    """
    n = len(labels)
    if limit >= n:
        return np.arange(n)
    codes = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    shuffled = numpy_generator(data_seed, "limit").permutation(n)
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    # Evenly spaced places in the list sorted by class: each class keeps its share to within one image.
    return np.sort(by_class[(np.arange(limit) * n + n // 2) // limit])
