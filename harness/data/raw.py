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
from harness.errors import HarnessError
from harness.interfaces import ImageSource

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
    """

    name: str
    images: ImageSource
    captions: list[str]
    caption_image: NDArray[np.int64]
    labels: NDArray
    filenames: list[str]
    split: NDArray[np.int8] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def content_hashes(self) -> list[str]:
        """Content hash of each image."""
        at_once = getattr(self.images, "fingerprints", None)
        return at_once() if at_once else [self.images.fingerprint(index) for index in range(len(self.images))]

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
        return digest.hexdigest()[:16]

    def subset(self, images: NDArray[np.int64]) -> RawDataset:
        """The data set with some images only, in the order given."""
        new_number = np.full(len(self), -1, dtype=np.int64)
        new_number[images] = np.arange(len(images))
        kept = np.flatnonzero(new_number[self.caption_image] >= 0)
        return replace(
            self,
            images=SomeImages(self.images, images),
            captions=[self.captions[row] for row in kept],
            caption_image=new_number[self.caption_image[kept]],
            labels=self.labels[images],
            filenames=[self.filenames[row] for row in images],
            split=None if self.split is None else self.split[images],
        )


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
            return hash_files([self.source.paths[int(row)] for row in self.rows])
        return [self.fingerprint(index) for index in range(len(self))]


@dataclass(frozen=True)
class ImageFiles:
    """Images in files."""

    paths: Sequence[Path]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image:
        from PIL import Image

        try:
            with Image.open(self.paths[index]) as opened:
                return opened.convert("RGB")
        except FileNotFoundError:
            raise HarnessError(f"image {self.paths[index]} is missing.") from None
        except Exception as error:  # Pillow raises OSError, ValueError, SyntaxError and its own kinds for damaged files
            raise HarnessError(f"image {self.paths[index]} cannot be decoded: {error}.") from error

    def fingerprint(self, index: int) -> str:
        """SHA-256 of the file."""
        return hash_file(self.paths[index])

    def fingerprints(self) -> list[str]:
        """SHA-256 of every file; unchanged files are not read again."""
        return hash_files(self.paths)
