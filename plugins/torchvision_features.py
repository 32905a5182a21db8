"""Features of torchvision's classifiers: the input of their last layer, in eval mode, with ImageNet normalisation."""

from __future__ import annotations

import pickle
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from harness import HarnessError
from harness.torchvision_operators import make_torchvision_importable

make_torchvision_importable()

from torchvision import models  # noqa: E402 - its operators must be declared first
from torchvision.transforms import functional  # noqa: E402

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Weights from a safetensors file, or from a pth file without unpickling.

    Raises:
        HarnessError: The file cannot be read as either.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own message says how to run the code all the same
        raise HarnessError(
            f"--image-weights {path} cannot be read as weights: it is damaged or holds more than tensors, and code in "
            "a weights file is never run."
        ) from error
    except Exception as error:  # zip, pickle, header and OS errors alike mean: not a weights file
        raise HarnessError(
            f"--image-weights {path} cannot be read as weights: {' '.join(str(error).split())[:200]}."
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise HarnessError(f"--image-weights {path} holds no dictionary of tensors.")
    return state


class TorchvisionFeatures:
    """(n, d) float32 features of PIL RGB images."""

    def __init__(self, *, model: str, weights: str, batch_size: int, crop: int, size: int) -> None:
        self.name, self.weights = model, weights
        self.batch_size, self.crop, self.size = batch_size, crop, size

    def _network(self) -> nn.Module:
        known = models.list_models(module=models)
        if self.name not in known:
            from harness.errors import unknown_name

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
        gone = without_head(network)
        state = read_state(Path(self.weights))
        expected, found = network.state_dict(), {key for key in state if not key.startswith(tuple(gone))}
        counters = {key for key in expected if key.endswith("num_batches_tracked")}
        missing, unexpected = sorted(set(expected) - found - counters), sorted(found - set(expected))
        shapes = [key for key in expected if key in state and state[key].shape != expected[key].shape]
        if missing or unexpected or shapes:
            differences = [
                f"{len(keys)} {what} ({keys[0]}, ...)"
                for what, keys in (("missing", missing), ("unexpected", unexpected), ("of other shape", shapes))
                if keys
            ]
            raise HarnessError(
                f"--image-weights {self.weights} does not fit torchvision/{self.name}: {', '.join(differences)}."
            )
        network.load_state_dict({key: state[key] for key in found}, strict=False)
        return network

    def _prepare(self, image) -> torch.Tensor:
        if min(image.size) > self.crop:
            image = functional.center_crop(image, [self.crop])
        image = functional.resize(image, [self.size, self.size], antialias=True)
        return functional.normalize(functional.to_tensor(image), MEAN, DEVIATION)

    @torch.inference_mode()
    def encode(self, raw, run) -> np.ndarray:
        """PIL RGB images to features, batch by batch."""
        network = self._network().eval().to(run.device)
        images, parts, done = iter(raw), [], 0
        while batch := list(islice(images, self.batch_size)):
            outputs = network(torch.stack([self._prepare(image) for image in batch]).to(run.device))
            parts.append(outputs.flatten(1).float().cpu().numpy())
            done += len(batch)
            run.report(phase="images", epoch=done, epochs=len(raw))
        return np.concatenate(parts)
