"""Options that several verbs share, and the step from options to the requests of a grid."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness.cells.cell import CellRequest
from harness.cells.command import OPTIONS, CellOption
from harness.cells.grid import span
from harness.cells.methods import MethodRequest
from harness.cli import axes
from harness.cli.json_output import claim_stdout
from harness.cli.option_groups import DATA, FEATURES, METHOD, NOISE, OUTPUT
from harness.errors import HarnessError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _axis(option: Callable[..., Decorator], name: str, help_text: str, **settings: Any) -> Decorator:
    return option(name, multiple=True, help=help_text, **settings)


PLUGIN = METHOD(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE.py",
    type=click.Path(path_type=Path),
    help="Load a one-file plugin.",
)

CELL_OPTIONS: list[Decorator] = [
    _axis(METHOD, "--method", "Method, as `harness list methods` shows.  [axis]", metavar="NAME"),
    _axis(
        METHOD,
        "--preset",
        "Named parameters of the methods that have them, for example released.  [axis; default described]",
        metavar="NAME",
    ),
    METHOD(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Parameter of the components that have it (hasher.beta=0.01, phase.warm-up.epochs=50). A comma list is an "
        "axis.",
    ),
    _axis(METHOD, "--hasher", "Replace the method's hasher.  [axis]", metavar="NAME"),
    _axis(METHOD, "--detector", "Replace the method's noise detector.  [axis]", metavar="NAME"),
    _axis(METHOD, "--objective", "Replace the method's objective.  [axis]", metavar="NAME"),
    METHOD("--epochs", type=int, metavar="N", help="Total epochs, divided in the method's proportion."),
    _axis(METHOD, "--bits", "Code length.  [axis; default 64]", metavar="N"),
    _axis(METHOD, "--seed", "Training seed; ranges such as 0-4 are allowed.  [axis; default 0]", metavar="N"),
    _axis(
        METHOD,
        "--precision",
        "Number format of training: auto, fp32, bf16 or tf32.  [axis; default auto: bf16 where it is "
        "fast, otherwise fp32]",
        metavar="FORMAT",
    ),
    PLUGIN,
    _axis(DATA, "--dataset", "Data set.  [axis; default toy]", metavar="NAME"),
    DATA(
        "--data-root",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Folder of the data sets.  [default: $HARNESS_DATA]",
    ),
    _axis(DATA, "--data-seed", "Seed of split, captions, trusted pairs and noise.  [axis; default 0]", metavar="N"),
    _axis(
        DATA,
        "--split",
        "Who is training, query and database image: paper (50/10/40 by seed), stratified (the same by "
        "class), published, or protocol (the usual one of the set).  [axis; default: the data set's]",
        metavar="NAME",
    ),
    DATA(
        "--validation",
        type=float,
        metavar="SHARE",
        help="For tuning: this share of the training images are the queries, and the real queries unused.",
    ),
    _axis(
        DATA,
        "--relevance",
        "What is right: label (a shared class) or instance (an item's own partners).  [axis; default label]",
        metavar="NAME",
    ),
    DATA(
        "--drop-duplicates",
        is_flag=True,
        help="Leave out training and database images that are copies of images in another part.",
    ),
    DATA("--skip-broken", is_flag=True, help="Leave out images that are missing or damaged, and list them."),
    DATA("--limit", type=int, metavar="N", help="Use N images only; such runs never enter tables."),
    _axis(
        NOISE,
        "--noise",
        "Share of untrusted training pairs that get a wrong caption, 0 <= rate < 1.  [axis; default 0]",
        metavar="RATE",
    ),
    _axis(NOISE, "--protocol", "How captions are made wrong.  [axis; default derangement]", metavar="NAME"),
    _axis(NOISE, "--trusted", "Share of training pairs known to be right.  [axis; default 0.2]", metavar="SHARE"),
    NOISE(
        "--noise-plan",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Use this noise plan instead of drawing one: an npz of ours, or a published index file (npy).",
    ),
    FEATURES(
        "--features",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Ready features: npz, or the CHNR authors' HDF5 folder. Repeat for several.",
    ),
    _axis(
        FEATURES,
        "--standardise",
        "Feature standardisation: scalar, feature, center or none.  [axis; default scalar]",
        metavar="HOW",
    ),
    _axis(
        FEATURES,
        "--backbone",
        "Encoder with a tower for images and one for captions, for example open_clip/ViT-B-32.  [axis]",
        metavar="NAME",
    ),
    FEATURES("--pretrained", metavar="FILE_OR_TAG", help="Weights of --backbone: local file or folder, or a tag."),
    _axis(
        FEATURES,
        "--image-backbone",
        "Image encoder, for example torchvision/resnet18.  [axis; default: the data set's]",
        metavar="NAME",
    ),
    FEATURES("--image-weights", metavar="FILE", help="Local weights of the image encoder (safetensors or pth)."),
    _axis(
        FEATURES,
        "--image-recipe",
        "How images are prepared: standard, or released (the CHNR paper's, by batch statistics).  "
        "[axis; default standard]",
        metavar="NAME",
    ),
    _axis(FEATURES, "--image-views", "Augmented views of each image.  [axis; default 1]", metavar="N"),
    _axis(FEATURES, "--image-augment", "How they are made: duch or randaugment.  [axis; default duch]", metavar="NAME"),
    _axis(FEATURES, "--text-backbone", "Text encoder.  [axis; default: the data set's]", metavar="NAME"),
    FEATURES("--text-weights", metavar="DIR_OR_HUB_NAME", help="Local folder or hub name of the text encoder."),
    _axis(FEATURES, "--text-views", "Augmented views of each caption.  [axis; default 0]", metavar="N"),
    _axis(
        FEATURES,
        "--text-augment",
        "How they are made: dropout, synonyms or back-translation.  [axis; default dropout]",
        metavar="NAME",
    ),
    FEATURES(
        "--text-augment-data",
        metavar="FILE_OR_DIR",
        help="List of synonyms, or folder of translation models (forward/, back/).",
    ),
]
"""Everything that chooses cells."""

RESULTS = OUTPUT(
    "--results",
    default="results",
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of records.",
)
JSON = OUTPUT(
    "--json",
    "as_json",
    is_flag=True,
    callback=claim_stdout,
    help="Print JSON on standard output, and nothing else there.",
)


def cell_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options that choose cells."""
    for option in reversed(CELL_OPTIONS):
        command = option(command)
    return command


def requests_of(options: Mapping[str, Any], base: CellRequest | None = None) -> list[CellRequest]:
    """The grid that the options span.

    Args:
        options: Values of :data:`CELL_OPTIONS` by name.
        base: The cell whose values stand where an option is not given; None for the defaults.

    Returns:
        One request for each point; the data axes change slowest, so that data are prepared once.

    Raises:
        HarnessError: No method, or a value that cannot be read.
    """
    given = given_of(options)
    if base is None and not given["method"]:
        raise HarnessError("no method named: add --method NAME, one of those that `harness list methods` shows.")
    if given["features"] and given["dataset"]:
        raise HarnessError("--dataset and --features exclude each other: features bring their own data.")
    base = base or CellRequest(MethodRequest(given["method"][0]))
    base = replace(base, data_root=base.data_root or default_data_root())
    plugins = tuple(dict.fromkeys([*base.plugins, *options["plugins"]]))
    return span(replace(base, plugins=plugins), given, axes.settings(options["settings"]))


def given_of(options: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Name of each option of a cell to the values given for it; empty lists where it was left out.

    Raises:
        HarnessError: A value cannot be read.
    """
    return {option.name: _values(option, options[option.name]) for option in OPTIONS}


def default_data_root() -> Path | None:
    """The folder of the data sets that the environment names."""
    return Path(os.environ["HARNESS_DATA"]) if os.environ.get("HARNESS_DATA") else None


def _values(option: CellOption, given: Any) -> list[Any]:
    """The values of one option; empty if it is not given."""
    if not option.axis:
        unsaid = given is None or (option.is_switch and not given)
        return list(given) if isinstance(given, tuple) else [] if unsaid else [given]
    if option.read in (int, float):
        return axes.numbers(option.flag, given, option.read)
    return axes.texts(given, option.flag)


def results_option(results: Path) -> str:
    """What a command needs to write into a results folder that is not the usual one: " --results DIR", or ""."""
    import shlex

    return "" if results == Path("results") else f" --results {shlex.quote(str(results))}"
