"""What a user asks for: the one table of the options, and the grid that their values span.

An option is declared as the field that holds its value. The command line, its help, plans, grids and stored commands
are derived from :data:`OPTIONS`: a new option is a new field here, and what it does.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.cells.options import Fact, Stage, option, options_in

DEFAULT_PRESET = "described"

DEFAULT_TRUSTED = 0.2

MODALITIES = ("image", "text")

BACKBONE_ROLES = tuple(f"{modality}_backbone" for modality in MODALITIES)
"""What settings of backbones begin with, as opposed to those of the method."""

METHOD, DATA, NOISE, FEATURES = "Method", "Data", "Noise", "Features"
"""Sections of the help."""


# fmt: off
@dataclass(frozen=True)
class MethodRequest:
    """A method as asked for.

    Attributes:
        name: The method.
        preset: One of the method's presets, or ``described``.
        hasher, detector, objective: Components that replace the recipe's; None keeps them.
        epochs: Total number of epochs, divided among the phases in the recipe's proportion; None keeps them.
        settings: Values of ``--set`` for this method, as text.
    """

    name: str = option(
        MISSING, METHOD, "Method, as `harness list methods` shows.", "NAME", Stage.CHOOSING_A_METHOD, names="method",
        name="method"
    )
    preset: str = option(
        DEFAULT_PRESET, METHOD, "Named parameters of the methods that have them, for example released.", "NAME",
        Stage.CHOOSING_A_METHOD
    )
    hasher: str | None = option(
        None, METHOD, "Replace the method's hasher.", "NAME", Stage.CHOOSING_A_METHOD, names="hasher"
    )
    detector: str | None = option(
        None, METHOD, "Replace the method's noise detector.", "NAME", Stage.CHOOSING_A_METHOD, names="detector"
    )
    objective: str | None = option(
        None, METHOD, "Replace the method's objective.", "NAME", Stage.CHOOSING_A_METHOD, names="objective"
    )
    epochs: int | None = option(None, METHOD, "Total epochs, divided in the method's proportion.", "N")
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CellRequest:
    """One point of the grid, as asked for; None means the default or what the data bring.

    The fields say in their metadata what they are. Beside them:

    Attributes:
        method: The method with its overrides and settings.
        plugins: Files named with ``--plugin``, for the command that repeats the cell.
        backbone_settings: Values of ``--set image_backbone.NAME`` and ``text_backbone.NAME``.
    """

    method: MethodRequest
    bits: int = option(64, METHOD, "Code length.", "N", Stage.CODING, always_said=True)
    seed: int = option(
        0, METHOD, "Training seed; ranges such as 0-4 are allowed.", "N", Stage.SEEDING, always_said=True
    )
    precision: str = option(
        "auto", METHOD, "Number format of training: auto, fp32, bf16 or tf32.", "FORMAT", Stage.CODING,
        usual=" auto: bf16 where it is fast, otherwise fp32", fact=Fact(("fp32",))
    )
    plugins: tuple[Path, ...] = ()
    dataset: str = option("toy", DATA, "Data set.", "NAME", Stage.READING, names="dataset")
    data_root: Path | None = option(None, DATA, "Folder of the data sets.  [default: $HARNESS_DATA]", "DIR")
    data_seed: int = option(
        0, DATA, "Seed of split, captions, trusted pairs and noise.", "N", Stage.SPLITTING, always_said=True,
        fact=Fact((0,), apart=False)
    )
    split: str | None = option(
        None, DATA, "Who is training, query and database image: paper (50/10/40 by seed), stratified (the same by "
        "class), published, or protocol (the usual one of the set).", "NAME", Stage.SPLITTING,
        usual=": the data set's", fact=Fact(("paper", "given", ""), empty="paper or given")
    )
    validation: float | None = option(
        None, DATA, "For tuning: this share of the training images are the queries, and the real queries unused.",
        "SHARE", fact=Fact((None,), "VALIDATION {:g}, not the real queries", "validation {}", hashed=False,
                           published=("queries", "the real ones", "of --validation"))
    )
    relevance: str = option(
        "label", DATA, "What is right: label (a shared class) or instance (an item's own partners).", "NAME",
        Stage.SPLITTING, fact=Fact(("label",), published=("relevance", "label", "{}"))
    )
    drop_duplicates: bool = option(
        False, DATA, "Leave out training and database images that are copies of images in another part.",
        fact=Fact((False, ""), "without duplicates", "without duplicates", empty="no", hashed=False,
                  published=("duplicates", "kept", "dropped"))
    )
    skip_broken: bool = option(
        False, DATA, "Leave out images that are missing or damaged, and list them.", modality="image"
    )
    limit: int | None = option(
        None, DATA, "Use N images only; such runs never enter tables.", "N",
        fact=Fact((None,), "LIMITED to {:g} images, not for comparison", "limit {}")
    )
    noise: float | None = option(
        None, NOISE, "Share of untrusted training pairs that get a wrong caption, 0 <= rate < 1.", "RATE",
        Stage.CORRUPTING, usual=" 0", fact=Fact(apart=False)
    )
    protocol: str | None = option(
        None, NOISE, "How captions are made wrong.", "NAME", Stage.TRUSTING, usual=" derangement", names="protocol",
        fact=Fact(("derangement", "given"))
    )
    trusted: float | None = option(
        None, NOISE, "Share of training pairs known to be right.", "SHARE", Stage.TRUSTING, usual=" 0.2",
        fact=Fact((DEFAULT_TRUSTED,))
    )
    noise_plan: Path | None = option(
        None, NOISE, "Use this noise plan instead of drawing one: an npz of ours, or a published index file (npy).",
        "FILE"
    )
    features: Path | None = option(
        None, FEATURES, "Ready features: npz, or the CHNR authors' HDF5 folder. Repeat for several.", "FILE",
        Stage.READING
    )
    standardise: str = option(
        "scalar", FEATURES, "Feature standardisation: scalar, feature, center or none.", "HOW", Stage.STANDARDISING,
        fact=Fact(("scalar",))
    )
    backbone: str | None = option(
        None, FEATURES, "Encoder with a tower for images and one for captions, for example open_clip/ViT-B-32.",
        "NAME", Stage.ENCODING, modality="both"
    )
    pretrained: str | None = option(
        None, FEATURES, "Weights of --backbone: local file or folder, or a tag.", "FILE_OR_TAG", modality="both",
        may_be_path=True
    )
    image_backbone: str | None = option(
        None, FEATURES, "Image encoder, for example torchvision/resnet18.", "NAME", Stage.ENCODING,
        usual=": the data set's", modality="image"
    )
    image_weights: str | None = option(
        None, FEATURES, "Local weights of the image encoder (safetensors or pth).", "FILE", modality="image",
        may_be_path=True
    )
    image_recipe: str = option(
        "standard", FEATURES,
        "How images are prepared: standard, or released (the CHNR paper's, by batch statistics).", "NAME",
        Stage.ENCODING, modality="image"
    )
    image_views: int | None = option(
        None, FEATURES, "Augmented views of each image.", "N", Stage.ENCODING, usual=" 1", modality="image"
    )
    image_augment: str | None = option(
        None, FEATURES, "How they are made: duch or randaugment.", "NAME", Stage.ENCODING, usual=" duch",
        modality="image"
    )
    text_backbone: str | None = option(
        None, FEATURES, "Text encoder.", "NAME", Stage.ENCODING, usual=": the data set's", modality="text"
    )
    text_weights: str | None = option(
        None, FEATURES, "Local folder or hub name of the text encoder.", "DIR_OR_HUB_NAME", modality="text",
        may_be_path=True
    )
    text_views: int | None = option(
        None, FEATURES, "Augmented views of each caption.", "N", Stage.ENCODING, usual=" 0", modality="text"
    )
    text_augment: str | None = option(
        None, FEATURES, "How they are made: dropout, synonyms or back-translation.", "NAME", Stage.ENCODING,
        usual=" dropout", modality="text"
    )
    text_augment_data: str | None = option(
        None, FEATURES, "List of synonyms, or folder of translation models (forward/, back/).", "FILE_OR_DIR",
        modality="text", may_be_path=True
    )
    backbone_settings: Mapping[str, str] = field(default_factory=dict)

    # fmt: on
    @property
    def data_key(self) -> CellRequest:
        """What of the request concerns the data, as opposed to method, bits, seed and precision."""
        return replace(self, method=MethodRequest("none"), bits=64, seed=0, precision="auto")


IN_COMMANDS = (
    "method", "hasher", "detector", "objective", "preset", "epochs", "dataset", "features", "noise_plan", "data_root",
    "backbone", "pretrained", "image_backbone", "image_weights", "text_backbone", "text_weights", "image_recipe",
    "image_views", "image_augment", "text_views", "text_augment", "text_augment_data", "skip_broken", "noise",
    "protocol", "trusted", "bits", "seed", "data_seed", "split", "validation", "relevance", "drop_duplicates",
    "standardise", "precision", "limit",
)  # fmt: skip
"""The order of options in the commands of records, which stand as they are; younger ones follow."""

DECLARED = (*options_in(MethodRequest, of_method=True), *options_in(CellRequest))
"""Every option of a cell in the order of the help, but for ``--set`` and ``--plugin``, which repeat."""

OPTIONS = tuple(
    sorted(DECLARED, key=lambda one: IN_COMMANDS.index(one.name) if one.name in IN_COMMANDS else len(IN_COMMANDS))
)
"""The same in the order of the command."""

ORDER = tuple(option.name for option in sorted(DECLARED, key=lambda option: option.varies or 0))
"""Names of options, the slowest first, so that data are prepared once; the training seed is the last."""

BY_NAME = {one.name: one for one in OPTIONS}

TOLD_OPTIONS = {one.name: one.fact for one in DECLARED if one.fact is not None}
"""Options that the record of a cell tells, and how tables treat them."""

OF_DATA = tuple(name for name in TOLD_OPTIONS if BY_NAME[name].group in (DATA, NOISE))
"""Those that fix data and wrong captions for every method, codes of another program included."""

OLDER_SETTINGS = ("protocol", "trusted", "standardise", "precision", "limit")

LATER_SETTINGS = tuple(name for name, fact in TOLD_OPTIONS.items() if fact.apart and name not in OLDER_SETTINGS)
"""Options that must be equal for numbers to stand in one table, and need no more than their :class:`Fact`; a younger
option becomes one of them.
"""


def with_values(
    request: CellRequest, values: Mapping[str, Any], settings: Mapping[str, str] | None = None
) -> CellRequest:
    """A request with other values.

    Args:
        request: The request.
        values: Name of an option to its value.
        settings: Values of ``--set`` that are added.
    """
    of_method = {BY_NAME[name].field: value for name, value in values.items() if BY_NAME[name].of_method}
    others = {name: value for name, value in values.items() if not BY_NAME[name].of_method}
    components, backbones = dict(request.method.settings), dict(request.backbone_settings)
    for key, text in (settings or {}).items():
        (backbones if key.partition(".")[0] in BACKBONE_ROLES else components)[key] = text
    method = replace(request.method, settings=components, **of_method)
    return replace(request, method=method, backbone_settings=backbones, **others)


def grid(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The cross product of axes, the first axis outermost; an axis may have one value."""
    names = list(axes)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(axes[name] for name in names))]


def span(
    base: CellRequest, axes: Mapping[str, Sequence[Any]], settings: Mapping[str, Sequence[str]]
) -> list[CellRequest]:
    """The grid of all given values.

    Args:
        base: Whose values stand where nothing is given.
        axes: Name of an option of :data:`OPTIONS` to its values; names with no value count as not
            given.
        settings: Key of ``--set`` to its values.

    Returns:
        One request for each point; the data axes change slowest, the training seed fastest.
    """
    given = {name: axes[name] for name in ORDER if axes.get(name)}
    seeds = {"seed": given.pop("seed")} if "seed" in given else {}
    points = grid({**given, **{f"set:{key}": values for key, values in settings.items()}, **seeds})
    return [_request(base, point) for point in points]


def _request(base: CellRequest, point: dict[str, Any]) -> CellRequest:
    settings = {key.removeprefix("set:"): point.pop(key) for key in list(point) if key.startswith("set:")}
    if point.get("method", base.method.name) != base.method.name:
        # Parts and parameters of the base belong to its method; another one starts from its own recipe.
        base = replace(base, method=MethodRequest(point["method"]))
    if "dataset" in point and "features" not in point:
        point["features"] = None  # features would bring their own data
    return with_values(base, point, settings)
