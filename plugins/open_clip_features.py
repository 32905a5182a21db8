"""Both towers of open_clip's models, with weights of a tag, a local checkpoint or a local folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from harness_plugins.transformers_loading import unit_length
from PIL.Image import Image

from harness import HarnessError
from harness.data.features.weights import first_line, fit_into, read_state
from harness.data.loading import Rows, autocast, encode_in_batches, encode_texts_in_batches
from harness.errors import unknown_name
from harness.plugin.interfaces import Run
from harness.runtime.torchvision_operators import make_torchvision_importable

make_torchvision_importable()

import open_clip  # noqa: E402 - it imports torchvision
from open_clip.convert import convert_state_dict  # noqa: E402
from open_clip.model import convert_to_custom_text_state_dict  # noqa: E402
from open_clip.transform import PreprocessCfg, image_transform_v2  # noqa: E402

FOLDER = "local-dir"
"""Name of the model whose configuration lies in a folder beside its weights, as open_clip saves it."""

CHECKPOINTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
"""Weights in such a folder, the first that is there."""

UNUSED = ("logit_scale", "logit_bias")
"""Parameters that play no part in features."""


class PreparedImage:
    """From a PIL RGB image to a tensor, by a model's own transform; can be sent to other processes."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __call__(self, image: Image) -> torch.Tensor:
        """(3, height, width) float32."""
        return self.transform(image)


class OpenClip:
    """(n, d) float32 features of PIL RGB images, or of captions, in one space; eval mode."""

    def __init__(
        self, *, model: str, weights: str, modality: str, normalise: bool, batch_size: int, precision: str
    ) -> None:
        self.model, self.weights, self.modality = model, weights, modality
        self.normalise, self.batch_size, self.precision = normalise, batch_size, precision
        self.option = f"--{modality}-weights"

    def encode(self, raw: Collection[Image] | Sequence[str], run: Run) -> Iterator[Rows]:
        """Images or captions to features, batch by batch."""
        network = self._network().eval().to(run.device)
        return self._images(raw, network, run) if self.modality == "image" else self._captions(raw, network, run)

    def _images(self, raw: Collection[Any], network: open_clip.CLIP, run: Run) -> Iterator[Rows]:
        transform = image_transform_v2(PreprocessCfg(**network.visual.preprocess_cfg), is_train=False)

        def forward(batch: torch.Tensor) -> torch.Tensor:
            with autocast(self.precision, run.device):
                features = network.encode_image(batch)
            return unit_length(features, self.normalise)

        return encode_in_batches(
            raw, PreparedImage(transform), forward, run, batch_size=self.batch_size, phase="images"
        )

    def _captions(self, raw: Collection[Any], network: open_clip.CLIP, run: Run) -> Iterator[Rows]:
        tokenizer = self._called(lambda: open_clip.get_tokenizer(self._name), "has no tokenizer that can be loaded")

        def forward(captions: list[str]) -> torch.Tensor:
            tokens = tokenizer(captions).to(run.device)
            with autocast(self.precision, run.device):
                features = network.encode_text(tokens)
            return unit_length(features, self.normalise)

        return encode_texts_in_batches(raw, forward, run, batch_size=self.batch_size)

    @property
    def _name(self) -> str:
        return f"{FOLDER}:{self.weights}" if self.model == FOLDER else self.model

    def _network(self) -> torch.nn.Module:
        """The model with its weights.

        Raises:
            HarnessError: Unknown model or tag, or weights that cannot be loaded or do not fit.
        """
        path = Path(self.weights)
        if self.model == FOLDER:
            if not (path / "open_clip_config.json").is_file():
                raise HarnessError(
                    f"{self.option} {path}: open_clip/{FOLDER} needs a folder with open_clip_config.json and "
                    f"{CHECKPOINTS[0]}, as open_clip saves it."
                )
            _readable(path / "open_clip_config.json", self.option)
            path = next((path / name for name in CHECKPOINTS if (path / name).is_file()), path / CHECKPOINTS[0])
            return self._from_file(path)
        if self.model not in open_clip.list_models():
            raise unknown_name("open_clip model", self.model, [*open_clip.list_models(), FOLDER])
        if path.is_dir():
            raise HarnessError(
                f"{self.option} {path} is a folder: give the checkpoint in it, or use open_clip/{FOLDER}, which reads "
                "its open_clip_config.json."
            )
        if path.is_file():
            return self._from_file(path)
        tags = open_clip.list_pretrained_tags_by_model(self.model)
        if self.weights not in tags:
            raise unknown_name(f"file or tag of open_clip/{self.model}", self.weights, tags)
        return self._called(
            lambda: open_clip.create_model(self.model, pretrained=self.weights, weights_only=True),
            f"cannot be loaded with weights {self.weights!r}; give a local checkpoint",
        )

    def _from_file(self, path: Path) -> torch.nn.Module:
        state = read_state(path, self.option)
        network = self._called(
            lambda: open_clip.create_model(self._name, load_weights=False, pretrained_text=False), "cannot be made"
        )
        state = convert_state_dict(network, state)
        if "positional_embedding" in state and not hasattr(network, "positional_embedding"):
            state = convert_to_custom_text_state_dict(state)
        fit_into(
            network,
            {key: value for key, value in state.items() if key not in UNUSED},
            f"{self.option} {path} does not fit open_clip/{self.model}",
            may_miss=lambda key: key in UNUSED,
            may_exceed=lambda key: key.endswith("position_ids"),
        )
        return network

    def _called(self, make: Callable[[], Any], failing: str) -> Any:
        try:
            with _quiet():
                return make()
        except Exception as error:  # no network, damaged files, missing packages: all mean that it does not serve
            raise HarnessError(f"open_clip/{self.model} {failing} ({first_line(error)}).") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without open_clip's warnings on the root logger: that a model is random, before its weights are loaded here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _readable(path: Path, option: str) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HarnessError(f"{option} {path} cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict) or "model_cfg" not in content:
        raise HarnessError(f"{option} {path} lacks 'model_cfg'.")
