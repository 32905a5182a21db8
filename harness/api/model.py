"""Fitted methods that encode.

A model file is safetensors: the tensors of the hasher and of the standardisers, and in its metadata, under
:data:`METADATA`, what :class:`ModelFacts` says, as JSON. Nothing in it is code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from harness.api.inputs import array_of
from harness.cells.cell import MOST_BITS
from harness.data.assemble import Standardiser
from harness.data.features.feature_file import features_of
from harness.errors import HarnessError, text_of
from harness.execution.encoding import ENCODE_ROWS, encode
from harness.execution.runner import model_tensors
from harness.files.json_text import json_text
from harness.files.whole import write_whole
from harness.plugin.interfaces import Hasher
from harness.plugin.parameters import Value
from harness.quantities import LARGEST_INTEGER
from harness.records.run_files import tensor_bytes
from harness.retrieval.codes import as_signs
from harness.runtime.context import RunContext
from harness.runtime.seeding import global_randomness
from harness.runtime.settings import MOST_THREADS, RunSettings, applied

FORMAT: Literal[1] = 1
"""Version of the layout of model files."""

METADATA = "harness"
"""Key of the metadata."""

LARGEST_MODEL = 4 * 2**30
"""Bytes of a model file."""

MOST_FEATURES = 2**24
"""Widest features that a model file may name."""


class ModelFacts(BaseModel):
    """What must be known of a model to build it again, and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = FORMAT
    harness: Annotated[str, Field(max_length=100)]
    """Version of the harness that made it; "" where nobody says it."""
    method: str
    row: str
    preset: str
    hasher: str
    detector: str
    objective: str | None
    bits: Annotated[int, Field(ge=1, le=MOST_BITS)]
    seed: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
    image_features: Annotated[int, Field(ge=1, le=MOST_FEATURES)] | None
    """Width of the features; None where nobody says it, as of a run."""
    text_features: Annotated[int, Field(ge=1, le=MOST_FEATURES)] | None
    standardise: str
    precision: str
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)]
    """Threads of the products: with other ones sums are rounded in another order."""
    deterministic: bool
    parameters: dict[str, bool | int | float | str]
    sources: dict[str, str]
    """Role to hash of its code."""
    data: str
    """Fingerprint of the training pairs."""
    notes: list[str] = []


def named_curves(arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Curves of a run by the names that they have in a model: ``loss`` for ``curve_loss``."""
    return {name.removeprefix("curve_"): array for name, array in arrays.items()}


class Model:
    """A fitted method: it turns features into codes.

    Made by ``harness.fit`` and ``harness.load_model``.

    Attributes:
        facts: All that describes it.
        trust: (n,) float32 in [0, 1], how far each training pair was believed in the end, in the order of the rows
            given; None where nobody kept it.
        curves: Of a method that trains in epochs: ``loss`` and ``phase``, one value for each epoch; ``updates``; and
            where wrong pairs are known, ``detector_auroc`` after the epochs ``detector_epoch``. Not in model files.
    """

    def __init__(
        self,
        facts: ModelFacts,
        hasher: Hasher,
        standardisers: Mapping[str, Standardiser],
        settings: RunSettings,
        trust: NDArray[np.float32] | None = None,
        curves: Mapping[str, NDArray] | None = None,
    ) -> None:
        self.facts, self.trust, self.curves = facts, trust, dict(curves or {})
        self._hasher, self._standardisers, self._settings = hasher, dict(standardisers), settings

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.facts.method

    @property
    def row(self) -> str:
        """The method and what differs from its defaults, as tables call it."""
        return self.facts.row

    @property
    def bits(self) -> int:
        """Code length."""
        return self.facts.bits

    @property
    def parameters(self) -> dict[str, Value]:
        """All parameters by their full keys, such as ``detector.weights``."""
        return dict(self.facts.parameters)

    @property
    def notes(self) -> list[str]:
        """Remarks on the fit, one sentence each."""
        return list(self.facts.notes)

    def encode_image(self, image: Any, *, signs: bool = False) -> NDArray[Any]:
        """Codes of images.

        Args:
            image: (m, d_image) features, of numpy or torch or as lists; not standardised, as those that were fitted.
            signs: Give signs in the place of packed bits.

        Returns:
            (m, ceil(bits / 8)) uint8, least significant bit first, unused bits 0; or (m, bits) int8 of -1 and 1.

        Raises:
            HarnessError: The features have another width than those that were fitted, or are no finite numbers.
        """
        return self._encoded("image", image, signs)

    def encode_text(self, text: Any, *, signs: bool = False) -> NDArray[Any]:
        """Codes of captions, (m, d_text) features; otherwise as :meth:`encode_image`."""
        return self._encoded("text", text, signs)

    def _encoded(self, modality: str, items: Any, signs: bool) -> NDArray[Any]:
        what, bits = f"encode_{modality}: {modality}", self.bits
        array = array_of(items, what)
        if array.ndim and not len(array):
            codes = np.empty((0, -(-bits // 8)), dtype=np.uint8)
        else:
            codes = self._codes(modality, features_of(array, what), what)
        return as_signs(codes, bits) if signs else codes

    def _codes(self, modality: str, features: NDArray[np.float32], what: str) -> NDArray[np.uint8]:
        width = self.facts.image_features if modality == "image" else self.facts.text_features
        fits = width in (None, features.shape[1])
        who, standardiser = self.facts.hasher, self._standardisers[modality]
        if not fits or standardiser.mean.size not in (1, features.shape[1]):
            expected = standardiser.mean.size if width is None else width
            raise HarnessError(
                f"{what} has {features.shape[1]} features for each item, and the model was fitted on {expected}."
            )
        with applied(self._settings) as device, global_randomness(self.facts.seed, "encode"):
            run = RunContext(self.bits, device, self.facts.seed)
            blocks = (features[at : at + ENCODE_ROWS] for at in range(0, len(features), ENCODE_ROWS))
            try:
                return np.concatenate([encode(self._hasher, modality, standardiser(one), run, who) for one in blocks])
            except RuntimeError as error:
                if width is not None:
                    raise
                raise HarnessError(
                    f"{what} has {features.shape[1]} features for each item, which hasher {who!r} of this run cannot "
                    f"encode ({text_of(error).rstrip('.')}): give features of the kind that it was fitted on."
                ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as one safetensors file, whole or not at all; an older file of that name is replaced.

        Args:
            path: The file; its folder must be there.

        Raises:
            HarnessError: The hasher cannot give its state, or the file cannot be written.
        """
        who = self.facts.hasher
        if not all(callable(getattr(self._hasher, name, None)) for name in ("state", "restore")):
            raise HarnessError(
                f"the model cannot be saved: hasher {who!r} has no state() and restore(); add both to its class."
            )
        tensors = model_tensors(self._hasher, self._standardisers["image"], self._standardisers["text"]) or {}
        if self.trust is not None:
            import torch

            tensors["trust"] = torch.from_numpy(self.trust)
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        if size > LARGEST_MODEL:
            raise HarnessError(f"the model cannot be saved: it has more than {LARGEST_MODEL >> 30} GiB.")
        content = tensor_bytes(tensors, {METADATA: json_text(self.facts.model_dump(), indent=None)})
        write_whole(Path(path), "save", lambda opened: opened.write(content))

    def __repr__(self) -> str:
        of = " and ".join(
            f"{'' if width is None else f'{width} '}{modality}"
            for modality, width in (("image", self.facts.image_features), ("text", self.facts.text_features))
        )
        pairs = "" if self.trust is None else f", fitted on {len(self.trust)} pairs"
        return f"<harness.Model {self.row}: {of} features to {self.bits} bits{pairs}>"
