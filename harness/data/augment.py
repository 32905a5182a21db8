"""The augmented view of an image, as in DUCH: blur, then a slight rotation; the backbone's own crop follows.

DUCH (Mikriukov et al., ICASSP 2022, released code "aug_center"): Gaussian blur 3 x 3 with sigma in [1.1, 1.3], rotation
in [-10, -5] degrees, centre crop. One augmented copy of each image, computed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.interfaces import ImageSource
from harness.seeding import numpy_generator

if TYPE_CHECKING:
    from PIL.Image import Image

RECIPE = "blur 3x3 sigma 1.1-1.3, rotation -10 to -5 degrees, seed 0, version 1"
"""Part of the key of cached features: change it with the code."""

SIGMA = (1.1, 1.3)
DEGREES = (-10.0, -5.0)


@dataclass(frozen=True)
class AugmentedImages:
    """The augmented copy of each image, in order.

    The strength of each copy depends on its position alone, not on the data seed, so that features can be cached.
    """

    images: ImageSource

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Image]:
        from PIL import Image
        from scipy.ndimage import gaussian_filter1d

        random = numpy_generator(0, "image-augmentation")
        for index in range(len(self.images)):
            sigma, degrees = random.uniform(*SIGMA), random.uniform(*DEGREES)
            pixels = np.asarray(self.images[index], dtype=np.float32)
            for axis in (0, 1):
                pixels = gaussian_filter1d(pixels, sigma, axis=axis, radius=1, mode="nearest")
            blurred = Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
            yield blurred.rotate(degrees, resample=Image.Resampling.BILINEAR)
