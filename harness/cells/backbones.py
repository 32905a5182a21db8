"""From the options of a cell to its backbones: what was asked for, contradictions, and the data set's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.cells.request import MODALITIES, OPTIONS, CellRequest
from harness.data.cards import Backbones
from harness.data.features.extraction import BackboneChoice
from harness.data.features.sources import backbone_choice
from harness.data.features.views import STANDING, TEXT_AUGMENTS, ImageViews, TextViews
from harness.errors import HarnessError
from harness.plugin.declarations import BOTH, STANDARD
from harness.plugin.loading import Registry


def refuse_backbones(request: CellRequest, modalities: Sequence[str], what: str) -> None:
    """Refuse options of backbones where the features are there already, so that no backbone computes them.

    Args:
        request: What was asked for.
        modalities: Those whose features are not computed.
        what: What brings them, for the message: "--features, which brings its features".

    Raises:
        HarnessError: Something is asked; the message quotes it.
    """
    asked = [f"--set {key} {text}" for key, text in request.backbone_settings.items()
             if key.partition("_")[0] in modalities]  # fmt: skip
    for modality in ("both", *modalities):
        for option in OPTIONS:
            value = option.value(request) if option.modality == modality else None
            if value is not None:
                asked.append(option.flag if option.is_switch else f"{option.flag} {value}")
    if asked:
        raise HarnessError(f"{asked[0]} has no use with {what}: leave one of them out.")


def backbones_of(
    registry: Registry, request: CellRequest, of_card: Backbones, source_hash: Callable[[Any], str]
) -> tuple[BackboneChoice, BackboneChoice]:
    """Both backbones of a cell, with weights, recipes and views.

    Args:
        registry: What is registered.
        request: What was asked for.
        of_card: What the data set uses where nothing is said.
        source_hash: Hash of the code of a declaration.

    Returns:
        The image backbone and the text backbone.

    Raises:
        HarnessError: Unknown names or values, or options that contradict one another.
    """
    _check_pair(registry, request)
    image, text = (_choice(registry, request, modality, of_card, source_hash) for modality in MODALITIES)
    for choice in (image, text):
        choice.weights_fingerprint  # noqa: B018 - a missing file is found before images are read
    return image, text


def _check_pair(registry: Registry, request: CellRequest) -> None:
    """``--backbone`` and ``--pretrained`` say both backbones and both weights."""
    if request.backbone is None:
        if request.pretrained is not None:
            raise HarnessError(
                f"--pretrained {request.pretrained} are the weights of --backbone, which is not given: use "
                "--image-weights or --text-weights, or name a backbone for both modalities."
            )
        return
    for name in ("image_backbone", "text_backbone", "image_weights", "text_weights"):
        value = getattr(request, name)
        if value is not None:
            raise HarnessError(
                f"--{name.replace('_', '-')} {value} contradicts --backbone {request.backbone}, which sets both "
                "modalities: leave one of them out."
            )
    declaration, _ = registry.backbone(request.backbone, "image")
    if declaration.modality != BOTH:
        raise HarnessError(
            f"--backbone {request.backbone}: it encodes {declaration.modality} alone: use --{declaration.modality}-"
            "backbone."
        )
    if request.pretrained is None and declaration.weights == "required":
        raise HarnessError(f"--backbone {request.backbone} needs weights: add --pretrained FILE_OR_TAG.")


def _choice(
    registry: Registry, request: CellRequest, modality: str, of_card: Backbones, source_hash: Callable[[Any], str]
) -> BackboneChoice:
    default = getattr(of_card, modality)
    named = request.backbone or getattr(request, f"{modality}_backbone") or default
    weights = request.pretrained if request.backbone else getattr(request, f"{modality}_weights")
    if weights is None:
        weights = getattr(of_card, f"{modality}_weights") if named == default else ""
    declaration, _ = registry.backbone(named, modality)
    recipe = request.image_recipe if modality == "image" else STANDARD
    if recipe not in declaration.recipes:
        known = ", ".join(declaration.recipes)
        raise HarnessError(f"--image-recipe {recipe}: backbone {named!r} has no such recipe; it has: {known}.")
    return backbone_choice(
        registry,
        named,
        modality,
        weights,
        request.backbone_settings,
        source_hash(declaration),
        recipe=recipe,
        views=_image_views(request) if modality == "image" else _text_views(request),
    )


def _image_views(request: CellRequest) -> ImageViews:
    number, augment = request.image_views, request.image_augment
    if number == 0 and augment is not None:
        raise HarnessError(f"--image-augment {augment} makes no difference with --image-views 0: leave it out.")
    return ImageViews(
        STANDING[0] if number is None else number, STANDING[1] if augment is None else augment, request.data_seed
    )


def _text_views(request: CellRequest) -> TextViews:
    augment, data = request.text_augment, request.text_augment_data
    for option, value in (("--text-augment", augment), ("--text-augment-data", data)):
        if value is not None and request.text_views == 0:
            raise HarnessError(f"{option} {value} makes no difference with --text-views 0: leave it out.")
    if data is not None and augment in (None, "dropout"):
        raise HarnessError(
            f"--text-augment-data {data} is of use with --text-augment synonyms or back-translation: name one of them."
        )
    if request.text_views is None and augment is None:
        return TextViews()
    return TextViews(
        1 if request.text_views is None else request.text_views, augment or TEXT_AUGMENTS[0], request.data_seed,
        data or "",
    )  # fmt: skip


def notes_on(image: BackboneChoice | None) -> list[str]:
    """What the record must say of the image backbone."""
    if image is None or image.recipe == STANDARD:
        return []
    return [
        f"image features are transductive: --image-recipe {image.recipe} normalises each image with the statistics of "
        "the images that share its batch, queries and database among them"
    ]
