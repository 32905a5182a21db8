"""Cells: points of the grid, their content hash, and the grid itself."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.cells.methods import MethodRequest
from harness.wording import counted

SCHEMA = 2
"""Version of the record's layout; harness/records/migrations.py brings older records up to it."""

CORE_VERSIONS = {"split": 1, "standardise": 1, "noise_order": 1, "training_loop": 1}
"""Raise an entry when the core turns the same cell into another result; it is part of every hash."""

DEFAULT_TRUSTED = 0.2

MOST_BITS = 2**16
"""Longest code; the field uses up to a few hundred bits."""


@dataclass(frozen=True)
class CellRequest:
    """One point of the grid, as asked for; None means the default or what the data bring.

    Attributes:
        method: The method with its overrides and settings.
        dataset: Name of the data set; ignored where ``features`` is given.
        features: File or folder of ready features.
        noise_plan: File of a noise plan.
        data_root: Folder that holds the data sets.
        backbone: A backbone with a tower for each modality; it sets both.
        pretrained: Its weights: a file, folder, tag or hub name.
        image_backbone, text_backbone: Backbones.
        image_weights, text_weights: Files, folders or hub names.
        image_recipe: How images are prepared: "standard", or another that the backbone offers.
        image_views, text_views: Numbers of augmented views.
        image_augment, text_augment: How they are made.
        text_augment_data: List of synonyms, or folder of translation models.
        skip_broken: Leave out images that are missing or cannot be decoded.
        backbone_settings: Values of ``--set image_backbone.NAME`` and ``text_backbone.NAME``.
        noise: Noise rate.
        protocol: Noise protocol.
        trusted: Share of trusted pairs.
        bits: Code length.
        seed: Training seed.
        data_seed: Data seed.
        split: Who is training, query and database image: a name of :data:`harness.data.splits.SPLITS`.
        validation: Share of the training images that are the queries instead, for tuning.
        relevance: "label" or "instance".
        drop_duplicates: Leave out copies of images in other parts.
        standardise: Standardisation.
        limit: Images to keep.
        precision: "auto", "fp32", "bf16" or "tf32".
        plugins: Files named with ``--plugin``, for the command that repeats the cell.
    """

    method: MethodRequest
    dataset: str = "toy"
    features: Path | None = None
    noise_plan: Path | None = None
    data_root: Path | None = None
    backbone: str | None = None
    pretrained: str | None = None
    image_backbone: str | None = None
    text_backbone: str | None = None
    image_weights: str | None = None
    text_weights: str | None = None
    image_recipe: str = "standard"
    image_views: int | None = None
    image_augment: str | None = None
    text_views: int | None = None
    text_augment: str | None = None
    text_augment_data: str | None = None
    skip_broken: bool = False
    backbone_settings: Mapping[str, str] = field(default_factory=dict)
    noise: float | None = None
    protocol: str | None = None
    trusted: float | None = None
    bits: int = 64
    seed: int = 0
    data_seed: int = 0
    split: str | None = None
    validation: float | None = None
    relevance: str = "label"
    drop_duplicates: bool = False
    standardise: str = "scalar"
    limit: int | None = None
    precision: str = "auto"
    plugins: tuple[Path, ...] = ()

    @property
    def data_key(self) -> CellRequest:
        """What of the request concerns the data, as opposed to method, bits, seed and precision."""
        return replace(self, method=MethodRequest("none"), bits=64, seed=0, precision="auto")


def grid(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The cross product of axes, the first axis outermost; an axis may have one value."""
    names = list(axes)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(axes[name] for name in names))]


def content_hash(identity: Mapping[str, Any]) -> str:
    """12 hexadecimal digits of the SHA-256 of canonical JSON."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Cell:
    """A point of the grid with every choice made.

    Attributes:
        facts: What the record shows under ``cell``.
        identity: Everything that determines the result; it is hashed, and stored in the record.
    """

    facts: Mapping[str, Any]
    identity: Mapping[str, Any]

    @cached_property
    def hash(self) -> str:
        """Content hash of the identity."""
        return content_hash(self.identity)

    @property
    def place(self) -> tuple[str, str, str]:
        """Method, data set and hash: where its record belongs (:meth:`harness.records.store.RunStore.find`)."""
        return self.facts["method"], self.facts["dataset"], self.hash

    @property
    def title(self) -> str:
        """One line for people: what is run."""
        facts = self.facts
        noise = "as given" if facts["noise"] is None else f"{facts['noise']:g}"
        parts = [
            f"{facts['row']} on {facts['dataset']}",
            f"noise {noise}",
            counted(facts["bits"], "bit"),
            f"seed {facts['seed']}",
        ]
        unusual = {
            "protocol": ("derangement", "given"),
            "trusted": (DEFAULT_TRUSTED,),
            "data_seed": (0,),
            "standardise": ("scalar",),
            "limit": (None,),
            "precision": ("fp32",),
            "split": ("paper", "given"),
            "validation": (None,),
            "relevance": ("label",),
        }
        parts += [
            f"{key.replace('_', ' ')} {facts[key]}"
            for key, usual in unusual.items()
            if key in facts and facts[key] not in usual
        ]
        if facts.get("drop_duplicates"):
            parts.append("without duplicates")
        return ", ".join(parts)
