"""From ``--tracker NAME:PARAMETER=VALUE,...`` to a tracker and its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.plugin.parameters import Value, read_values

if TYPE_CHECKING:
    from harness.plugin.declarations import Component
    from harness.plugin.loading import Registry


@dataclass(frozen=True)
class TrackerChoice:
    """A tracker and the values of all its parameters."""

    name: str
    values: dict[str, Value]


def choose_trackers(registry: Registry, texts: Sequence[str]) -> list[TrackerChoice]:
    """Read what a user wrote, before anything runs.

    Args:
        registry: What is registered.
        texts: Each ``NAME``, or ``NAME:PARAMETER=VALUE,PARAMETER=VALUE``.

    Returns:
        The trackers with their parameters.

    Raises:
        HarnessError: An unknown tracker or parameter, a value that cannot be read, or a tracker that is named twice.
    """
    chosen: dict[str, TrackerChoice] = {}
    for text in texts:
        name, _, settings = text.partition(":")
        declaration: Component = registry.get("tracker", name)
        said = {}
        for setting in filter(None, settings.split(",")):
            key, equals, value = setting.partition("=")
            if not equals:
                raise HarnessError(f"--tracker {text}: expected {name}:PARAMETER=VALUE, and {setting!r} has no '='.")
            said[key.strip()] = value
        if name in chosen:
            raise HarnessError(f"--tracker {text}: {name} is named twice; name it once.")
        values = read_values(declaration.parameters, said, f"tracker {name}", f"--tracker {name}:")
        chosen[name] = TrackerChoice(name, values)
    return list(chosen.values())
