"""Raw data sets: images that are decoded when asked for, captions, labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.data.content_hashes import hash_file, hash_files
from harness.data.decoding import decode
from harness.data.matrices import check_numbers
from harness.data.table import OF_IMAGES, at_rows, captions_of, check_captions_cover
from harness.errors import HarnessError
from harness.plugin.interfaces import ImageSource

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class RawDataset:
    """Images and captions as a reader found them.

    Attributes:
        name: Name of the data set.
        images: The images.
        captions: All captions.
        caption_image: (n_captions,) int64 image of each caption.
        labels: (n_images,) int64, or (n_images, n_classes) bool.
        filenames: Names of the images, for people.
        split: (n_images,) int8 published split, or None.
        parts: (n_images,) name of the published part of each image ("train", "val", "test", "restval"), or None; a
            choice of splits, no fact of the data.
        unlabelled: (n_images,) bool images without a class, or None; they are never queries or database items where
            relevance goes by labels.
        trusted: (n_images,) bool pairs known to be right, or None.
        wrong: (n_images,) bool pairs known to be wrong (natural noise), or None.
        text_features: (n_captions, d) float32 where the set brings features in place of texts, or None.
    """

    name: str
    images: ImageSource
    captions: list[str]
    caption_image: NDArray[np.int64]
    labels: NDArray
    filenames: list[str]
    split: NDArray[np.int8] | None = None
    parts: tuple[str, ...] | None = None
    unlabelled: NDArray[np.bool_] | None = None
    trusted: NDArray[np.bool_] | None = None
    wrong: NDArray[np.bool_] | None = None
    text_features: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def content_hashes(self) -> list[str]:
        """Content hash of each image."""
        at_once = getattr(self.images, "fingerprints", None)
        return at_once() if at_once else [self.images.fingerprint(index) for index in range(len(self.images))]

    @cached_property
    def content_codes(self) -> NDArray[np.int64]:
        """(n_images,) int64, equal for images of equal content: what the hashes say, quicker to compare."""
        return np.unique(np.asarray(self.content_hashes), return_inverse=True)[1].reshape(-1).astype(np.int64)

    @cached_property
    def image_fingerprint(self) -> str:
        """Hash of the content of all images, in order."""
        return hashlib.sha256("".join(self.content_hashes).encode()).hexdigest()[:16]

    @cached_property
    def caption_fingerprint(self) -> str:
        """Hash of all captions, in order."""
        return hashlib.sha256("\0".join(self.captions).encode()).hexdigest()[:16]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of images, captions, labels and split."""
        digest = hashlib.sha256(f"{self.image_fingerprint} {self.caption_fingerprint}".encode())
        for array in (self.caption_image, self.labels, self.split):
            digest.update(b"none" if array is None else f"{array.dtype} {array.shape}".encode())
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        for name in ("unlabelled", "trusted", "wrong", "text_features"):  # only where they are there: older data keep
            array = getattr(self, name)  # their fingerprint
            if array is not None:
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def subset(self, images: NDArray[np.int64]) -> RawDataset:
        """The data set with some images only, in the order given."""
        kept, caption_image = captions_of(images, self.caption_image, len(self))
        return replace(
            self,
            images=_some(self.images, images),
            caption_image=caption_image,
            **at_rows(self, images, *OF_IMAGES),
            **at_rows(self, kept, "captions", "text_features"),
        )


def check_raw(raw: RawDataset, reader: str) -> RawDataset:
    """Check that what a reader returned keeps the contract.

    Args:
        raw: The data.
        reader: Name of the reader, for messages.

    Returns:
        The same data.

    Raises:
        HarnessError: Lengths differ, an image has no caption, a file name or a file occurs twice, a caption or a name
            is no text, a pair is trusted and wrong, text features are no finite numbers.
    """
    where = f"data set {raw.name!r}, read by {reader!r}"
    if not _can_be_written(raw.name):
        raise HarnessError(f"{where}: its name is no valid Unicode; rename the folder that it is taken from.")
    n_images, n_captions = len(raw.images), len(raw.captions)
    if not n_images:
        raise HarnessError(f"{where}: it has no images.")
    for name in ("labels", "filenames", "parts", "unlabelled", "trusted", "wrong"):
        array = getattr(raw, name)
        if array is not None and len(array) != n_images:
            raise HarnessError(f"{where}: {name} has {len(array)} entries for {n_images} images.")
    if len(raw.caption_image) != n_captions:
        raise HarnessError(f"{where}: caption_image has {len(raw.caption_image)} entries for {n_captions} captions.")
    if raw.text_features is not None:
        check_numbers(raw.text_features, f"{where}: text_features")
        if len(raw.text_features) != n_captions:
            raise HarnessError(f"{where}: text_features has {len(raw.text_features)} rows for {n_captions} captions.")
    _refuse_no_text(raw.captions, f"{where}: caption")
    _refuse_no_text(raw.filenames, f"{where}: name of image")
    check_captions_cover(raw.caption_image, n_images, where)
    for names in (raw.filenames, [str(path) for path in paths_of(raw.images)]):
        twice = first_twice(names)
        if twice is not None:
            raise HarnessError(f"{where}: image {twice!r} is there twice.")
    if raw.trusted is not None and raw.wrong is not None and (raw.trusted & raw.wrong).any():
        both = int(np.flatnonzero(raw.trusted & raw.wrong)[0])
        raise HarnessError(f"{where}: image {raw.filenames[both]!r} is both trusted and wrong.")
    return raw


def _refuse_no_text(values: Sequence[object], what: str) -> None:
    """Refuse what is no text, or a text that cannot be written to a file.

    Raises:
        HarnessError: One is not; the message has its number.
    """
    for number, value in enumerate(values):
        if not isinstance(value, str):
            raise HarnessError(f"{what} {number} is {type(value).__name__}, expected text.")
        if not _can_be_written(value):
            raise HarnessError(f"{what} {number} is no valid Unicode: {value[:60]!a}.")


def _can_be_written(text: str) -> bool:
    """Whether a text has no halves of characters (surrogates), which no file and no terminal takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def first_twice(names: Sequence[str]) -> str | None:
    """The first name that was there before, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


@dataclass(frozen=True)
class SomeImages:
    """Some images of a source."""

    source: ImageSource
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Image:
        return self.source[int(self.rows[index])]

    def fingerprint(self, index: int) -> str:
        """Content hash of one image."""
        return self.source.fingerprint(int(self.rows[index]))

    def fingerprints(self) -> list[str]:
        """Content hash of every image."""
        if isinstance(self.source, ImageFiles):
            return hash_files(paths_of(self))
        return [self.fingerprint(index) for index in range(len(self))]


def paths_of(images: ImageSource) -> list[Path]:
    """The files of images that are files, one for each; none of images from elsewhere."""
    if isinstance(images, SomeImages):
        paths = paths_of(images.source)
        return [paths[int(row)] for row in images.rows] if paths else []
    return list(images.paths) if isinstance(images, ImageFiles) else []


def _some(images: ImageSource, rows: NDArray[np.int64]) -> SomeImages:
    """Some images; of those that are some already, straight from their source, which may hash files at once."""
    return SomeImages(images.source, images.rows[rows]) if isinstance(images, SomeImages) else SomeImages(images, rows)


@dataclass(frozen=True)
class ImageFiles:
    """Images in files."""

    paths: Sequence[Path]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image:
        return decode(self.paths[index])

    def fingerprint(self, index: int) -> str:
        """SHA-256 of the file."""
        return hash_file(self.paths[index])

    def fingerprints(self) -> list[str]:
        """SHA-256 of every file; unchanged files are not read again."""
        return hash_files(self.paths)
