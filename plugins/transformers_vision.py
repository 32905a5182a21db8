"""Image features of transformers: ResNet, ViT, DINOv2, Swin, ConvNeXt, and the image towers of CLIP and SigLIP."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import torch
from harness_plugins.transformers_loading import (
    ProcessedImage,
    load_image_processor,
    load_network,
    pooled,
    unit_length,
)
from PIL.Image import Image

from harness import HarnessError
from harness.data.loading import Rows, autocast, encode_in_batches
from harness.plugin.interfaces import Run

HINT = (
    "Give the folder of an image encoder with config.json, preprocessor_config.json and model.safetensors, or use "
    "--image-backbone handcrafted, which needs no weights."
)

CLASS_TOKENS = ("cls_token", "class_embedding")
"""How models call the parameter that makes the first token one that stands for the whole image."""


class TransformersVision:
    """(n, d) float32 features of PIL RGB images; eval mode, no code from the hub is run."""

    def __init__(self, *, weights: str, pooling: str, normalise: bool, batch_size: int, precision: str) -> None:
        self.weights, self.pooling, self.normalise = weights, pooling, normalise
        self.batch_size, self.precision = batch_size, precision

    def encode(self, raw: Collection[Image], run: Run) -> Iterator[Rows]:
        """PIL RGB images to features, batch by batch."""
        processor = load_image_processor(self.weights, "--image-weights", HINT)
        network = load_network(
            self.weights, "--image-weights", HINT, unused=lambda key: "pooler" in key or key.startswith("text_model.")
        ).to(run.device)
        if hasattr(network, "get_image_features"):
            if self.pooling != "auto":
                raise HarnessError(
                    f"image_backbone.pooling={self.pooling}: --image-weights {self.weights} has an image tower that "
                    "pools by itself: leave it out."
                )
            pool = None
        else:
            pool = self._pooling_of(network)

        def forward(batch: torch.Tensor) -> torch.Tensor:
            with autocast(self.precision, run.device):
                if pool is None:
                    features = pooled(network.get_image_features(pixel_values=batch))
                else:
                    features = pool(network(pixel_values=batch).last_hidden_state)
            return unit_length(features, self.normalise)

        return encode_in_batches(
            raw, ProcessedImage(processor), forward, run, batch_size=self.batch_size, phase="images"
        )

    def _pooling_of(self, network: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        """From hidden states, (b, tokens, d) or (b, d, height, width), to (b, d).

        Raises:
            HarnessError: The first token is asked for of a network that has none for the whole image.
        """
        has_class_token = any(name.endswith(CLASS_TOKENS) for name, _ in network.named_parameters())
        if self.pooling == "cls" and not has_class_token:
            raise HarnessError(
                f"image_backbone.pooling=cls: {type(network).__name__} has no token for the whole image; use mean."
            )
        by_class_token = has_class_token and self.pooling != "mean"

        def pool(hidden: torch.Tensor) -> torch.Tensor:
            if hidden.ndim == 4:
                return hidden.mean(dim=(2, 3))
            return hidden[:, 0] if by_class_token else hidden[:, int(has_class_token) :].mean(dim=1)

        return pool
