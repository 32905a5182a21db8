"""Sentence features of transformers encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from harness_plugins.transformers_loading import load_network, load_tokenizer, unit_length

from harness import HarnessError
from harness.data.features.weights import longest_text
from harness.data.loading import Rows, autocast, encode_texts_in_batches
from harness.plugin.interfaces import Run

HINT = (
    "Give the folder of a text encoder with config.json, tokenizer files and model.safetensors, or use --text-backbone "
    "tfidf-svd, which needs no weights."
)

LAYERS = 4
"""Layers that poolings ``last-four`` and ``released`` add up."""

REMOVED = str.maketrans("", "", ".,!?")
"""What the released code removes from captions."""


def lies_behind(key: str) -> bool:
    """Whether a parameter comes after the hidden states: the pooler, which many checkpoints lack."""
    return key.startswith("pooler.") or ".pooler." in key


def pooled_mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(b, t, d) states and (b, t) mask of real tokens to (b, d), the mean over real tokens."""
    weight = mask[..., None].float()
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1)


class TransformersText:
    """(n, d) float32 features of captions; eval mode, no code from the hub is run."""

    def __init__(
        self,
        *,
        weights: str,
        pooling: str,
        normalise: bool,
        max_tokens: int,
        batch_size: int,
        precision: str = "fp32",
    ) -> None:
        self.weights, self.pooling, self.normalise = weights, pooling, normalise
        self.max_tokens, self.batch_size, self.precision = max_tokens, batch_size, precision

    def _load(self) -> tuple[Any, Any]:
        tokenizer = load_tokenizer(self.weights, "--text-weights", HINT)
        network = load_network(self.weights, "--text-weights", HINT, unused=lies_behind)
        if getattr(network.config, "is_encoder_decoder", False):
            network = network.get_encoder()
        if hasattr(network, "get_text_features"):
            raise HarnessError(
                f"--text-weights {self.weights} has a tower for images, too: use --text-backbone transformers-clip."
            )
        if self.pooling in ("last-four", "released") and network.config.num_hidden_layers < LAYERS:
            raise HarnessError(
                f"text_backbone.pooling={self.pooling} adds up the last {LAYERS} layers; --text-weights {self.weights} "
                f"has {network.config.num_hidden_layers}."
            )
        return tokenizer, network

    def encode(self, raw: Sequence[str], run: Run) -> Iterator[Rows]:
        """Captions to features; equal captions are encoded once."""
        tokenizer, network = self._load()
        network = network.eval().to(run.device)
        longest = longest_text(network, self.max_tokens, "text_backbone.max_tokens")

        def forward(captions: list[str]) -> torch.Tensor:
            if self.pooling == "released":
                captions = [caption.lower().translate(REMOVED) for caption in captions]
            tokens = tokenizer(
                captions,
                padding="max_length" if self.pooling == "released" else True,
                truncation=True,
                max_length=longest,
                return_tensors="pt",
            ).to(run.device)
            with autocast(self.precision, run.device):
                output = network(**tokens, output_hidden_states=self.pooling in ("last-four", "released"))
            return unit_length(self._pool(output, tokens["attention_mask"]), self.normalise)

        return encode_texts_in_batches(raw, forward, run, batch_size=self.batch_size)

    def _pool(self, output: Any, mask: torch.Tensor) -> torch.Tensor:
        if self.pooling == "cls":
            return output.last_hidden_state[:, 0]
        if self.pooling == "mean":
            return pooled_mean(output.last_hidden_state.float(), mask)
        added = torch.stack([layer.float() for layer in output.hidden_states[-LAYERS:]]).sum(dim=0)
        # The released code means over all positions, [PAD] among them (duch/captions_embed.py).
        return added.mean(dim=1) if self.pooling == "released" else pooled_mean(added, mask)
