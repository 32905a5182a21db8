"""Loading of Hugging Face transformers: no code from the hub, no pickled objects, no made-up weights."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import torch
from PIL.Image import Image

from harness import HarnessError
from harness.data.features.weights import first_line, refuse_misfit
from harness.runtime.torchvision_operators import make_torchvision_importable

make_torchvision_importable()

import transformers  # noqa: E402 - it imports torchvision


def load_network(weights: str, option: str, hint: str, *, unused: Callable[[str], bool]) -> Any:
    """A network in float32 and eval mode.

    Args:
        weights: Local folder, or hub name.
        option: Where the user named it.
        hint: What to do where it cannot be loaded: a sentence.
        unused: Whether a parameter plays no part in the features; others must not be missing.

    Returns:
        The network, on the CPU: a ``PreTrainedModel``, whose methods depend on its configuration.

    Raises:
        HarnessError: It cannot be loaded, or its weights do not fit its configuration.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    network, found = _loaded(
        lambda: transformers.AutoModel.from_pretrained(
            weights,
            trust_remote_code=False,
            dtype=torch.float32,
            weights_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        ),
        weights,
        option,
        hint,
    )
    refuse_misfit(
        f"{option} {weights} does not fit {type(network).__name__}",
        [key for key in found["missing_keys"] if not unused(key)],
        shapes=sorted(entry[0] for entry in found["mismatched_keys"]),
    )
    return network.eval()


def load_tokenizer(weights: str, option: str, hint: str) -> Any:
    """The tokenizer of an encoder.

    Raises:
        HarnessError: It cannot be loaded.
    """
    return _loaded(
        lambda: transformers.AutoTokenizer.from_pretrained(weights, trust_remote_code=False), weights, option, hint
    )


def load_image_processor(weights: str, option: str, hint: str) -> Any:
    """The image processor of an encoder: scaling, cropping and normalisation as its makers chose them.

    Raises:
        HarnessError: It cannot be loaded.
    """
    return _loaded(
        lambda: transformers.AutoImageProcessor.from_pretrained(weights, trust_remote_code=False), weights, option, hint
    )


def _loaded(load: Callable[[], Any], weights: str, option: str, hint: str) -> Any:
    try:
        return load()
    except pickle.UnpicklingError as error:  # torch's own message says how to run the code all the same
        raise HarnessError(
            f"{option} {weights}: its file of weights is damaged or holds more than tensors, and code in a weights "
            "file is never run; use model.safetensors."
        ) from error
    except Exception as error:  # missing files, no network, wrong architecture: all mean that they do not serve
        raise HarnessError(
            f"{option} {weights} cannot be loaded by transformers: {first_line(error)}. {hint}"
        ) from error


class ProcessedImage:
    """From a PIL RGB image to a tensor, by a model's own image processor; can be sent to other processes."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, image: Image) -> torch.Tensor:
        """(3, height, width) float32."""
        return self.processor(images=image, return_tensors="pt")["pixel_values"][0]


def pooled(output: Any) -> torch.Tensor:
    """What ``get_image_features`` or ``get_text_features`` computed, whether it returns it as such or inside."""
    return output if isinstance(output, torch.Tensor) else output.pooler_output


def unit_length(features: torch.Tensor, wanted: bool) -> torch.Tensor:
    """(b, d) float32 features, each scaled to length 1 if that is wanted."""
    return torch.nn.functional.normalize(features.float()) if wanted else features.float()
