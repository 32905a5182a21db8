"""Checks of backbones, datasets and published numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.cards import read_card
from harness.data.features.sources import backbone_choice, read_dataset
from harness.data.raw import RawDataset
from harness.errors import HarnessError
from harness.report.published import numbers_of
from harness.runtime.context import RunContext
from harness.runtime.seeding import frozen_global_randomness, global_randomness
from harness.testing.outcomes import CheckFailed, CheckSkipped, CheckWarning, check
from harness.testing.subject import Subject
from harness.testing.trials import BITS, CPU

CAPTIONS = [
    "a river runs through the green forest",
    "two white planes are parked near the long building",
    "many small houses beside a wide road",
    "a river and a bridge, seen from above",
    "the baseball field is next to the forest",
    "boats in the harbor near houses",
    "A WORD",
    "",
    "naïve café – 日本語 🙂",
]
"""Ordinary captions, then a short one, an empty one, and one beyond ASCII."""


def example_images(count: int = 6) -> list[Any]:
    """Pictures of different sizes and shapes, one of them of a single colour."""
    from PIL import Image

    random = np.random.default_rng(0)
    sizes = [(72, 72), (96, 64), (64, 100), (72, 72), (200, 80), (72, 72)]
    pictures = []
    for at in range(count):
        width, height = sizes[at % len(sizes)]
        across, down = np.meshgrid(np.arange(width), np.arange(height))
        stripes = 127 + 120 * np.sin((across * (at + 1) + down * 3) / 9)
        pixels = np.stack([stripes, 255 - stripes, np.full_like(stripes, 40 * at % 255)], axis=2)
        pixels += random.normal(0, 5, size=pixels.shape)
        pictures.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    pictures[-1] = Image.new("RGB", (72, 72), (90, 120, 40))
    return pictures


def _made(subject: Subject) -> Any:
    """The backbone, with default parameters.

    Raises:
        CheckSkipped: It needs a model or weights that nobody named.
    """
    declaration = subject.declaration
    if declaration.models:
        raise CheckSkipped(f"a family: write {declaration.name}/MODEL; its models are checked when they are used")
    if declaration.weights == "required":
        raise CheckSkipped("it needs weights, which nobody named")
    return backbone_choice(subject.registry, declaration.name, declaration.modality, "", {}, "").make()


def _fitted(subject: Subject, raw: Sequence[Any]) -> Any:
    backbone = _made(subject)
    if callable(getattr(backbone, "fit", None)):
        with global_randomness(0, "backbones"):
            backbone.fit(raw, RunContext(BITS, CPU))
    return backbone


def _raw(subject: Subject) -> list[Any]:
    return example_images() if subject.declaration.modality == "image" else list(CAPTIONS)


def _features(backbone: Any, raw: Sequence[Any]) -> np.ndarray:
    with frozen_global_randomness():
        features = backbone.encode(raw, RunContext(BITS, CPU))
    if not isinstance(features, np.ndarray) and hasattr(features, "__next__"):  # parts: row numbers and their features
        parts = list(features)
        rows = np.concatenate([np.asarray(rows) for rows, _ in parts])
        features = np.concatenate([of_part for _, of_part in parts])[np.argsort(rows)]
    if not isinstance(features, np.ndarray):
        raise CheckFailed(
            f"encode returned {type(features).__module__}.{type(features).__name__}, not a numpy array.",
            "end with features.cpu().numpy().astype('float32').",
        )
    if features.ndim != 2 or len(features) != len(raw):
        raise CheckFailed(f"encode returned shape {features.shape} for {len(raw)} items.", "one row for each item.")
    if features.dtype != np.float32:
        raise CheckFailed(f"encode returned {features.dtype}.", "return float32: features.astype('float32').")
    if not np.isfinite(features).all():
        rows = np.flatnonzero(~np.isfinite(features).all(axis=1))
        raise CheckFailed(
            f"encode returned NaN or infinite values, first for item {rows[0]}: {str(raw[rows[0]])[:60]!r}."
        )
    return features


@check("backbone", hint="captions may be empty and beyond ASCII; images come as PIL RGB in any size.")
def check_features(subject: Subject) -> str:
    """It encodes images of several sizes, or odd captions, to (n, d) float32 without NaN."""
    raw = _raw(subject)
    return f"{_features(_fitted(subject, raw), raw).shape[1]} numbers"


@check("backbone", hint="no batch statistics, no dropout: network.eval(); no random numbers in encode.")
def check_features_of_one_item(subject: Subject) -> None:
    """The features of an item do not depend on the others, on their order, or on chance."""
    raw = _raw(subject)
    backbone = _fitted(subject, raw)
    together, backwards = _features(backbone, raw), _features(backbone, raw[::-1])[::-1]
    alone = np.concatenate([_features(backbone, raw[at : at + 1]) for at in range(len(raw))])
    again = _features(_fitted(subject, raw), raw)
    for what, other in (("in another order", backwards), ("alone", alone), ("from a backbone made anew", again)):
        if not np.allclose(together, other, atol=1e-4 * float(np.abs(together).max() + 1e-12)):
            raise CheckFailed(f"an item has other features {what}.")


@check("dataset", hint="docs/protocols-and-metrics.md describes cards.")
def check_card(subject: Subject) -> str:
    """Its card is complete, and its reader and backbones are registered."""
    card = read_card(subject.declaration.card)
    subject.registry.get("reader", card.reader)
    for modality in ("image", "text") if card.backbones is not None else ():
        subject.registry.backbone(getattr(card.backbones, modality), modality)
    if card.name != subject.declaration.name:
        raise CheckFailed(f"the file is called {subject.declaration.name}, and the card says name = {card.name!r}.")
    return f"{card.images} images, reader {card.reader}"


def _read(subject: Subject) -> tuple[Any, RawDataset]:
    card = read_card(subject.declaration.card)
    root = Path(os.environ["HARNESS_DATA"]) if os.environ.get("HARNESS_DATA") else None
    if getattr(card, "layout", None) is not None and root is None:
        raise CheckSkipped("it needs files, and HARNESS_DATA names no folder of data sets")
    try:
        data = read_dataset(subject.registry, card, root)
    except HarnessError as error:
        if getattr(card, "layout", None) is None:
            raise
        raise CheckSkipped(f"its files are not here: {error}") from error
    if not isinstance(data, RawDataset):
        raise CheckSkipped("it is published as features, which the reader has checked")
    return card, data


def _first_reading(subject: Subject) -> tuple[Any, RawDataset]:
    """The reading that another is compared with, made once."""
    if "reading" not in subject.memory:
        subject.memory["reading"] = _read(subject)
    reading: tuple[Any, RawDataset] = subject.memory["reading"]
    return reading


@check("dataset", hint="the contract of a reader is harness.data.raw.RawDataset.")
def check_reads(subject: Subject) -> str:
    """Its reader gives images, captions and labels that fit each other and the card."""
    card, raw = _first_reading(subject)
    n = len(raw.images)
    facts = {
        f"the card says {card.images} images, and there are {n}": n == card.images or card.images == 0,
        f"{len(raw.captions)} captions and {len(raw.caption_image)} numbers of their images": len(raw.captions)
        == len(raw.caption_image),
        f"labels have shape {raw.labels.shape} for {n} images": len(raw.labels) == n and raw.labels.ndim in (1, 2),
        f"{len(raw.filenames)} file names for {n} images": len(raw.filenames) == n,
        "caption_image names images that do not exist": len(raw.caption_image) > 0
        and 0 <= raw.caption_image.min() <= raw.caption_image.max() < n,
        "some images have no caption": len(np.unique(raw.caption_image)) == n,
        "captions must be strings": all(isinstance(caption, str) for caption in raw.captions),
        "split must have one code for each image": raw.split is None or len(raw.split) == n,
    }
    for what, holds in facts.items():
        if not holds:
            raise CheckFailed(f"{what}.")
    classes = len(np.unique(raw.labels)) if raw.labels.ndim == 1 else raw.labels.shape[1]
    if classes != card.classes and card.labels != "none" and card.classes:
        raise CheckFailed(f"the card says {card.classes} classes, and there are {classes}.")
    picture = raw.images[0]
    if getattr(picture, "mode", None) != "RGB":
        raise CheckFailed(f"image 0 is {getattr(picture, 'mode', type(picture).__name__)}, not a PIL image in RGB.")
    return f"{n} images, {len(raw.captions)} captions, {classes} classes"


@check("dataset", hint="hash what the image is made of (its file), and take no random numbers without a fixed seed.")
def check_reads_the_same_again(subject: Subject) -> None:
    """Reading twice gives the same data, and images tell their content apart by fingerprint."""
    _, raw = _first_reading(subject)
    _, again = _read(subject)
    if raw.captions != again.captions or not np.array_equal(raw.labels, again.labels):
        raise CheckFailed("captions or labels differ between two readings.")
    few = range(min(len(raw), 20))
    first, second = ([data.images.fingerprint(at) for at in few] for data in (raw, again))
    if first != second:
        raise CheckFailed("fingerprints of images differ between two readings.")
    if not all(isinstance(text, str) and text for text in first):
        raise CheckFailed("fingerprints must be strings that are not empty.")
    if len(few) > 1 and len(set(first)) == 1:
        raise CheckFailed("all images have the same fingerprint: changed images would come from the cache unchanged.")


@check("published", hint="docs/published.md shows the layout of the file.")
def check_published_numbers(subject: Subject) -> str:
    """The file is read, its metrics are registered, and its methods are known by the presets and parameters named."""
    registry = subject.registry
    try:
        numbers = numbers_of(registry, subject.declaration)
    except HarnessError as error:
        raise CheckFailed(str(error)) from error
    missing = sorted({one.corresponds_to for one in numbers} - {"", *registry.names("method")})
    if missing:
        raise CheckWarning(f"nothing of ours can stand beside: no method is called {', '.join(missing)} here")
    for kind, names in (
        ("dataset", {one.dataset for one in numbers}),
        ("protocol", {one.protocol for one in numbers} - {""}),
    ):
        unknown = sorted(names - set(registry.names(kind)))
        if unknown:
            raise CheckWarning(f"no {kind} of that name is registered here: {', '.join(unknown)}")
    return f"{len(numbers)} numbers of {len({one.method for one in numbers})} methods"
