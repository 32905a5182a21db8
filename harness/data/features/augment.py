"""Augmented views of images: blur and rotation as in DUCH, or RandAugment. The backbone's own crop follows.

DUCH (Mikriukov et al., ICASSP 2022, released code "aug_center"): Gaussian blur 3 x 3 with sigma in [1.1, 1.3], rotation
in [-10, -5] degrees, centre crop. RandAugment (Cubuk et al., NeurIPS 2020): two operations of magnitude 9, as
torchvision implements them with its defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.plugin.interfaces import ImageSource
from harness.runtime.seeding import numpy_generator

if TYPE_CHECKING:
    from PIL.Image import Image

RECIPE = "blur 3x3 sigma 1.1-1.3, rotation -10 to -5 degrees, seed 0, version 1"
"""Of the first DUCH view. Part of the key of cached features: change it with the code."""

RAND_RECIPE = "RandAugment, 2 operations of magnitude 9, version 1"

_ALONE = Lock()
"""Views are made in several threads."""

SIGMA = (1.1, 1.3)
DEGREES = (-10.0, -5.0)


@dataclass(frozen=True)
class AugmentedImages:
    """DUCH's augmented copy of each image.

    The strength of each copy depends on its position alone.

    Attributes:
        images: The images.
        seed, stream: The random stream that strengths are drawn from; by default the same for every data seed.
    """

    images: ImageSource
    seed: int = 0
    stream: str = "image-augmentation"
    _strengths: NDArray[np.float64] = field(init=False, repr=False, compare=False)  # (n, 2) sigma and degrees

    def __post_init__(self) -> None:
        random = numpy_generator(self.seed, self.stream)
        low, high = np.transpose([SIGMA, DEGREES])
        object.__setattr__(self, "_strengths", random.uniform(low, high, (len(self.images), 2)))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Image:
        from PIL import Image
        from scipy.ndimage import gaussian_filter1d

        sigma, degrees = self._strengths[index]
        pixels = np.asarray(self.images[index], dtype=np.float32)
        for axis in (0, 1):
            pixels = gaussian_filter1d(pixels, sigma, axis=axis, radius=1, mode="nearest")
        blurred = Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
        return blurred.rotate(degrees, resample=Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class RandAugmentedImages:
    """RandAugment's copy of each image; what is done to it depends on its position and the seed.

    Attributes:
        images: The images.
        seed, stream: The random stream.
    """

    images: ImageSource
    seed: int
    stream: str
    _seeds: NDArray[np.int64] = field(init=False, repr=False, compare=False)  # (n,)

    def __post_init__(self) -> None:
        random = numpy_generator(self.seed, self.stream)
        object.__setattr__(self, "_seeds", random.integers(0, 2**63, len(self.images)))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Image:
        import torch

        from harness.runtime.torchvision_operators import make_torchvision_importable

        make_torchvision_importable()
        from torchvision.transforms import RandAugment

        seed = int(self._seeds[index])
        image = self.images[index]
        with _ALONE, torch.random.fork_rng(devices=[]):  # it draws from torch's global generator
            torch.manual_seed(seed)
            return RandAugment()(image)
