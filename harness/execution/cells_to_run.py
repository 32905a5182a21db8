"""Which cells of a sweep are run: those without a record that stands, and of all cells one part (``--shard 2/3``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from harness.errors import HarnessError, unknown_name
from harness.records.index import End, ends_of
from harness.records.store import RunStore

if TYPE_CHECKING:
    from harness.cells.workbench import Job

OVERWRITE = ("never", "failed", "always")
"""What happens to cells that have a record: all stay, failed ones are tried again, all are run again."""


@dataclass(frozen=True)
class Standing:
    """An overwrite policy.

    Attributes:
        overwrite: One of :data:`OVERWRITE`.
        since: Under "always", a time (ISO 8601): good records that were finished later stand, so that a sweep that was
            stopped does not begin from the beginning; "" for none.
    """

    overwrite: str = "failed"
    since: str = ""

    def checked(self) -> Standing:
        """This policy.

        Raises:
            HarnessError: Its words have no meaning.
        """
        if self.overwrite not in OVERWRITE:
            raise unknown_name("value of --overwrite", self.overwrite, OVERWRITE)
        if self.since and self.overwrite != "always":
            raise HarnessError(f"--since {self.since} has a meaning only with --overwrite always: leave it out.")
        if self.since:
            try:
                moment = datetime.fromisoformat(self.since)
            except ValueError:
                raise HarnessError(
                    f"--since {self.since}: expected a time such as 2026-11-24T20:00:00+00:00."
                ) from None
            if moment.tzinfo is None:
                raise HarnessError(f"--since {self.since}: add the time zone, for example {self.since}+00:00.")
        return self

    def holds(self, status: str | None, finished: str) -> bool:
        """Whether a cell's record stands, so that the cell is not run.

        Args:
            status: Status of its record; None where there is no record.
            finished: When the record was finished (ISO 8601).
        """
        if status is None:
            return False
        if self.overwrite != "always":
            return status == "ok" or self.overwrite == "never"
        if status != "ok" or not self.since:
            return False
        return datetime.fromisoformat(finished) >= datetime.fromisoformat(self.since)


def ends_of_jobs(jobs: Sequence[Job], store: RunStore) -> dict[str, End]:
    """Hash to end of those cells that have a record."""
    return ends_of(store.results, [job.cell.place for job in jobs])


def to_run(jobs: Sequence[Job], ends: Mapping[str, End], standing: Standing) -> list[Job]:
    """The cells that have no standing record: those without one first, as a failed cell may take long to fail again.

    Args:
        jobs: The cells.
        ends: From :func:`ends_of_jobs`.
        standing: Which records stand.
    """
    missing = [job for job in jobs if job.cell.hash not in ends]
    had = [(job, ends[job.cell.hash]) for job in jobs if job.cell.hash in ends]
    return missing + [job for job, end in had if not standing.holds(end.status, end.finished)]


def read_shard(text: str) -> tuple[int, int]:
    """``"2/3"`` to ``(2, 3)``.

    Raises:
        HarnessError: The text is none of a part and a number of parts.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise HarnessError(
            f"--shard {text}: expected PART/PARTS with parts counted from 1, for example 2/3 for the second of three."
        )
    return part, parts


def shard(jobs: Sequence[Job], part: int, parts: int) -> list[Job]:
    """One part of the jobs.

    The parts of the same jobs are disjoint and together hold every job; they differ by at most one job in all and
    within each method, whatever has been done already. Within a method and data set the jobs are dealt in the order
    of their hashes, so that no part gets all large codes or all cells of one seed.

    Args:
        jobs: All jobs of a sweep.
        part: Which part, from 1.
        parts: How many there are.

    Returns:
        The part's jobs in the order of ``jobs``.
    """
    order = sorted(
        range(len(jobs)),
        key=lambda at: (str(jobs[at].cell.facts["method"]), str(jobs[at].cell.facts["dataset"]), jobs[at].cell.hash),
    )
    return [jobs[at] for at in sorted(order[part - 1 :: parts])]
