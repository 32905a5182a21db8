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
from harness.data.content_hashes import hash_file
from harness.data.raw import RawDataset
from harness.data.table import FeatureTable
from harness.declarations import BackboneDeclaration
from harness.errors import HarnessError
from harness.interfaces import Run

LIBRARIES = (
    "numpy", "scipy", "pillow", "scikit-image", "scikit-learn", "torch", "torchvision", "transformers", "tokenizers",
    "sentence-transformers", "open_clip_torch", "timm",
)  # fmt: skip
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

    @property
    def fitted(self) -> bool:
        """Whether it is fitted on the training images or captions, so that its features depend on the split."""
        return hasattr(self.declaration.load(), "fit")

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


def fingerprint_below(weights: str) -> str:
    """Content hash of all files in folders below a weights folder, which :func:`fingerprint_of_weights` leaves out; ""
    if there are none. (Sentence-transformers keep the configuration of their pooling there.)
    """
    path = Path(weights)
    if not path.is_dir():
        return ""
    files = sorted(file for file in path.rglob("*") if file.parent != path and file.is_file())
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(path).as_posix()} {hash_file(file)}\n".encode())
    return f"sha256:{digest.hexdigest()[:16]}" if files else ""


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
    image_features, view = _encode(image, raw.name, raw.image_fingerprint, raw.images, training, views, run)
    of_training = np.flatnonzero(np.isin(raw.caption_image, training))
    (text_features,) = _encode(text, raw.name, raw.caption_fingerprint, raw.captions, of_training, [raw.captions], run)
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


def _encode(
    choice: BackboneChoice,
    dataset: str,
    content: str,
    items: Any,
    training: NDArray[np.int64],
    views: Sequence[Any],
    run: Run,
) -> list[NDArray[np.float32]]:
    """Encode some views of the same items, fitting first where the backbone asks for it."""
    fitted = choice.fitted
    key = {
        **choice.describe(),
        "source": choice.source,
        "content": content,
        "fitted_on": hashlib.sha256(training.tobytes()).hexdigest()[:16] if fitted else None,
        "views": [augment.RECIPE] if len(views) > 1 else [],
        "libraries": {name: version_of(name) for name in LIBRARIES},
        "device": run.device.type,
        "below_weights": fingerprint_below(choice.weights) if choice.weights else "",
    }

    def compute() -> list[NDArray]:
        from torch.utils.data import Subset

        backbone = choice.make()
        if fitted:
            backbone.fit(Subset(items, training.tolist()), run)  # one image at a time, however many there are
        return _checked([backbone.encode(view, run) for view in views], len(items), choice.name)

    about = {"dataset": dataset, "modality": choice.declaration.modality, "weights": choice.weights}
    arrays, _ = cached_arrays(key, compute, about)
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


def version_of(library: str) -> str:
    """The installed version of a library, or "" where it is not installed."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
