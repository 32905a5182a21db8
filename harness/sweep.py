"""Many cells, one after the other: what is finished stays, what fails is recorded, and the grid goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.attempt import attempt
from harness.cells import CellRequest
from harness.context import Progress
from harness.declarations import MetricDeclaration
from harness.errors import CombinationError
from harness.records.schema import RunRecord
from harness.records.store import RunStore, StoredRun
from harness.settings import RunSettings
from harness.workbench import Job, Workbench

OVERWRITE = ("never", "failed", "always")
"""What happens to cells that have a record: all stay, failed ones are tried again, all are run again."""


class Listener(Protocol):
    """Whoever shows the progress of a grid."""

    def grid_started(self, jobs: Sequence[Job], refused: Sequence[Refusal]) -> None:
        """All cells are determined; nothing has run yet."""

    def cell_started(self, number: int, total: int, job: Job) -> None:
        """Cell ``number`` (from 1) of ``total`` starts."""

    def progressed(self, progress: Progress) -> None:
        """News from the running cell."""

    def noted(self, note: str) -> None:
        """A remark about the running cell."""

    def cell_finished(self, job: Job, record: RunRecord, reused: bool) -> None:
        """A cell has a record: a new one, or one from before (``reused``)."""


@dataclass(frozen=True)
class Refusal:
    """A point of the grid that cannot work, with the reason."""

    request: CellRequest
    reason: str


def prepare_all(workbench: Workbench, requests: Sequence[CellRequest]) -> tuple[list[Job], list[Refusal]]:
    """Determine all cells before any of them runs.

    Args:
        workbench: Where requests become jobs.
        requests: The points of the grid.

    Returns:
        The jobs, each cell once, and the combinations that cannot work.

    Raises:
        HarnessError: A mistake that has nothing to do with a combination (an unknown name, a damaged file), or every
            combination is refused.
    """
    jobs: dict[str, Job] = {}
    refused = []
    for request in requests:
        try:
            job = workbench.prepare(request)
        except CombinationError as error:
            refused.append(Refusal(request, str(error)))
            continue
        jobs.setdefault(job.cell.hash, job)
    if not jobs and refused:
        reasons = list(dict.fromkeys(refusal.reason for refusal in refused))
        raise CombinationError(" ".join(reasons[:3]))
    return list(jobs.values()), refused


def is_done(stored: StoredRun | None, overwrite: str) -> bool:
    """Whether a cell's record stands under an overwrite policy."""
    if stored is None or overwrite == "always":
        return False
    return overwrite == "never" or stored.record.status == "ok"


def run_grid(
    jobs: Sequence[Job],
    refused: Sequence[Refusal],
    store: RunStore,
    metrics: list[MetricDeclaration],
    settings: RunSettings,
    overwrite: str,
    listener: Listener,
) -> list[RunRecord]:
    """Run the cells that have no standing record, and store each when it is finished.

    Args:
        jobs: The cells.
        refused: Combinations that cannot work, for the listener.
        store: Where records are.
        metrics: Metrics to compute.
        settings: How to run them.
        overwrite: One of :data:`OVERWRITE`.
        listener: Shows progress.

    Returns:
        The records of all cells in order, new and old.

    Raises:
        HarnessError: A record could not be saved.
    """
    listener.grid_started(jobs, refused)
    records = []
    for number, job in enumerate(jobs, start=1):
        stored = store.find(job.cell.facts["method"], job.cell.facts["dataset"], job.cell.hash)
        if stored is not None and is_done(stored, overwrite):
            listener.cell_finished(job, stored.record, reused=True)
            records.append(stored.record)
            continue
        listener.cell_started(number, len(jobs), job)
        outcome = attempt(job, metrics, settings, None, listener.progressed)
        store.write(outcome.record, outcome.arrays, outcome.model, outcome.log)
        for note in outcome.record.notes[len(job.notes) :]:
            listener.noted(note)
        listener.cell_finished(job, outcome.record, reused=False)
        records.append(outcome.record)
    return records
