"""What rows, columns and separate tables can stand for: the facts of a record that a reader may want side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cells.request import LATER_SETTINGS, TOLD_OPTIONS
from harness.errors import HarnessError, unknown_name
from harness.report.frame import DIRECTIONS
from harness.text import counted


@dataclass(frozen=True)
class Axis:
    """One fact that can be a row, a column or a table of its own.

    Attributes:
        name: Name as users write it.
        column: The column of the records that holds it; empty for metric and direction, which are no facts of a run.
        competes: Whether its values are candidates for the best; otherwise they are conditions, and the best is
            sought under each one.
    """

    name: str
    column: str
    competes: bool = False


_COMPETING = ("hasher", "detector", "objective", "preset")
_CONDITIONS = (
    "noise", "bits", "dataset", "protocol", "trusted", "seed", "data_seed", "standardise", "precision",
    "image_backbone", "text_backbone", "plan", "data", "limit", "device", "host",
    *LATER_SETTINGS,
)  # fmt: skip

AXES: dict[str, Axis] = {
    "method": Axis("method", "row", competes=True),
    "row": Axis("row", "row", competes=True),
    **{name: Axis(name, name, competes=True) for name in _COMPETING},
    **{name: Axis(name, name) for name in _CONDITIONS},
    "direction": Axis("direction", ""),
    "metric": Axis("metric", ""),
}
"""Every axis. ``method`` and ``row`` are the same: the method's name with what differs from its defaults, because two
variants of a method are two methods."""


def axes_of(text: Iterable[str], option: str) -> tuple[str, ...]:
    """Names of axes as written, checked.

    Args:
        text: Values of the option, each a name or a comma list.
        option: ``--rows``, ``--columns`` or ``--by``, for the message.

    Raises:
        HarnessError: There is no such axis, or one is named twice.
    """
    names = [name.strip() for part in text for name in part.split(",") if name.strip()]
    for name in names:
        if name not in AXES:
            raise unknown_name(f"name in {option}", name, AXES)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise HarnessError(f"{option} names {twice} twice: name it once.")
    return tuple(names)


def bare(axis: str, value: Any) -> str:
    """A value as text, for places where the name of its axis stands beside it."""
    if value is None:
        return {"noise": "as given", "validation": "no", "limit": "none"}.get(axis, "-")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if axis in ("image_backbone", "text_backbone"):
        return without_weights(str(value))
    return str(value) if value != "" else getattr(TOLD_OPTIONS.get(axis), "empty", "") or "-"


def told(axis: str, value: Any) -> str:
    """A value as text, for places where it stands alone, as in the header of a column."""
    if axis == "bits" and value is not None:
        return counted(int(value), "bit")
    if axis in ("noise", "direction", "metric", "method", "row", "dataset", "hasher"):
        return bare(axis, value)
    return f"{axis.replace('_', ' ')} {bare(axis, value)}"


def without_weights(backbone: str) -> str:
    """The name of a backbone without its weights and parameters."""
    return backbone.partition(" (")[0]


def in_order(keys: Iterable[tuple[Any, ...]], axes: Sequence[str], first_seen: Sequence[dict[Any, int]]) -> list[Any]:
    """Row or column keys in the order of a table, outermost axis first.

    Args:
        keys: Their values, one for each axis.
        axes: The axes.
        first_seen: For each axis its values and their places in the order of appearance; used for competing axes,
            metrics and directions, while conditions are sorted by value, unknown ones first.
    """

    def place(axis: str, value: Any, seen: dict[Any, int]) -> tuple[Any, ...]:
        if axis == "direction":
            return (DIRECTIONS.index(value) if value in DIRECTIONS else -1,)
        if AXES[axis].competes or axis == "metric":
            return (seen.get(value, -1),)
        if value is None:
            return (0, 0.0, "")
        return (1, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))

    return sorted(set(keys), key=lambda key: [place(*triple) for triple in zip(axes, key, first_seen, strict=True)])
