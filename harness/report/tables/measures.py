"""What tables show: metrics of retrieval and of detectors, costs and times; which way is better, and how it is printed.

A metric of retrieval has a value for each direction, everything else one for each run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError, unknown_name
from harness.report.frame import DIRECTIONS, LOWER_IS_BETTER

DETECTOR = ("auroc", "auroc_class", "average_precision", "f1", "brier", "ece")
"""Short names of ``detector/auroc`` and so on."""

_HIGHER_IS_BETTER = ("cost/evaluate_queries_per_second",)
_SCALES = {"_bytes": ("MiB", 2.0**20), "_seconds": ("s", 1.0), "_joules": ("J", 1.0)}
_ALONE_UNIT = {"cost/code_bytes": "bytes"}


@dataclass(frozen=True)
class Measure:
    """One number of a run, or one for each direction.

    Attributes:
        name: Name as users write it: ``map@20``, ``detector/auroc``, ``timings/training``.
        columns: Direction to column of the frame; the direction is None where there is none.
        higher_is_better: None where neither is.
        of_machine: Whether it depends on the machine.
        unit: Printed in the header.
        scale: What a stored value is divided by before it is printed.
        decimals: Digits after the point; None for three significant digits.
        label: Printed instead of the name.
    """

    name: str
    columns: dict[str | None, str]
    higher_is_better: bool | None = True
    of_machine: bool = False
    unit: str = ""
    scale: float = 1.0
    decimals: int | None = 3
    label: str = ""

    @property
    def header(self) -> str:
        """Name and unit."""
        return (self.label or self.name) + (f" ({self.unit})" if self.unit else "")

    @property
    def only_direction(self) -> str:
        """The direction of a measure that has one alone, which then need not be an axis; "" for others."""
        return next(iter(self.columns)) or "" if len(self.columns) == 1 else ""

    def text(self, value: float) -> str:
        """A value as the table prints it."""
        number = value / self.scale
        if self.decimals is not None:
            return f"{number:.{self.decimals}f}"
        if number == int(number) and abs(number) < 1e15:
            return f"{int(number):,}"
        return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def measure_of(name: str, columns: Iterable[str], directions: Sequence[str] = DIRECTIONS[:2]) -> Measure:
    """A measure by its name.

    Args:
        name: A metric id, a short name of a detector's score, or a column: ``i2t/map`` for one direction alone,
            ``detector/auroc``, ``cost/cpu_seconds``, ``timings/training``.
        columns: Columns of numbers that the records have.
        directions: Directions that a metric id stands for.

    Raises:
        HarnessError: A name with a slash is no column of the records.
    """
    if name in DETECTOR:
        name = f"detector/{name}"
    group, slash, rest = name.partition("/")
    if not slash:
        return Measure(name, {direction: f"{direction}/{name}" for direction in directions})
    if group in DIRECTIONS:
        return Measure(rest, {group: name})
    known = list(columns)
    if group not in ("detector", "noise", "cost", "timings"):
        groups = sorted({column.partition("/")[0] for column in known if "/" in column} | set(DIRECTIONS))
        raise unknown_name("kind of metric", group, groups)
    if group == "detector" and name not in known and rest not in DETECTOR:
        raise unknown_name("score of detectors", rest, DETECTOR)
    if name not in known and group != "detector":
        of_group = [column for column in known if column.startswith(f"{group}/")]
        if not of_group:
            raise HarnessError(f"no record holds {group}/..., so there is no {name!r}.")
        raise unknown_name("metric", name, of_group)
    if group == "detector":
        return Measure(name, {None: name}, name not in LOWER_IS_BETTER)
    if group == "noise":
        return Measure(name, {None: name}, None)
    unit, scale = ("s", 1.0) if group == "timings" or "seconds" in rest else ("", 1.0)
    for ending, (its_unit, its_scale) in _SCALES.items():
        if rest.endswith(ending):
            unit, scale = its_unit, its_scale
    if rest.startswith("energy_joules"):
        unit = "J"
    if rest.startswith("encode_seconds/"):
        unit, scale = "µs", 1e-6
    if name in _ALONE_UNIT:
        unit, scale = _ALONE_UNIT[name], 1.0
    better = name in _HIGHER_IS_BETTER
    of_machine = name != "cost/code_bytes" and not rest.startswith("parameters/")
    return Measure(name, {None: name}, better, of_machine, unit, scale, None, _label(group, rest))


def _label(group: str, rest: str) -> str:
    words = rest.replace("/", " ").replace("_", " ")
    for ending in (" bytes", " seconds", " joules"):
        words = words.removesuffix(ending)
    words = words.replace("encode seconds alone", "encode one").replace(" seconds ", " ")
    return f"{words} time" if group == "timings" else words


def values_of(measure: Measure, columns: dict[str, list[Any]], number: int) -> dict[str | None, list[float | None]]:
    """Direction to the values of all runs; None where a run has none, or no finite one."""
    by_direction: dict[str | None, list[float | None]] = {}
    for direction, column in measure.columns.items():
        raw = columns.get(column, [None] * number)
        by_direction[direction] = [None if value is None or not math.isfinite(value) else float(value) for value in raw]
    return by_direction
