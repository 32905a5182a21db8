"""Both towers of CLIP, SigLIP and their like in transformers: features of one space."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from harness_plugins.transformers_features import lies_behind
from harness_plugins.transformers_loading import (
    ProcessedImage,
    load_image_processor,
    load_network,
    load_tokenizer,
    pooled,
    unit_length,
)
from PIL.Image import Image

from harness import HarnessError
from harness.data.loading import Rows, autocast, encode_in_batches, encode_texts_in_batches
from harness.plugin.interfaces import Run

HINT = (
    "Give the folder of a CLIP or SigLIP model with config.json, preprocessor_config.json, tokenizer files and "
    "model.safetensors."
)

PADDED = ("siglip", "siglip2")
"""Models that were trained, and must be used, with captions padded to full length and without a mask."""


class TransformersClip:
    """(n, d) float32 features of PIL RGB images, or of captions, in one space."""

    def __init__(self, *, weights: str, modality: str, normalise: bool, batch_size: int, precision: str) -> None:
        self.weights, self.modality, self.normalise = weights, modality, normalise
        self.batch_size, self.precision = batch_size, precision
        self.option = f"--{modality}-weights"

    def encode(self, raw: Collection[Image] | Sequence[str], run: Run) -> Iterator[Rows]:
        """Images or captions to features, batch by batch."""
        network = load_network(self.weights, self.option, HINT, unused=lies_behind)
        if not (hasattr(network, "get_image_features") and hasattr(network, "get_text_features")):
            raise HarnessError(
                f"{self.option} {self.weights}: {type(network).__name__} has no towers for images and captions; use "
                "transformers-vision for images, transformers for captions."
            )
        network = network.to(run.device)
        return self._images(raw, network, run) if self.modality == "image" else self._captions(raw, network, run)

    def _images(self, raw: Collection[Any], network: Any, run: Run) -> Iterator[Rows]:
        processor = load_image_processor(self.weights, self.option, HINT)

        def forward(batch: torch.Tensor) -> torch.Tensor:
            with autocast(self.precision, run.device):
                features = pooled(network.get_image_features(pixel_values=batch))
            return unit_length(features, self.normalise)

        return encode_in_batches(
            raw, ProcessedImage(processor), forward, run, batch_size=self.batch_size, phase="images"
        )

    def _captions(self, raw: Collection[Any], network: Any, run: Run) -> Iterator[Rows]:
        tokenizer = load_tokenizer(self.weights, self.option, HINT)
        padded = network.config.model_type in PADDED
        longest = network.config.text_config.max_position_embeddings

        def forward(captions: list[str]) -> torch.Tensor:
            tokens = tokenizer(
                captions, padding="max_length" if padded else True, truncation=True, max_length=longest,
                return_tensors="pt",
            ).to(run.device)  # fmt: skip
            given = {"input_ids": tokens["input_ids"]}
            if not padded:
                given["attention_mask"] = tokens["attention_mask"]
            with autocast(self.precision, run.device):
                features = pooled(network.get_text_features(**given))
            return unit_length(features, self.normalise)

        return encode_texts_in_batches(raw, forward, run, batch_size=self.batch_size)
