"""From lists of values to the requests of a grid: the one way in which options and plans span cells."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.cells.request import DECLARED, CellRequest, MethodRequest, with_values

ORDER = tuple(option.name for option in sorted(DECLARED, key=lambda option: option.varies or 0))
"""Names of options, the slowest first, so that data are prepared once; the training seed is the last."""


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
        axes: Name of an option of :data:`harness.cells.request.OPTIONS` to its values; names with no value count as not
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
