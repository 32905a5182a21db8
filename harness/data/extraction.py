"""From raw images and captions to features, through backbones and the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import augment
from harness.data.cache import cached_arrays
from harness.data.raw import RawDataset
from harness.data.table import FeatureTable
from harness.declarations import BackboneDeclaration
from harness.errors import HarnessError
from harness.interfaces import Run

LIBRARIES = ("numpy", "pillow", "scikit-image", "scikit-learn", "torch", "torchvision", "transformers")
"""Libraries whose version may change features."""


@dataclass(frozen=True)
class BackboneChoice:
    """A backbone with everything that determines its features.

    Attributes:
        name: As written on the command line.
        declaration: What was registered.
        model: Model of a family, or "".
        weights: File, folder or hub name, or "".
        parameters: Its parameters, all of them.
        source: Hash of its code.
    """

    name: str
    declaration: BackboneDeclaration
    model: str = ""
    weights: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    @cached_property
    def weights_fingerprint(self) -> str:
        """``sha256:...`` of local weights, ``hub:NAME`` or ``library`` otherwise; "" if it takes none.

        Raises:
            HarnessError: The weights look like a path and are not there.
        """
        if self.declaration.weights == "none":
            return ""
        return (
            fingerprint_of_weights(self.weights, f"--{self.declaration.modality}-weights")
            if self.weights
            else "library"
        )

    def describe(self) -> dict[str, Any]:
        """Name, weights and parameters, as stored in the record and hashed."""
        return {"name": self.name, "weights": self.weights_fingerprint, "parameters": dict(self.parameters)}

    def make(self) -> Any:
        """The backbone itself."""
        arguments = dict(self.parameters)
        if self.declaration.models:
            arguments["model"] = self.model
        if self.declaration.weights != "none":
            arguments["weights"] = self.weights
        return self.declaration.load()(**arguments)


def fingerprint_of_weights(weights: str, option: str) -> str:
    """Content hash of a weights file or folder; a name that is no path is taken for a hub name.

    Raises:
        HarnessError: The name looks like a path, and nothing is there.
    """
    path = Path(weights)
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file())
        if not files:
            raise HarnessError(f"{option} {weights}: the folder is empty.")
    elif (
        path.is_absolute()
        or weights.startswith(".")
        or path.suffix in (".safetensors", ".pth", ".pt", ".bin")
        or weights.count("/") > 1
    ):
        raise HarnessError(f"{option} {weights}: there is no such file or folder.")
    else:
        return f"hub:{weights}"
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() if len(files) > 1 else b"")
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:16]}"


def extract(
    raw: RawDataset, training: NDArray[np.int64], image: BackboneChoice, text: BackboneChoice, run: Run
) -> FeatureTable:
    """Features of all images (original and augmented) and captions.

    Args:
        raw: The data.
        training: Training images; backbones that must be fitted see these alone.
        image: Image backbone.
        text: Text backbone.
        run: Device, streams and progress.

    Returns:
        The features, with the fingerprint of the raw data.
    """
    views = [raw.images, augment.AugmentedImages(raw.images)]
    image_features, view = _encode(image, raw.image_fingerprint, raw.images, training, views, run)
    of_training = np.flatnonzero(np.isin(raw.caption_image, training))
    (text_features,) = _encode(text, raw.caption_fingerprint, raw.captions, of_training, [raw.captions], run)
    return FeatureTable(
        name=raw.name,
        image=image_features,
        text=text_features,
        caption_image=raw.caption_image,
        labels=raw.labels,
        image_views=(view,),
        split=raw.split,
        captions=raw.captions,
        filenames=raw.filenames,
        fingerprint=raw.fingerprint,
    )


def encode_captions(
    raw: RawDataset, training: NDArray[np.int64], text: BackboneChoice, captions: Sequence[str], run: Run
) -> NDArray[np.float32]:
    """Features of captions that are not in the data, such as those a noise protocol edited; cached on their own.

    Args:
        raw: The data; a backbone that must be fitted sees the training captions as they are there.
        training: Training images.
        text: Text backbone.
        captions: What to encode.
        run: Device, streams and progress.

    Returns:
        (len(captions), d_text) float32.
    """
    of_training = np.flatnonzero(np.isin(raw.caption_image, training))
    views = [list(captions)]
    (features,) = _encode(text, raw.caption_fingerprint, raw.captions, of_training, views, run, edited=True)
    return features


def _encode(
    choice: BackboneChoice,
    content: str,
    items: Any,
    training: NDArray[np.int64],
    views: Sequence[Any],
    run: Run,
    edited: bool = False,
) -> list[NDArray[np.float32]]:
    """Encode some views of the same items, fitting first where the backbone asks for it."""
    fitted = hasattr(choice.declaration.load(), "fit")
    key = {
        **choice.describe(),
        "source": choice.source,
        "content": content,
        "fitted_on": hashlib.sha256(training.tobytes()).hexdigest()[:16] if fitted else None,
        "views": [augment.RECIPE] if len(views) > 1 else [],
        "libraries": {name: _version(name) for name in LIBRARIES},
        "device": run.device.type,
    }
    if edited:  # the views are other captions than the items
        key["captions"] = hashlib.sha256("\0".join(views[0]).encode()).hexdigest()
    rows = len(views[0]) if edited else len(items)

    def compute() -> list[NDArray]:
        from torch.utils.data import Subset

        backbone = choice.make()
        if fitted:
            backbone.fit(Subset(items, training.tolist()), run)  # one image at a time, however many there are
        return _checked([backbone.encode(view, run) for view in views], rows, choice.name)

    arrays, _ = cached_arrays(key, compute)
    return arrays


def _checked(outputs: Sequence[Any], expected: int, name: str) -> list[NDArray[np.float32]]:
    """What a backbone returned for each view, if it keeps the contract; checked before it is cached."""
    arrays = []
    for output in outputs:
        try:
            array = np.asarray(output, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise HarnessError(
                f"backbone {name!r} must return a matrix of numbers; it returned {type(output).__name__}."
            ) from error
        if array.ndim != 2 or len(array) != expected or array.shape[1] < 1 or not np.isfinite(array).all():
            raise HarnessError(
                f"backbone {name!r} must return ({expected}, d) finite features; it returned {array.shape}."
            )
        arrays.append(array)
    if len({array.shape for array in arrays}) > 1:
        raise HarnessError(
            f"backbone {name!r} gives the augmented view {arrays[1].shape} and the original {arrays[0].shape}."
        )
    return arrays


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
