"""The contract of a tracker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from harness.records.schema import RunRecord
    from harness.runtime.context import Progress


@dataclass(frozen=True)
class RunInfo:
    """What a tracker is told of a cell that starts: what will be in its record anyway. No labels, no mask, no features.

    Attributes:
        hash: Content hash of the cell.
        title: One line for people.
        facts: What the record shows under ``cell``: method, dataset, noise, bits, seeds, parameters, numbers of pairs.
        command: A command that repeats just this cell.
        started: Time of the start, ISO 8601 with offset.
    """

    hash: str
    title: str
    facts: Mapping[str, Any]
    command: str
    started: str


class Tracker(Protocol):
    """Hears of the runs of one process, one run after the other.

    It is made, called and ended in a process of its own, with its parameters as keyword arguments. Whatever goes wrong
    there, its own end included, is one note to the user and changes no run: it is not called again then.
    """

    def run_started(self, cell: RunInfo) -> None:
        """A cell starts."""

    def epoch_reported(self, progress: Progress) -> None:
        """The running cell reports: phase, steps finished, steps in all, loss or None."""

    def run_finished(self, record: RunRecord, folder: Path) -> None:
        """The cell has a record, which is stored in ``folder``; its status may be other than ``ok``."""

    def close(self) -> None:
        """Optional: no more runs. A run that started and did not finish was cut off."""
