"""Numbers that a finished run cannot have.

A run whose numbers break what must hold of any codes is written as ``invalid`` (:func:`verdict`). A record that is read
and holds a number which cannot be is named and left out, and enters no table (:func:`implausible`).
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from harness.records.schema import Failure, RunRecord, Status

SHARES = ("detector", "noise")
"""Groups of metrics whose numbers are all shares; they may hold a text, the reason why there is none."""

ROUNDING = 1e-6
"""By how much the mean of many values may pass a bound."""

KIND = "InvariantViolation"
"""The kind of error of such records, where others have the name of an exception."""

NOTE = "not valid: "
"""Beginning of the remarks about violations."""

TOLD = 10
"""Most violations that a record names; one mistake often breaks many invariants."""


def verdict(violations: Sequence[str]) -> tuple[Status, Failure | None]:
    """Status and error of a record that has numbers.

    Args:
        violations: One sentence each, without the final stop.

    Returns:
        "ok" and nothing, or "invalid" and the first violation.
    """
    if not violations:
        return "ok", None
    more = f"; {len(violations) - 1} more, see the notes of the record" if len(violations) > 1 else ""
    return "invalid", Failure(kind=KIND, message=f"{violations[0]}{more}.", traceback=[])


def violation_notes(violations: Sequence[str]) -> list[str]:
    """Remarks for the record, the first few violations."""
    more = [f"{NOTE}{len(violations) - TOLD} more violations"] if len(violations) > TOLD else []
    return [f"{NOTE}{sentence}" for sentence in violations[:TOLD]] + more


def implausible(record: RunRecord) -> str | None:
    """What is wrong with the metrics of a record.

    Args:
        record: A record of any status; what one that did not end well says is no result, and not looked at.

    Returns:
        The first number that is none, is not finite or lies outside of the bounds that its metric declares; None where
        all is well.
    """
    if record.status != "ok":
        return None
    for group, values in record.metrics.items():
        if not isinstance(values, dict):
            return f"metrics.{group} is no table"
        limits = _common_limits(group, tuple(values))
        if limits is not None and _all_within(values, *limits):
            continue
        for name, value in values.items():
            problem = _problem(group, name, value)
            if problem:
                return f"metrics.{group}.{name} {problem}"
    return None


def _all_within(values: Mapping[str, Any], low: float, high: float) -> bool:
    """Whether all values that are there are floats within limits; quick, for ten thousand records of 240 values."""
    numbers = [value for value in values.values() if value is not None]
    if {*map(type, numbers)} != {float}:
        return not numbers
    return math.isfinite(sum(numbers)) and low <= min(numbers) and max(numbers) <= high


def _problem(group: str, name: str, value: Any) -> str:
    if value is None or (isinstance(value, str) and group in SHARES and name == "reason"):
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is {str(value)[:50]!r}, which is no number"
    if isinstance(value, int) and value.bit_length() > 64:
        return "has more than 64 bits"
    if not math.isfinite(value):
        return f"is {value}"
    low, high = _limits(group, name)
    return "" if low - ROUNDING <= value <= high + ROUNDING else f"is {value:g}, outside of {low:g} to {high:g}"


@lru_cache
def _common_limits(group: str, names: tuple[str, ...]) -> tuple[float, float] | None:
    """The limits of all metrics of a group, where they are the same."""
    limits = {_limits(group, name) for name in names}
    return limits.pop() if len(limits) == 1 else None


def _limits(group: str, name: str) -> tuple[float, float]:
    if group in SHARES:
        return 0.0, 1.0
    return _declared().get(name.partition("@")[0], (-math.inf, math.inf))


@lru_cache(maxsize=1)
def _declared() -> dict[str, tuple[float, float]]:
    """Metric to its bounds, as the plugins that are installed declare them."""
    from harness.plugin.loading import load_registry

    with contextlib.redirect_stdout(sys.stderr):  # a plugin that prints must not disturb the rows of a listing
        registry = load_registry()
    metrics: list[Any] = registry.all("metric")
    return {metric.name: metric.bounds for metric in metrics if metric.bounds}
