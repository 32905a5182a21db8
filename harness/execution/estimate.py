"""How long cells will take, from what cells like them took; what no record tells is said to be unknown."""

from __future__ import annotations

import json
import socket
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.records.facts import backbone_column
from harness.records.index import open_index
from harness.text import counted

if TYPE_CHECKING:
    from harness.cells.workbench import Job

MARGIN = 1.25
"""Equal cells differ by that factor on one machine, which does other things as well."""

MANY = 4
"""From so many records on, a quarter at each end is left out of the range."""

KIND = (
    "method", "hasher", "detector", "objective", "dataset", "bits", "precision", "training_pairs", "query_images",
    "database_images",
)  # fmt: skip
"""Columns of the index in which cells must agree for the time of one to tell that of the other."""

DETECTOR = "detector"
"""Stands for the epochs of a detector that trains, beside the names of phases."""

Range = tuple[float, float]
"""Least and most seconds."""


@dataclass(frozen=True)
class Work:
    """What there is to do in a cell.

    Attributes:
        kind: Values of :data:`KIND`.
        parameters: The parameters that are no numbers of epochs, as JSON.
        epochs: Phase, or :data:`DETECTOR`, and its epochs.
    """

    kind: tuple[str | int | None, ...]
    parameters: str
    epochs: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, kind: Iterable[Any], parameters: Mapping[str, Any], phases: Iterable[tuple[str, int]]) -> Work:
        """The work of a cell with these parameters, and these phases with their epochs."""
        lengths: Counter[str] = Counter()
        for name, number in phases:
            lengths[name] += number
        of_detector = parameters.get("detector.epochs")
        if isinstance(of_detector, int):
            lengths[DETECTOR] += of_detector
        others = {key: value for key, value in parameters.items() if not key.endswith(".epochs")}
        return cls(tuple(kind), json.dumps(others, sort_keys=True), tuple(sorted(lengths.items())))


@dataclass(frozen=True)
class PastCell:
    """A finished cell.

    Attributes:
        work: What there was to do.
        where: Kind of device, and threads.
        here: It ran on this machine.
        seconds: What it took, without computing features.
        fitting: Seconds of these for detector and training.
        pace: Seconds of one epoch of a phase, where they are known.
        backbones: "image" and "text" to their column in the index.
        features: "image" and "text" to seconds of computing features, where that was done.
    """

    work: Work
    where: tuple[str, int]
    here: bool
    seconds: float
    fitting: float
    pace: Mapping[str, float]
    backbones: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, float] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Epochs in all."""
        return sum(number for _, number in self.work.epochs)

    def would_take(self, work: Work) -> Range | None:
        """Least and most seconds of this cell with the epochs of another one; None where it cannot tell."""
        had, wanted = dict(self.work.epochs), dict(work.epochs)
        if had.keys() != wanted.keys() or any(wanted[name] and not had[name] for name in had):
            return None
        low = high = 0.0
        for name, number in had.items():
            more = wanted[name] - number
            if name in self.pace:
                low, high = low + self.pace[name] * more, high + self.pace[name] * more
            elif more:  # at most all of its time went into the epochs, at least none of it
                most = self.fitting / self.epochs * more
                low, high = low + min(most, 0.0), high + max(most, 0.0)
        rest = self.seconds - self.fitting
        return rest + max(self.fitting + low, 0.0), rest + max(self.fitting + high, 0.0)


@dataclass(frozen=True)
class Estimate:
    """How long cells will take.

    Attributes:
        seconds: Least and most wall-clock seconds of the known cells on the workers; None where none is known.
        cells: Number of cells.
        unknown: How many of them are like no earlier one.
        workers: Cells that run at the same time.
        records: Number of earlier cells that the estimate is made from.
        remark: In what these differ after all.
        features: What is not in the cache ("image features of ucm"), and the seconds of computing it, or None.
    """

    seconds: Range | None
    cells: int
    unknown: int
    workers: int
    records: int = 0
    remark: str = ""
    features: Mapping[str, Range | None] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.cells:
            return "nothing to run"
        unknown = [unlike(self.unknown)] * bool(self.unknown)
        if self.seconds is None:
            said = "; ".join(unknown)
        else:
            known = f" for {counted(self.cells - self.unknown, 'cell')}" if unknown else ""
            said = "; ".join([
                f"{spoken_range(self.seconds)} on {counted(self.workers, 'worker')}{known} (from "
                f"{counted(self.records, 'record')} of like cells{self.remark})",
                *unknown,
            ])  # fmt: skip
        for what, seconds in self.features.items():
            time = "unknown: no record has their time" if seconds is None else f"{spoken_range(seconds)} more"
            said += f"; {what}, which are not in the cache: {time}"
        return said


def unlike(number: int) -> str:
    """What is said of cells that no record is like."""
    return f"{counted(number, 'cell')} unknown: no record is like {'it' if number == 1 else 'them'}"


class Times:
    """Looks up what cells will take.

    Args:
        past: Earlier finished cells.
        device: Kind of device of the cells to come: "cpu", "cuda"; "" for any.
        threads: Their threads; 0 for any.
    """

    def __init__(self, past: Iterable[PastCell], device: str = "", threads: int = 0) -> None:
        self._alike: dict[tuple[Any, ...], list[PastCell]] = defaultdict(list)
        self._known: dict[Work, tuple[Range | None, int, str]] = {}
        for cell in past:
            if device in ("", cell.where[0]) and threads in (0, cell.where[1]):
                self._alike[cell.work.kind].append(cell)

    def of(self, work: Work) -> tuple[Range | None, int, str]:
        """Least and most seconds of a cell, or None; how many records say so; and in what these differ after all.

        Records of equal parameters and of this machine come first, and of these the ones that trained longest.
        """
        if work not in self._known:
            self._known[work] = self._looked_up(work)
        return self._known[work]

    def _looked_up(self, work: Work) -> tuple[Range | None, int, str]:
        ranked: dict[tuple[bool, bool], list[tuple[int, Range]]] = defaultdict(list)
        for cell in self._alike.get(work.kind, ()):
            seconds = cell.would_take(work)
            if seconds is not None:
                ranked[cell.work.parameters != work.parameters, not cell.here].append((cell.epochs, seconds))
        if not ranked:
            return None, 0, ""
        rank = min(ranked)
        longest = max(epochs for epochs, _ in ranked[rank])
        ranges = [seconds for epochs, seconds in ranked[rank] if epochs >= longest / 2]
        remark = ", of other parameters" * rank[0] + ", of another machine" * rank[1]
        return _around(ranges), len(ranges), remark

    def features(self, job: Job, modality: str) -> Range | None:
        """Least and most seconds of computing the features of a cell's data, or None."""
        column, kind = backbone_column(job.cell.facts["backbones"].get(modality)), _data_of(work_of(job).kind)
        alike = [
            cell
            for cells in self._alike.values()
            for cell in cells
            if modality in cell.features and cell.backbones[modality] == column and _data_of(cell.work.kind) == kind
        ]
        here = [cell for cell in alike if cell.here] or alike
        return _around([(cell.features[modality],) * 2 for cell in here]) if here else None


def _data_of(kind: tuple[Any, ...]) -> tuple[Any, ...]:
    """What concerns the data alone of the values of :data:`KIND`."""
    return (kind[KIND.index("dataset")], *kind[KIND.index("training_pairs") :])


def _around(ranges: Sequence[Range]) -> Range:
    """The range of several ones, without the quarters at its ends, and with :data:`MARGIN`."""
    outside = len(ranges) // 4 if len(ranges) >= MANY else 0
    lows, highs = (sorted(ends) for ends in zip(*ranges, strict=True))
    return lows[outside] / MARGIN, highs[-1 - outside] * MARGIN


def estimate(
    works: Sequence[Work], times: Times, workers: int = 1, features: Mapping[str, Range | None] | None = None
) -> Estimate:
    """Add up what cells will take; no sweep takes less than its longest cell.

    Args:
        works: The cells to run.
        times: What earlier cells took.
        workers: Cells that run at the same time.
        features: As of :class:`Estimate`.
    """
    found = [times.of(work) for work in works]
    known = [seconds for seconds, _, _ in found if seconds is not None]
    # Cells of equal kind are told by the same records.
    records = {work.kind: number for work, (_, number, _) in zip(works, found, strict=True)}
    return Estimate(
        shared_among([(low, high) for low, high in known], workers) if known else None,
        len(works),
        len(works) - len(known),
        workers,
        sum(records.values()),
        "".join(dict.fromkeys(remark for _, _, remark in found)),
        features or {},
    )


def shared_among(ranges: Sequence[Range], workers: int) -> Range:
    """Least and most seconds until several workers have done what each takes so long."""
    low, high = (max(sum(ends) / max(workers, 1), *ends) for ends in zip(*ranges, strict=True))
    return low, high


def work_of(job: Job) -> Work:
    """What there is to do in a prepared cell."""
    facts, images = job.cell.facts, job.cell.facts["images"]
    counts = {"training_pairs": images["train"], "query_images": images["query"], "database_images": images["database"]}
    kind = (counts[name] if name in counts else facts[name] for name in KIND)
    return Work.of(kind, facts["parameters"], ((phase.name, phase.epochs) for phase in job.method.phases))


def past_cells(results: Path, works: Iterable[Work]) -> list[PastCell]:
    """Finished cells of the methods and data sets of some others, oldest first by folder.

    Args:
        results: The results folder; it need not exist.
        works: The others.
    """
    kinds = [work.kind for work in works if len(work.kind) == len(KIND)]
    methods, datasets = ({kind[KIND.index(name)] for kind in kinds} for name in ("method", "dataset"))
    if not (results / "runs").is_dir() or not methods:
        return []
    known = [*KIND, "parameters", "code", "device", "threads", "host", "seconds", "image_backbone", "text_backbone"]
    with open_index(results) as index:
        numbers = [name for name in index.columns if name.startswith(("timings/", "cost/epochs/", "cost/computed_"))]
        rows = index.rows(
            [*known, *numbers],
            f"status = 'ok' AND seconds IS NOT NULL AND method IN ({_marks(methods)}) AND dataset IN "
            f"({_marks(datasets)})",
            [*methods, *datasets],
        )
    host = socket.gethostname()
    found = (_past(dict(zip([*known, *numbers], row, strict=True)), host) for row in rows)
    return [cell for cell in found if cell is not None]


def _marks(values: set[Any]) -> str:
    return ", ".join("?" * len(values))


def _past(row: Mapping[str, Any], host: str) -> PastCell | None:
    """The cell in a row of the index; None where the record does not say what it did."""
    work = _work(tuple(row[name] for name in KIND), row["parameters"], row["code"])
    if work is None:
        return None
    lengths = dict(work.epochs)
    pace = {}
    for name in lengths:
        seconds, heard = row.get(f"cost/epochs/{name}/seconds"), row.get(f"cost/epochs/{name}/number")
        if seconds is not None and heard is not None and lengths[name]:
            pace[name] = seconds * heard / lengths[name]  # a second learner's epochs count as well
    prefix = "cost/computed_features/"
    features = {
        name.removeprefix(prefix): row[name] for name in row if name.startswith(prefix) and row[name] is not None
    }
    # Older records do not say what was computed; then nothing that has to do with features counts.
    computing = sum(features.values()) if features else row.get("timings/features") or 0.0
    return PastCell(
        work,
        (str(row["device"]).partition(":")[0], row["threads"]),
        row["host"] == host,
        max(row["seconds"] - computing, 0.0),
        (row.get("timings/detector") or 0.0) + (row.get("timings/training") or 0.0),
        pace,
        {"image": row["image_backbone"], "text": row["text_backbone"]},
        {modality: seconds for modality, seconds in features.items() if seconds},
    )


@cache
def _work(kind: tuple[Any, ...], parameters: str, code: str) -> Work | None:
    """The work of a record; None where somebody else wrote it in another form."""
    try:
        phases = json.loads(code)["phases"]
        return Work.of(kind, json.loads(parameters), ((str(phase[0]), int(phase[3])) for phase in phases))
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def spoken_range(seconds: Range) -> str:
    """Two times as text: "40 s to 1 min"; one where they read the same."""
    low, high = map(duration, seconds)
    return low if low == high else f"{low} to {high}"


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
