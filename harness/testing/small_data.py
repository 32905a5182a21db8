"""Small paired features with a class structure that both modalities share, and cells made of them in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.data.assemble import CellData, DataProtocol, assemble
from harness.data.features.feature_file import table_from_arrays

if TYPE_CHECKING:
    from harness.plugin.loading import Registry

PATTERN = (0, 0, 1, 2, 2)
"""Split codes that repeat: two training images, one query, two of the database."""


@dataclass(frozen=True)
class Size:
    """How large the data are.

    Attributes:
        n: Images.
        d_image: Numbers of an image feature.
        d_text: Numbers of a caption feature.
        views: Whether there are augmented views.
        split: Split code of each image; empty repeats :data:`PATTERN`.
    """

    n: int = 100
    d_image: int = 24
    d_text: int = 20
    views: bool = True
    split: tuple[int, ...] = ()


USUAL = Size()
TINY = Size(n=15, d_text=10, views=False, split=(0,) * 9 + (1,) + (2,) * 5)
"""Nine training pairs, one query, five items in the database."""


def feature_arrays(size: Size = USUAL, seed: int = 0, classes: int = 5) -> dict[str, NDArray]:
    """Arrays of a feature file (:mod:`harness.data.features.feature_file`), two captions for each image.

    Split and caption choice are fixed, so that labels move neither.

    Args:
        size: How large.
        seed: Of the numbers.
        classes: Classes; images of one class are neighbours in both modalities.
    """
    random = np.random.default_rng(seed)
    n = size.n
    labels = np.arange(n) % classes
    latent = random.normal(size=(classes, 8))[labels] + 0.5 * random.normal(size=(n, 8))
    caption_image = np.repeat(np.arange(n), 2)
    image = latent @ random.normal(size=(8, size.d_image)) + random.normal(size=(n, size.d_image))
    text = latent[caption_image] @ random.normal(size=(8, size.d_text)) + random.normal(size=(2 * n, size.d_text))
    split = size.split or tuple(PATTERN[at % len(PATTERN)] for at in range(n))
    arrays: dict[str, NDArray] = {
        "image": image.astype(np.float32),
        "text": text.astype(np.float32),
        "caption_image": caption_image,
        "labels": labels,
        "split": np.array(split),
        "caption_choice": np.arange(n) * 2,
    }
    if size.views:
        for name, array in (("image_aug", image), ("text_aug", text)):
            arrays[name] = (array + 0.5 * random.normal(size=array.shape)).astype(np.float32)
    return arrays


def small_cell(
    registry: Registry,
    arrays: Mapping[str, NDArray],
    *,
    noise: float = 0.4,
    trusted: float = 0.3,
    data_seed: int = 0,
    protocol: str = "derangement",
) -> CellData:
    """The data of a cell on such arrays: standardised, with noise."""
    table = table_from_arrays(arrays, "small", "small data")
    declared = registry.get("protocol", protocol)
    asked = DataProtocol(declared, noise if declared.takes_rate else None, trusted, data_seed, "scalar")
    assert table.split is not None
    return assemble(table, asked, table.split)
