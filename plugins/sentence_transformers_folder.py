"""Folders of the sentence-transformers library, read without that library.

Layout: modules.json lists the steps; the first is a transformers encoder, ``1_Pooling/config.json`` says how its states
are pooled, a ``Dense`` step is a linear layer and an activation, ``Normalize`` scales to length 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from harness_plugins.transformers_features import lies_behind, pooled_mean
from harness_plugins.transformers_loading import load_network, load_tokenizer

from harness import HarnessError
from harness.data.features.weights import first_line, fit_into, longest_text, read_state
from harness.data.loading import Rows, autocast, encode_texts_in_batches
from harness.files.paths_below import relative_parts
from harness.plugin.interfaces import Run

HINT = "Give a folder that sentence-transformers saved: modules.json, an encoder, 1_Pooling/config.json."

OPTION = "--text-weights"

MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Keys of older pooling configurations, in the order in which their vectors are joined."""

ACTIVATIONS = {
    "torch.nn.modules.activation.Tanh": torch.tanh,
    "torch.nn.modules.linear.Identity": lambda features: features,
    "torch.nn.modules.activation.ReLU": torch.relu,
    "torch.nn.modules.activation.GELU": torch.nn.functional.gelu,
}

Step = Callable[[torch.Tensor], torch.Tensor]


class SentenceTransformersFolder:
    """(n, d) float32 features of captions as the folder describes them; eval mode."""

    def __init__(self, *, weights: str, batch_size: int, precision: str) -> None:
        self.weights, self.batch_size, self.precision = weights, batch_size, precision

    def encode(self, raw: Sequence[str], run: Run) -> Iterator[Rows]:
        """Captions to features; equal captions are encoded once."""
        folder = local_folder(self.weights)
        modules = _read(folder / "modules.json")
        kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
        if kinds[:2] != ["Transformer", "Pooling"]:
            raise HarnessError(
                f"{OPTION} {self.weights}: modules.json begins with {' and '.join(kinds[:2]) or 'nothing'}; the "
                "harness reads folders that begin with Transformer and Pooling."
            )
        encoder = self._place(folder, modules[0].get("path", ""))
        settings = _read(encoder / "sentence_bert_config.json", optional=True)
        prompts = _read(folder / "config_sentence_transformers.json", optional=True)
        prompt = (prompts.get("prompts") or {}).get(prompts.get("default_prompt_name"), "")
        pooling = _read(self._place(folder, modules[1].get("path", "1_Pooling")) / "config.json")
        modes = pooling_modes(pooling)
        if prompt and not pooling.get("include_prompt", True):
            raise HarnessError(f"{OPTION} {self.weights}: a prompt that is left out of pooling is not supported.")
        steps = [
            self._step(kind, self._place(folder, module.get("path", "")))
            for kind, module in zip(kinds[2:], modules[2:], strict=True)
        ]
        tokenizer = load_tokenizer(str(encoder), OPTION, HINT)
        network = load_network(str(encoder), OPTION, HINT, unused=lies_behind).to(run.device)
        asked = settings.get("max_seq_length") or getattr(network.config, "max_position_embeddings", 512)
        longest = longest_text(network, asked, f"{OPTION} {self.weights}: max_seq_length")

        def forward(captions: list[str]) -> torch.Tensor:
            texts = [prompt + caption.strip() for caption in captions]
            if settings.get("do_lower_case"):
                texts = [text.lower() for text in texts]
            tokens = tokenizer(texts, padding=True, truncation=True, max_length=longest, return_tensors="pt")
            tokens = tokens.to(run.device)
            with autocast(self.precision, run.device):
                hidden = network(**tokens).last_hidden_state
            features = torch.cat([pool(hidden.float(), tokens["attention_mask"], mode) for mode in modes], dim=1)
            for step in steps:
                features = step(features)
            return features

        return encode_texts_in_batches(raw, forward, run, batch_size=self.batch_size)

    def _place(self, folder: Path, path: object) -> Path:
        """The folder of a step, as modules.json names it.

        Raises:
            HarnessError: It is none below the folder of the weights.
        """
        return folder.joinpath(*relative_parts(str(path), f"{OPTION} {self.weights}: modules.json"))

    def _step(self, kind: str, folder: Path) -> Step:
        """One step after pooling.

        Raises:
            HarnessError: Of a kind, or with an activation, that is not known.
        """
        if kind == "Normalize":
            return torch.nn.functional.normalize
        if kind == "Dropout":
            return lambda features: features
        if kind != "Dense":
            raise HarnessError(
                f"{OPTION} {self.weights}: modules.json names the step {kind!r}, which the harness does not know; it "
                "knows Dense, Dropout and Normalize."
            )
        config = _read(folder / "config.json")
        name = config.get("activation_function", "torch.nn.modules.activation.Tanh")
        if name not in ACTIVATIONS or config.get("use_residual"):
            residual = " and a residual" if config.get("use_residual") else ""
            raise HarnessError(
                f"{OPTION} {self.weights}: {folder.name}/config.json has activation {name!r}{residual}, which the "
                "harness does not know."
            )
        layer = torch.nn.Linear(config["in_features"], config["out_features"], bias=config.get("bias", True))
        files = [folder / file for file in ("model.safetensors", "pytorch_model.bin") if (folder / file).is_file()]
        state = read_state(files[0] if files else folder / "model.safetensors", OPTION)
        state = {key.removeprefix("linear."): value for key, value in state.items()}
        fit_into(layer, state, f"{OPTION} {folder} does not fit a linear layer")
        layer = layer.float().eval().requires_grad_(False)
        return lambda features: ACTIVATIONS[name](layer.to(features.device)(features))


def pooling_modes(config: dict[str, Any]) -> list[str]:
    """How token states are pooled; the vectors of several ways are joined.

    Raises:
        HarnessError: In no way, or one that is not known.
    """
    named = config.get("pooling_mode")
    modes = [named] if isinstance(named, str) else list(named or [])
    if not modes:
        modes = [mode for key, mode in MODES.items() if config.get(key)]
    unknown = [mode for mode in modes if mode not in MODES.values()]
    if unknown or not modes:
        raise HarnessError(
            f"{OPTION}: the pooling configuration names {unknown[0] if unknown else 'no way of pooling'}; known: "
            f"{', '.join(MODES.values())}."
        )
    return modes


def pool(hidden: torch.Tensor, mask: torch.Tensor, mode: str) -> torch.Tensor:
    """(b, t, d) states and (b, t) mask of real tokens, padding at either end, to (b, d)."""
    rows = torch.arange(len(hidden), device=hidden.device)
    if mode == "cls":
        return hidden[rows, mask.int().argmax(dim=1)]
    if mode == "lasttoken":
        return hidden[rows, mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1)]
    if mode == "max":
        return hidden.masked_fill(mask[..., None] == 0, float("-inf")).max(dim=1).values
    if mode == "mean":
        return pooled_mean(hidden, mask)
    weight = mask.float()
    if mode == "weightedmean":  # the n-th real token counts n times
        weight = weight * weight.cumsum(dim=1)
    total = (hidden * weight[..., None]).sum(dim=1)
    divisor = weight.sum(dim=1, keepdim=True)
    return total / (divisor.sqrt() if mode == "mean_sqrt_len_tokens" else divisor)


def local_folder(weights: str) -> Path:
    """The folder itself, or the copy of a hub repository without code and weights in other formats.

    Raises:
        HarnessError: The hub does not give it.
    """
    if Path(weights).is_dir():
        return Path(weights)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(weights, allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"]))
    except Exception as error:  # no network, no such repository
        raise HarnessError(f"{OPTION} {weights} cannot be loaded from the hub: {first_line(error)}. {HINT}") from error


def _read(path: Path, optional: bool = False) -> Any:
    if optional and not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HarnessError(f"{OPTION}: {path} cannot be read as JSON: {first_line(error)}. {HINT}") from error
