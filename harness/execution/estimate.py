"""How long a sweep will take, from what earlier cells took."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.text import counted


@dataclass(frozen=True)
class CellKind:
    """What the time of a cell is looked up by.

    Attributes:
        method: Name of the method.
        dataset: Name of the data set.
        bits: Code length.
        backbones: Names of the backbones, as :func:`backbones_of` joins them.
    """

    method: str
    dataset: str
    bits: int
    backbones: str = ""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> CellKind:
        """The kind of a cell with these facts (``job.cell.facts``, or ``cell`` of a record)."""
        return cls(facts["method"], facts["dataset"], facts["bits"], backbones_of(facts.get("backbones") or {}))

    def levels(self) -> tuple[tuple[Any, ...], ...]:
        """What similar cells share, from the most similar on: all, method and data set, method, nothing."""
        return (
            (self.method, self.dataset, self.bits, self.backbones),
            (self.method, self.dataset),
            (self.method,),
            (),
        )


@dataclass(frozen=True)
class PastCell:
    """A finished cell.

    Attributes:
        kind: What its time is looked up by.
        seconds: Wall-clock seconds it took (``timings.total``).
    """

    kind: CellKind
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """How long cells will take.

    Attributes:
        seconds: Wall-clock seconds on the workers; None without any earlier cell.
        cells: Number of cells.
        records: Number of earlier cells that the estimate is made from.
        unknown: Cells whose method has no earlier record; they were given the time of any cell.
        workers: Cells that run at the same time.
    """

    seconds: float | None
    cells: int
    records: int
    unknown: int
    workers: int

    def __str__(self) -> str:
        if not self.cells:
            return "nothing to run"
        if self.seconds is None:
            return f"no estimate: there is no earlier record of any cell ({counted(self.cells, 'cell')} to run)"
        remark = f"; {counted(self.unknown, 'cell')} {'has' if self.unknown == 1 else 'have'} none of their method"
        return (
            f"about {duration(self.seconds)} on {counted(self.workers, 'worker')} (from "
            f"{counted(self.records, 'earlier record')}{remark if self.unknown else ''})"
        )


def backbones_of(described: Mapping[str, Any]) -> str:
    """Names of the backbones of a cell: ``"torchvision/resnet18 + transformers"``."""
    return " + ".join(str(described[part].get("name", "")) for part in ("image", "text") if part in described)


def estimate(cells: Sequence[CellKind], past: Iterable[PastCell], workers: int = 1) -> Estimate:
    """Add up what cells will take, each the median of the most similar earlier ones.

    Similar are cells of the same method, data set, code length and backbones; without one, of the same method and
    data set; of the same method; or any. Nothing is scaled: neither by bits, epochs nor by the machine.

    Args:
        cells: The cells to run.
        past: Earlier finished cells.
        workers: Cells that run at the same time.

    Returns:
        The estimate. No sweep takes less than its longest cell.
    """
    seconds_of: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for one in past:
        for key in one.kind.levels():
            seconds_of[key].append(one.seconds)
    if not seconds_of:
        return Estimate(None, len(cells), 0, len(cells), workers)
    median = {key: statistics.median(values) for key, values in seconds_of.items()}
    chosen = [next(key for key in cell.levels() if key in median) for cell in cells]
    times = [median[key] for key in chosen]
    used = set(chosen)
    # An earlier cell may serve at two levels; it is counted once.
    widest = [key for key in used if not any(key[: len(other)] == other for other in used - {key})]
    return Estimate(
        seconds=max([sum(times) / max(workers, 1), *times], default=0.0),
        cells=len(cells),
        records=sum(len(seconds_of[key]) for key in widest),
        unknown=chosen.count(()),
        workers=workers,
    )


def duration(seconds: float) -> str:
    """A time in seconds as text: "40 s", "12 min", "3 h 20 min", "2 d 4 h"."""
    if seconds < 60:
        return "less than a second" if seconds < 1 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"
