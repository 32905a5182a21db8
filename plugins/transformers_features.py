"""Sentence features of transformers encoders."""

from __future__ import annotations

import numpy as np
import torch

from harness import HarnessError
from harness.torchvision_operators import make_torchvision_importable

make_torchvision_importable()

import transformers  # noqa: E402 - it imports torchvision


class TransformersText:
    """(n, d) float32 features of captions; eval mode, no code from the hub is run."""

    def __init__(self, *, weights: str, pooling: str, normalise: bool, max_tokens: int, batch_size: int) -> None:
        self.weights, self.pooling, self.normalise = weights, pooling, normalise
        self.max_tokens, self.batch_size = max_tokens, batch_size

    def _load(self):
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(self.weights, trust_remote_code=False)
            network = transformers.AutoModel.from_pretrained(self.weights, trust_remote_code=False, dtype=torch.float32)
        except (
            Exception
        ) as error:  # missing files, no network, wrong architecture: all mean that these weights do not serve
            first = (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(" .:")
            raise HarnessError(
                f"--text-weights {self.weights} cannot be loaded by transformers: {first}. Give the folder of a text "
                "encoder with config.json, tokenizer files and model.safetensors, or use --text-backbone "
                "tfidf-svd, which needs no weights."
            ) from error
        if getattr(network.config, "is_encoder_decoder", False):
            network = network.get_encoder()
        return tokenizer, network

    @torch.inference_mode()
    def encode(self, raw, run) -> np.ndarray:
        """Captions to features; equal captions are encoded once."""
        captions = list(raw)
        distinct = sorted(
            set(captions), key=lambda text: (len(text), text)
        )  # like lengths share a batch: little padding
        tokenizer, network = self._load()
        network = network.eval().to(run.device)
        parts = []
        for at in range(0, len(distinct), self.batch_size):
            part = distinct[at : at + self.batch_size]
            tokens = tokenizer(part, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt").to(
                run.device
            )
            hidden = network(**tokens).last_hidden_state.float()
            parts.append(self._pool(hidden, tokens["attention_mask"]).cpu().numpy())
            run.report(phase="captions", epoch=at + len(part), epochs=len(distinct))
        row = {text: number for number, text in enumerate(distinct)}
        return np.concatenate(parts)[[row[text] for text in captions]]

    def _pool(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            weight = mask[..., None].float()
            pooled = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
        return torch.nn.functional.normalize(pooled) if self.normalise else pooled
