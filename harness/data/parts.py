"""From the options of a cell to who is training, query and database image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.data import duplicates
from harness.data.cards import CardProtocol
from harness.data.raw import RawDataset
from harness.data.splits import (
    DATABASE,
    QUERY,
    SPLITS,
    TRAIN,
    TRAIN_AND_DATABASE,
    UNUSED,
    check_split,
    cut_validation,
    paper_split,
    protocol_split,
    published_split,
    stratified_split,
)
from harness.data.table import FeatureTable
from harness.errors import HarnessError, unknown_name
from harness.text import counted

RELEVANCE = ("label", "instance")
"""A shared label; or an item's own partners."""

BROUGHT = "given"
"""Name of a split that features bring."""

NAMED = 50
"""File names of copies that are recorded, at most."""


@dataclass(frozen=True)
class Choice:
    """What the options of a cell say about its parts.

    Attributes:
        data_seed: Data seed.
        split: One of :data:`harness.data.splits.SPLITS`, or None for the default of the data.
        validation: Share of the training images that become the queries, or None.
        relevance: One of :data:`RELEVANCE`.
        drop_duplicates: Copies of images in another part are left out.
    """

    data_seed: int
    split: str | None = None
    validation: float | None = None
    relevance: str = "label"
    drop_duplicates: bool = False

    def check(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            HarnessError: One does not.
        """
        if self.split is not None and self.split not in SPLITS:
            raise unknown_name("value of --split", self.split, SPLITS)
        if self.relevance not in RELEVANCE:
            raise unknown_name("value of --relevance", self.relevance, RELEVANCE)
        if self.validation is not None and not 0 < self.validation < 1:
            raise HarnessError(f"--validation {self.validation:g}: expected a share between 0 and 1.")


@dataclass(frozen=True)
class Parts:
    """The parts of a cell's data.

    Attributes:
        split: (n_images,) split codes.
        name: Name of the split.
        copies: Names of images that are copies of one in another part, at most :data:`NAMED` of them.
        notes: Remarks for the record and the user.
    """

    split: NDArray[np.int8]
    name: str
    copies: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def choose_parts(
    data: RawDataset | FeatureTable,
    choice: Choice,
    *,
    default: str = "paper",
    protocol: CardProtocol | None = None,
    is_file: bool = False,
    whole: int | None = None,
) -> Parts:
    """Who is training, query and database image.

    Args:
        data: The data.
        choice: What the options say.
        default: The split where they say nothing.
        protocol: The usual protocol of the set, or None.
        is_file: The data are ready features of the user, whose split is part of them.
        whole: Number of images before ``--limit``, where it left some out; the protocol is then scaled down.

    Returns:
        Split codes, and what there is to say of them.

    Raises:
        HarnessError: The options make no sense for these data, or a part would be empty.
    """
    choice.check()
    notes: list[str] = []
    name, split = _drawn(data, choice, default, protocol, is_file, whole)
    if choice.relevance == "label":
        split = _labelled_only(data, split, notes)
    if choice.validation is not None:
        split = cut_validation(split, choice.validation, choice.data_seed)
    copies: tuple[str, ...] = ()
    if isinstance(data, RawDataset):
        copies_found = duplicates.find_copies(data.content_codes, split)
        if len(copies_found):
            copies = tuple(data.filenames[image] for image in copies_found.images[:NAMED])
            if choice.drop_duplicates:
                split = duplicates.without_copies(split, copies_found)
            done = "left out" if choice.drop_duplicates else "kept; --drop-duplicates leaves them out"
            notes.append(f"{duplicates.described(copies_found)}: {done} (the first is {copies[0]})")
    elif choice.drop_duplicates:
        raise HarnessError("--drop-duplicates compares images, and these data are ready features: leave it out.")
    check_split(split, data.name)
    return Parts(split, name, copies, tuple(notes))


def _drawn(
    data: RawDataset | FeatureTable, choice: Choice, default: str, protocol: CardProtocol | None, is_file: bool,
    whole: int | None,
) -> tuple[str, NDArray[np.int8]]:  # fmt: skip
    """Name and codes of the split, before anything is taken out of it."""
    brought = data.split if isinstance(data, FeatureTable) else None
    if brought is not None and is_file:
        if choice.split is not None:
            raise HarnessError(f"--split {choice.split} has no say: the features {data.name!r} bring their own split.")
        return BROUGHT, brought
    name = choice.split or default
    if name == "published":
        return name, published_split(data.parts, data.name)
    if name == "stratified":
        return name, stratified_split(data.labels, choice.data_seed)
    if name == "protocol":
        if protocol is None:
            raise HarnessError(f"--split protocol: {data.name!r} has no usual protocol in its card; use --split paper.")
        share = 1.0 if whole is None else len(data) / whole
        sizes = [round(number * share) for number in (protocol.queries, protocol.training)]
        return name, protocol_split(len(data), max(sizes[0], 1), sizes[1], choice.data_seed)
    return name, paper_split(len(data), choice.data_seed)


def _labelled_only(data: RawDataset | FeatureTable, split: NDArray[np.int8], notes: list[str]) -> NDArray[np.int8]:
    """Images without a class train, but are no queries and no database items: nothing could be relevant to them."""
    unlabelled = data.unlabelled
    if unlabelled is None or not unlabelled.any():
        return split
    if unlabelled.all():
        raise HarnessError(
            f"the images of {data.name!r} have no labels, so that nothing is relevant by label: add --relevance "
            "instance."
        )
    changed = split.copy()
    changed[unlabelled & ((split == QUERY) | (split == DATABASE))] = UNUSED
    changed[unlabelled & (split == TRAIN_AND_DATABASE)] = TRAIN
    moved = int((changed != split).sum())
    if moved:
        notes.append(
            f"{counted(int(unlabelled.sum()), 'image')} without a class: {moved} of them were drawn as query or "
            "database image and are not used as such"
        )
    return changed


def recorded(parts: Parts, choice: Choice) -> dict[str, object]:
    """What the record says of the parts."""
    copies: Sequence[str] = parts.copies
    return {
        "split": parts.name,
        "validation": choice.validation,
        "relevance": choice.relevance,
        "drop_duplicates": choice.drop_duplicates,
        "copies": list(copies),
    }
