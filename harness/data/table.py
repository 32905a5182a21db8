"""Features of a data set, whether computed here or brought by the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError

Floats = NDArray[np.float32]

OF_IMAGES = ("labels", "filenames", "split", "parts", "unlabelled", "trusted", "wrong")
"""What features and raw data alike have for each image."""


@dataclass(frozen=True)
class FeatureTable:
    """Features of all images and captions, and what is known about them.

    Attributes:
        name: Name of the data set.
        image: (n_images, d_image) float32.
        text: (n_captions, d_text) float32.
        caption_image: (n_captions,) int64 image of each caption.
        labels: (n_images,) int64, (n_images, n_classes) bool.
        image_views: Augmented views, each (n_images, d_image).
        text_views: Augmented views, each (n_captions, d_text).
        split: (n_images,) int8 codes of :mod:`harness.data.splits`, or None.
        caption_choice: (n_images,) int64 caption row chosen for each image, or None.
        trusted: (n_images,) bool, or None.
        wrong: (n_images,) bool natural noise, or None.
        captions: The strings, or None.
        filenames: Names of the images, or None.
        fingerprint: Hash of the data (not of the features where they are computed here).
        limited: The file holds this many images of a larger data set (``--limit`` of its export), or None.
        holds_plan: The file that they came from holds a noise plan, too.
        parts: (n_images,) names of published parts, or None; see :class:`harness.data.raw.RawDataset`.
        unlabelled: (n_images,) bool images without a class, or None; likewise.
        shared_space: Image and caption features are of one space.
        origin: For features that ``harness data export`` wrote: fingerprint of the data they were made from.
    """

    name: str
    image: Floats
    text: Floats
    caption_image: NDArray[np.int64]
    labels: NDArray
    image_views: tuple[Floats, ...] = ()
    text_views: tuple[Floats, ...] = ()
    split: NDArray[np.int8] | None = None
    caption_choice: NDArray[np.int64] | None = None
    trusted: NDArray[np.bool_] | None = None
    wrong: NDArray[np.bool_] | None = None
    captions: list[str] | None = None
    filenames: list[str] | None = None
    parts: tuple[str, ...] | None = None
    unlabelled: NDArray[np.bool_] | None = None
    fingerprint: str = ""
    shared_space: bool = False
    origin: str = ""
    holds_plan: bool = False
    limited: int | None = None

    def __len__(self) -> int:
        return len(self.image)

    @property
    def label_matrix(self) -> NDArray[np.bool_]:
        """(n_images, n_classes) bool, single labels one-hot."""
        return one_hot(self.labels)

    def subset(self, images: NDArray[np.int64]) -> FeatureTable:
        """The table with some images only, in the order given."""
        kept, caption_image = captions_of(images, self.caption_image, len(self))
        new_caption = np.full(len(self.text), -1, dtype=np.int64)
        new_caption[kept] = np.arange(len(kept))
        chosen = self.caption_choice
        return replace(
            self,
            caption_image=caption_image,
            caption_choice=None if chosen is None else new_caption[chosen[images]],
            **at_rows(self, images, "image", "image_views", *OF_IMAGES),
            **at_rows(self, kept, "text", "text_views", "captions"),
        )


def one_hot(labels: NDArray) -> NDArray[np.bool_]:
    """(n,) integers to (n, n_classes) bool; a matrix stays."""
    if labels.ndim == 2:
        return labels.astype(bool)
    values, codes = np.unique(labels, return_inverse=True)
    return codes.reshape(-1)[:, None] == np.arange(len(values))[None, :]


def captions_of(
    images: NDArray[np.int64], caption_image: NDArray[np.int64], n_images: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the captions of some of ``n_images`` images, (m,), and the place of the image of each among them."""
    place = np.full(n_images, -1, dtype=np.int64)
    place[images] = np.arange(len(images))
    kept = np.flatnonzero(place[caption_image] >= 0)
    return kept, place[caption_image[kept]]


def at_rows(data: object, rows: Any, *names: str) -> dict[str, Any]:
    """Name to some rows of that attribute: of an array, of texts, of each array in a tuple or mapping; None stays.

    ``rows`` are (m,) int64 row numbers or, where no attribute is a list or tuple of texts, (n,) bool.
    """
    return {name: _at(getattr(data, name), rows) for name in names}


def _at(column: Any, rows: Any) -> Any:
    if isinstance(column, Mapping):
        return {key: _at(values, rows) for key, values in column.items()}
    if isinstance(column, list | tuple):
        texts = any(isinstance(value, str) for value in column[:1])
        return type(column)((column[row] for row in rows) if texts else (_at(values, rows) for values in column))
    return None if column is None else column[rows]


def check_captions_cover(caption_image: NDArray[np.int64], n_images: int, where: str) -> None:
    """Check that every caption names an existing image and that every image has a caption.

    Raises:
        HarnessError: Otherwise; the message counts and gives the first offender.
    """
    out = np.flatnonzero((caption_image < 0) | (caption_image >= n_images))
    if len(out):
        raise HarnessError(
            f"{where}: caption_image[{out[0]}] = {caption_image[out[0]]}, but there are {n_images} images "
            f"(0 to {n_images - 1}); {len(out)} captions have no image."
        )
    missing = np.flatnonzero(np.bincount(caption_image, minlength=n_images) == 0)
    if len(missing):
        raise HarnessError(
            f"{where}: {len(missing)} of {n_images} images have no caption, the first is image {missing[0]}."
        )
