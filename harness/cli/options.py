"""Options that several verbs share, and the step from options to the requests of a grid."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from harness.cells import CellRequest, grid
from harness.cli import axes
from harness.errors import HarnessError
from harness.methods import DEFAULT_PRESET, MethodRequest

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

BACKBONE_ROLES = ("image_backbone", "text_backbone")


def _axis(name: str, help_text: str, **settings: Any) -> Decorator:
    return click.option(name, multiple=True, help=help_text, **settings)


PLUGIN = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE.py",
    type=click.Path(path_type=Path),
    help="Load a one-file plugin.",
)

CELL_OPTIONS: list[Decorator] = [
    _axis("--method", "Method, as `harness list methods` shows.  [axis]", metavar="NAME"),
    _axis("--noise", "Share of untrusted training pairs that get a wrong caption, 0 <= rate < 1.  [axis; default 0]",
          metavar="RATE"),
    _axis("--dataset", "Data set.  [axis; default toy]", metavar="NAME"),
    _axis("--bits", "Code length.  [axis; default 64]", metavar="N"),
    _axis("--seed", "Training seed; ranges such as 0-4 are allowed.  [axis; default 0]", metavar="N"),
    _axis("--data-seed", "Seed of split, captions, trusted pairs and noise.  [axis; default 0]", metavar="N"),
    _axis("--hasher", "Replace the method's hasher.  [axis]", metavar="NAME"),
    _axis("--detector", "Replace the method's noise detector.  [axis]", metavar="NAME"),
    _axis("--objective", "Replace the method's objective.  [axis]", metavar="NAME"),
    _axis("--protocol", "How captions are made wrong.  [axis; default derangement]", metavar="NAME"),
    _axis("--trusted", "Share of training pairs known to be right.  [axis; default 0.2]", metavar="SHARE"),
    _axis("--image-backbone", "Image encoder, for example torchvision/resnet18.  [axis; default: the data set's]",
          metavar="NAME"),
    click.option("--image-weights", metavar="FILE", help="Local weights of the image encoder (safetensors or pth)."),
    _axis("--text-backbone", "Text encoder.  [axis; default: the data set's]", metavar="NAME"),
    click.option("--text-weights", metavar="DIR_OR_HUB_NAME", help="Local folder or hub name of the text encoder."),
    click.option("--features", multiple=True, metavar="FILE", type=click.Path(path_type=Path),
                 help="Ready features: npz, or the CHNR authors' HDF5 folder. Repeat for several."),
    click.option("--noise-plan", metavar="FILE", type=click.Path(path_type=Path),
                 help="Use this noise plan instead of drawing one."),
    click.option("--data-root", metavar="DIR", type=click.Path(path_type=Path),
                 help="Folder of the data sets.  [default: $HARNESS_DATA]"),
    _axis("--standardise", "Feature standardisation: scalar, feature, center or none.  [axis; default scalar]",
          metavar="HOW"),
    _axis("--precision", "Number format of training: auto, fp32, bf16 or tf32.  [axis; default auto: bf16 where it is "
          "fast, otherwise fp32]", metavar="FORMAT"),
    _axis("--preset", "Named parameters of the method, for example released.  [axis; default described]",
          metavar="NAME"),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
                 help="Parameter of a component (hasher.beta=0.01, phase.warm-up.epochs=50). A comma list is an axis."),
    click.option("--epochs", type=int, metavar="N", help="Total epochs, divided in the method's proportion."),
    click.option("--limit", type=int, metavar="N", help="Use N images only; such runs never enter tables."),
    PLUGIN,
]  # fmt: skip
"""Everything that chooses cells."""

RESULTS = click.option(
    "--results",
    default="results",
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of records.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output, and nothing else there.")


def cell_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options that choose cells."""
    for option in reversed(CELL_OPTIONS):
        command = option(command)
    return command


def requests_of(options: Mapping[str, Any]) -> list[CellRequest]:
    """The grid that the options span.

    Args:
        options: Values of :data:`CELL_OPTIONS` by name.

    Returns:
        One request for each point; the data axes change slowest, so that data are prepared once.

    Raises:
        HarnessError: No method, or a value that cannot be read.
    """
    methods = axes.texts(options["method"], "--method")
    if not methods:
        raise HarnessError("no method named: add --method NAME, one of those that `harness list methods` shows.")
    if options["features"] and options["dataset"]:
        raise HarnessError("--dataset and --features exclude each other: features bring their own data.")
    settings = axes.settings(options["settings"])
    data_root = options["data_root"] or (Path(os.environ["HARNESS_DATA"]) if os.environ.get("HARNESS_DATA") else None)
    points = grid(
        {
            "features": options["features"] or (None,),
            "dataset": axes.texts(options["dataset"], "--dataset") or ["toy"],
            "image_backbone": axes.texts(options["image_backbone"], "--image-backbone") or [None],
            "text_backbone": axes.texts(options["text_backbone"], "--text-backbone") or [None],
            "data_seed": axes.numbers("--data-seed", options["data_seed"], int) or [0],
            "standardise": axes.texts(options["standardise"], "--standardise") or ["scalar"],
            "protocol": axes.texts(options["protocol"], "--protocol") or [None],
            "trusted": axes.numbers("--trusted", options["trusted"], float) or [None],
            "noise": axes.numbers("--noise", options["noise"], float) or [None],
            "bits": axes.numbers("--bits", options["bits"], int) or [64],
            "precision": axes.texts(options["precision"], "--precision") or ["auto"],
            "method": methods,
            "preset": axes.texts(options["preset"], "--preset") or [DEFAULT_PRESET],
            "hasher": axes.texts(options["hasher"], "--hasher") or [None],
            "detector": axes.texts(options["detector"], "--detector") or [None],
            "objective": axes.texts(options["objective"], "--objective") or [None],
            **{f"set:{key}": values for key, values in settings.items()},
            "seed": axes.numbers("--seed", options["seed"], int) or [0],
        }
    )
    return [_request(point, options, data_root) for point in points]


def _request(point: dict[str, Any], options: Mapping[str, Any], data_root: Path | None) -> CellRequest:
    chosen = {key.removeprefix("set:"): point.pop(key) for key in list(point) if key.startswith("set:")}
    of_backbones = {key: text for key, text in chosen.items() if key.partition(".")[0] in BACKBONE_ROLES}
    method = MethodRequest(
        name=point.pop("method"),
        hasher=point.pop("hasher"),
        detector=point.pop("detector"),
        objective=point.pop("objective"),
        preset=point.pop("preset"),
        settings={key: text for key, text in chosen.items() if key not in of_backbones},
        epochs=options["epochs"],
    )
    return CellRequest(
        method=method,
        backbone_settings=of_backbones,
        data_root=data_root,
        noise_plan=options["noise_plan"],
        image_weights=options["image_weights"],
        text_weights=options["text_weights"],
        limit=options["limit"],
        plugins=tuple(options["plugins"]),
        **point,
    )
