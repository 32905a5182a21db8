"""Why there is no run of a hasher with a detector: some pairs cannot work, and refused cells leave no record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.plugin.registry import Registry


def refusals(registry: Registry) -> Callable[[Mapping[str, Any]], str]:
    """A function that says of the values of an empty cell why it cannot be run; "" where it can, or nobody knows.

    Args:
        registry: What is registered; names that it does not know are passed over.
    """
    from harness.cells.compatibility import detector_refused

    hashers = {declared.name: declared for declared in registry.all("hasher")}
    detectors = {declared.name: declared for declared in registry.all("detector")}

    def why_not(values: Mapping[str, Any]) -> str:
        hasher, detector = hashers.get(values.get("hasher")), detectors.get(values.get("detector"))
        if hasher is None or detector is None:
            return ""
        return detector_refused(hasher, detector, detector.needs)

    return why_not
