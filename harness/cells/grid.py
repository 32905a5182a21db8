"""From lists of values to the requests of a grid: the one way in which options and plans span cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.cells.cell import CellRequest, grid
from harness.cells.command import OF_METHOD, settings_of_backbones
from harness.cells.methods import MethodRequest

ORDER = (
    "features",
    "dataset",
    "data_root",
    "skip_broken",
    "backbone",
    "pretrained",
    "image_backbone",
    "image_weights",
    "image_recipe",
    "image_views",
    "image_augment",
    "text_backbone",
    "text_weights",
    "text_views",
    "text_augment",
    "text_augment_data",
    "limit",
    "data_seed",
    "split",
    "validation",
    "drop_duplicates",
    "relevance",
    "standardise",
    "protocol",
    "trusted",
    "noise_plan",
    "noise",
    "bits",
    "precision",
    "method",
    "preset",
    "hasher",
    "detector",
    "objective",
    "epochs",
)
"""The slowest first, so that data are prepared once; then the settings, and the training seed."""


def span(
    base: CellRequest, axes: Mapping[str, Sequence[Any]], settings: Mapping[str, Sequence[str]]
) -> list[CellRequest]:
    """The grid of all given values.

    Args:
        base: Whose values stand where nothing is given.
        axes: Name of an option of :data:`harness.cells.command.OPTIONS` to its values; names with no value count as not
            given.
        settings: Key of ``--set`` to its values.

    Returns:
        One request for each point; the data axes change slowest, the training seed fastest.
    """
    given = {name: axes[name] for name in (*ORDER, "seed") if axes.get(name)}
    seeds = {"seed": given.pop("seed")} if "seed" in given else {}
    points = grid({**given, **{f"set:{key}": values for key, values in settings.items()}, **seeds})
    return [_request(base, point) for point in points]


def _request(base: CellRequest, point: dict[str, Any]) -> CellRequest:
    chosen = {key.removeprefix("set:"): point.pop(key) for key in list(point) if key.startswith("set:")}
    of_backbones = settings_of_backbones(chosen)
    of_method = {name: point.pop(name) for name in list(point) if name in OF_METHOD}
    if "method" in of_method:
        of_method["name"] = of_method.pop("method")
    # Parts and parameters of the base belong to its method; another one starts from its own recipe.
    same = of_method.get("name", base.method.name) == base.method.name
    method = base.method if same else MethodRequest(of_method["name"])
    of_components = {key: text for key, text in chosen.items() if key not in of_backbones}
    method = replace(method, settings={**method.settings, **of_components}, **of_method)
    if "dataset" in point and "features" not in point:
        point["features"] = None  # features would bring their own data
    return replace(base, method=method, backbone_settings={**base.backbone_settings, **of_backbones}, **point)
