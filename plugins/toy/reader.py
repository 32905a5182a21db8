"""The toy data set: scenes drawn from seeds, rendered when asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from harness_plugins.toy.captions import captions
from harness_plugins.toy.scenes import CLASSES, Scene, draw_scene, render

from harness.data.cards import DatasetCard
from harness.data.raw import RawDataset

if TYPE_CHECKING:
    from PIL.Image import Image

SEED = 20_220_213
"""Everyone's toy data are the same."""


@dataclass(frozen=True)
class RenderedScenes:
    """Scenes as images."""

    scenes: list[Scene]
    program: str

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Image:
        return _rendered(self.scenes[index])

    def fingerprint(self, index: int) -> str:
        """Hash of the scene and of the program that renders it."""
        return hashlib.sha256(f"{self.program} {self.scenes[index]!r}".encode()).hexdigest()


@cache
def _rendered(scene: Scene) -> Image:
    """The picture of a scene, drawn once for all of its views: 400 have 8 MB."""
    return render(scene)


def read_toy(card: DatasetCard, root: Path | None) -> RawDataset:
    """Make the data set: ``card.images`` scenes, the classes equally often, and five captions each."""
    labels = np.arange(card.images) * len(CLASSES) // card.images
    scenes = [draw_scene(CLASSES[label], SEED + number) for number, label in enumerate(labels)]
    texts = [text for scene in scenes for text in captions(scene)]
    return RawDataset(
        name=card.name,
        images=RenderedScenes(scenes, _program()),
        captions=texts,
        caption_image=np.repeat(np.arange(card.images), card.captions_per_image),
        labels=labels.astype(np.int64),
        filenames=[f"{CLASSES[label].replace(' ', '-')}-{number:04}.png" for number, label in enumerate(labels)],
    )


def _program() -> str:
    """Hash of the rendering code, so that changed pictures never come from the cache."""
    code = b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(code).hexdigest()[:16]
