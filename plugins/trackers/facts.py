"""What the three trackers log alike: flat names for the facts, numbers and texts of a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def parameters(facts: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """The facts of a cell with flat names: ``method``, ``bits``, ``parameters.hasher.lr``, ``images.train``."""
    return {
        name: value if isinstance(value, str | int | float | bool) else str(value)
        for name, value in _flat(facts)
        if value is not None
    }


def scalars(record: Any) -> dict[str, float]:
    """Metrics, seconds and costs of a record with flat names: ``i2t/map``, ``seconds/training``, ``cost/cpu_seconds``.

    What is no number, or not defined (None), is left out.
    """
    groups = [("", record.metrics), ("seconds/", record.timings), ("cost/", record.cost)]
    return {
        f"{prefix}{name}": float(value)
        for prefix, group in groups
        for name, value in _flat(group, "/")
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def texts(record: Any, folder: Any) -> dict[str, str]:
    """Status, hash, folder, command and, of a run that failed, the error."""
    found = {"status": record.status, "hash": record.hash, "folder": str(folder), "command": record.command}
    return found if record.error is None else {**found, "error": record.error.message}


def _flat(values: Mapping[str, Any], separator: str = ".") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            for inner, found in _flat(value, separator):
                yield f"{name}{separator}{inner}", found
        else:
            yield name, value
