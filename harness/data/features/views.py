"""Which augmented views of images and captions a cell has, and how they are made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.content_hashes import hash_remembered
from harness.data.features import augment, text_views
from harness.errors import HarnessError, unknown_name
from harness.plugin.interfaces import ImageSource, Run

IMAGE_AUGMENTS = ("duch", "randaugment")
TEXT_AUGMENTS = ("dropout", "synonyms", "back-translation")

STANDING = (1, "duch")
"""Image views where nothing is said. Their strengths are the same for every data seed, as in all records made so."""

AugmentedView = augment.AugmentedImages | augment.RandAugmentedImages

MOST = 16
"""More views are a slip of the keyboard: each costs a pass of the backbone over all data."""


@dataclass(frozen=True)
class ImageViews:
    """Augmented views of the images.

    Attributes:
        number: How many.
        augment: One of :data:`IMAGE_AUGMENTS`.
        seed: The data seed.
    """

    number: int = STANDING[0]
    augment: str = STANDING[1]
    seed: int = 0

    def __post_init__(self) -> None:
        _check_number("--image-views", self.number)
        if self.augment not in IMAGE_AUGMENTS:
            raise unknown_name("value of --image-augment", self.augment, IMAGE_AUGMENTS)

    def describe(self) -> dict[str, Any]:
        """What the record says and the cell's hash covers; empty for the standing view."""
        if (self.number, self.augment) == STANDING:
            return {}
        return _described(self.number, self.augment, self.seed)

    def recipes(self) -> list[str]:
        """A text for each view that determines what it is, for the key of cached features."""
        if self.augment == "duch":
            further = [f"{augment.RECIPE}, but seed {self.seed}, view {view}" for view in range(2, self.number + 1)]
            return [augment.RECIPE, *further][: self.number]
        return [f"{augment.RAND_RECIPE}, seed {self.seed}, view {view}" for view in range(1, self.number + 1)]

    def of(self, images: ImageSource) -> list[AugmentedView]:
        """The views of some images, each as long as they."""
        views: list[AugmentedView] = []
        for view in range(1, self.number + 1):
            stream = f"image-augmentation-{self.augment}-{view}"
            if self.augment == "randaugment":
                views.append(augment.RandAugmentedImages(images, self.seed, stream))
            elif view == 1:
                views.append(augment.AugmentedImages(images))
            else:
                views.append(augment.AugmentedImages(images, self.seed, stream))
        return views


@dataclass(frozen=True)
class TextViews:
    """Augmented views of the captions.

    Attributes:
        number: How many; 0 where nothing is said.
        augment: One of :data:`TEXT_AUGMENTS`.
        seed: The data seed.
        data: List of synonyms ("" for the one that comes with the harness), or folder of translation models.
    """

    number: int = 0
    augment: str = TEXT_AUGMENTS[0]
    seed: int = 0
    data: str = ""

    def __post_init__(self) -> None:
        _check_number("--text-views", self.number)
        if self.augment not in TEXT_AUGMENTS:
            raise unknown_name("value of --text-augment", self.augment, TEXT_AUGMENTS)
        if self.number and self.augment == "synonyms":
            text_views.read_synonyms(self.data)
        if self.number and self.augment == "back-translation":
            text_views.check_translation_models(self.data)

    def describe(self) -> dict[str, Any]:
        """What the record says and the cell's hash covers; empty without views."""
        if not self.number:
            return {}
        if self.augment == "dropout":
            return _described(self.number, self.augment, self.seed)
        if self.augment == "synonyms":
            data = text_views.fingerprint_of_synonyms(self.data)
            return {**_described(self.number, self.augment, self.seed), "list": data}
        return {"number": self.number, "augment": self.augment, "models": fingerprint_of_tree(Path(self.data))}

    def recipes(self) -> list[str]:
        """A text for each view that determines what it is, for the key of cached features."""
        facts = {
            "dropout": f"share {text_views.DROPPED}",
            "synonyms": f"share {text_views.REPLACED}",
            "back-translation": f"beams {text_views.BEAMS}, tokens {text_views.TRANSLATED_TOKENS}",
        }[self.augment]
        described = self.describe()
        return [f"{described}, {facts}, view {view}, version 1" for view in range(1, self.number + 1)]

    def of(self, captions: Sequence[str], run: Run) -> list[list[str]]:
        """The views of some captions, each as long as they.

        Raises:
            HarnessError: Translation models cannot be loaded.
        """
        views = []
        for view in range(1, self.number + 1):
            stream = f"text-augmentation-{self.augment}-{view}"
            if self.augment == "dropout":
                views.append(text_views.dropped_words(captions, self.seed, stream))
            elif self.augment == "synonyms":
                groups = text_views.read_synonyms(self.data)
                views.append(text_views.replaced_synonyms(captions, groups, self.seed, stream))
            else:
                views.append(text_views.translated_back(captions, self.data, view, run))
        return views


def _described(number: int, augmentation: str, seed: int) -> dict[str, Any]:
    return {"number": number, "augment": augmentation, "seed": seed} if number else {"number": 0}


def _check_number(option: str, number: int) -> None:
    if not 0 <= number <= MOST:
        raise HarnessError(f"{option} {number}: expected 0 to {MOST}.")


def fingerprint_of_tree(folder: Path) -> str:
    """``sha256:...`` of all files below a folder, with their places in it."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        digest.update(bytes.fromhex(hash_remembered(file, "weights")))
    return f"sha256:{digest.hexdigest()[:16]}"
