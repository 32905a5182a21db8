"""Features of torchvision's classifiers: the input of their last layer, in eval mode, with ImageNet normalisation.

The recipe ``released`` is that of the CHNR paper's code instead (comrados/noisy_captions, duch/images_augment.py):
batch normalisation by the statistics of the batch, images shuffled into big batches, and no ImageNet normalisation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from torch import nn

from harness import HarnessError
from harness.data.features.weights import fit_into, read_state
from harness.data.loading import Rows, autocast, encode_in_batches
from harness.errors import unknown_name
from harness.plugin.interfaces import Run
from harness.runtime.torchvision_operators import make_torchvision_importable

make_torchvision_importable()

from torchvision import models  # noqa: E402 - its operators must be declared first
from torchvision.transforms import functional  # noqa: E402

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

RELEASED_SEED = 42
"""Seed of the released code's numpy permutation."""

RELEASED_BATCH = 525
"""Largest batch of the released recipe: a quarter of UCM. For RSICD the released code takes 500."""


def without_head(model: nn.Module) -> list[str]:
    """Replace the last linear layer by the identity, so that the model gives its input.

    SqueezeNet has no linear layer: its classifier (a 1 x 1 convolution) becomes the global average pooling that follows
    it.

    Args:
        model: A torchvision classifier; changed in place.

    Returns:
        Prefixes of the parameters that went.
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if linear:
        parent, _, attribute = linear[-1].rpartition(".")
        setattr(model.get_submodule(parent), attribute, nn.Identity())
        return [linear[-1] + "."]
    if isinstance(getattr(model, "classifier", None), nn.Sequential):
        model.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1))
        return ["classifier."]
    raise HarnessError(
        f"torchvision/{type(model).__name__.lower()}: the harness does not know where its classifier begins; use "
        "another model."
    )


def batch_statistics(model: nn.Module) -> nn.Module:
    """Eval mode but for batch normalisation, which then uses the statistics of the batch.

    Raises:
        HarnessError: The model has no batch normalisation.
    """
    model.eval()
    layers = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        raise HarnessError(
            f"--image-recipe released: {type(model).__name__} has no batch normalisation, so it would be no more than "
            "leaving out the ImageNet normalisation; the paper used torchvision/resnet18."
        )
    for layer in layers:
        layer.train()
    return model


@dataclass(frozen=True)
class Preparation:
    """From a PIL RGB image to (3, size, size) float32: centre crop, scaling, and the ImageNet normalisation.

    Attributes:
        crop: Side of the crop in pixels; an image with a smaller side is not cropped.
        size: Side of the result in pixels.
        normalised: Whether the ImageNet mean and deviation are taken out; values are in [0, 1] otherwise.
    """

    crop: int
    size: int
    normalised: bool = True

    def __call__(self, image: Image) -> torch.Tensor:
        """One image."""
        if min(image.size) > self.crop:
            image = functional.center_crop(image, [self.crop])
        image = functional.resize(image, [self.size, self.size], antialias=True)
        pixels = functional.to_tensor(image)
        return functional.normalize(pixels, MEAN, DEVIATION) if self.normalised else pixels


class TorchvisionFeatures:
    """(n, d) float32 features of PIL RGB images."""

    def __init__(
        self,
        *,
        model: str,
        weights: str,
        batch_size: int,
        crop: int,
        size: int,
        recipe: str = "standard",
        released_batch: int = 0,
        precision: str = "fp32",
    ) -> None:
        self.name, self.weights, self.recipe = model, weights, recipe
        self.batch_size, self.crop, self.size = batch_size, crop, size
        self.released_batch, self.precision = released_batch, precision

    def _network(self) -> nn.Module:
        known = models.list_models(module=models)
        if self.name not in known:
            raise unknown_name("torchvision model", self.name, known)
        if not self.weights:
            try:
                network = models.get_model(self.name, weights="DEFAULT")
            except Exception as error:  # URLError, HTTPError, hash mismatch
                raise HarnessError(
                    f"torchvision/{self.name}: its weights cannot be downloaded ({error}); give a local file with "
                    "--image-weights FILE, or use --image-backbone handcrafted, which needs none."
                ) from error
            without_head(network)
            return network
        extra = {"init_weights": False} if self.name in ("googlenet", "inception_v3") else {}
        network = models.get_model(self.name, weights=None, **extra)
        gone = tuple(without_head(network))
        fit_into(
            network,
            read_state(Path(self.weights)),
            f"--image-weights {self.weights} does not fit torchvision/{self.name}",
            may_exceed=lambda key: key.startswith(gone),
        )
        return network

    def encode(self, raw: Collection[Image], run: Run) -> Iterator[Rows]:
        """PIL RGB images to features, batch by batch."""
        released = self.recipe == "released"
        network = self._network()
        network = (batch_statistics(network) if released else network.eval()).to(run.device)

        def forward(batch: torch.Tensor) -> torch.Tensor:
            with autocast(self.precision, run.device):
                return network(batch)

        return encode_in_batches(
            raw,
            Preparation(self.crop, self.size, normalised=not released),
            forward,
            run,
            batch_size=self._released_batch(len(raw)) if released else self.batch_size,
            phase="images",
            order=released_order(len(raw)) if released else None,
            divisible=not released,
        )

    def _released_batch(self, count: int) -> int:
        """Images per batch; a single image at the end would have no batch to speak of."""
        size = min(RELEASED_BATCH, max(2, -(-count // 4)))
        while count % size == 1:
            size += 1
        return self.released_batch or size


def released_order(count: int) -> np.ndarray:
    """(n,) the order in which the released code takes the images, so that a batch mixes the classes."""
    return np.random.RandomState(RELEASED_SEED).permutation(count)
