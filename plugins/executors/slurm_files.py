"""What a sweep keeps of its Slurm jobs on disk, so that a sweep that was killed finds them again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness_plugins.executors.slurm_job import Group, journal_of, read_journal

from harness.execution import GO_ON, Ended, Task
from harness.execution.cell_log import tail_of
from harness.files.whole import replace_text

LOG_TAIL_LINES = 20


@dataclass(frozen=True)
class Submission:
    """The folder of one array: group files, their journals, submitit's files, orders, and the ids of the jobs.

    Attributes:
        folder: Its name is also the name of the jobs, and is nobody else's.
        cluster: As the option says it.
    """

    folder: Path
    cluster: str

    @classmethod
    def make(cls, parent: Path, cluster: str) -> Submission:
        """A new one, written down before anything is submitted."""
        submission = cls(parent / f"harness-{uuid.uuid4().hex[:12]}", cluster)
        submission.folder.mkdir(parents=True)
        submission.order(GO_ON)
        submission.note_jobs(None)
        return submission

    @classmethod
    def known(cls, parent: Path) -> list[Submission]:
        """Those of earlier commands."""
        found = []
        for path in sorted(parent.glob("harness-*/submission.json")):
            found.append(cls(path.parent, json.loads(path.read_text(encoding="utf-8"))["cluster"]))
        return found

    @property
    def orders(self) -> Path:
        """Read by its jobs."""
        return self.folder / "orders"

    def order(self, level: int) -> None:
        """Tell the jobs whether to go on."""
        replace_text(self.orders, str(level))

    def group_file(self, number: int) -> Path:
        """Of job ``number``."""
        return self.folder / f"group-{number}.json"

    def note_jobs(self, jobs: Sequence[str] | None) -> None:
        """Write down the ids, in the order of the groups; None: they are about to be submitted."""
        replace_text(
            self.folder / "submission.json",
            json.dumps({"cluster": self.cluster, "jobs": None if jobs is None else list(jobs)}),
        )

    def jobs(self) -> list[str] | None:
        """The ids; None where the command was killed while it submitted."""
        content = json.loads((self.folder / "submission.json").read_text(encoding="utf-8"))
        jobs: list[str] | None = content["jobs"]
        return jobs


@dataclass
class WatchedJob:
    """A job whose cells are waited for.

    Attributes:
        job: Its id.
        submission: Its array.
        group_file: Its cells.
        open: Cells that have not ended, by hash.
        begun: Those that are running.
        any_ended: A cell has ended in this job.
        held: Cells that were killed, which may turn out to have run out of memory when the job is over.
        offset: How far its journal was read.
        over: When it was first seen to be over (monotonic seconds).
    """

    job: str
    submission: Submission
    group_file: Path
    open: dict[str, Task]
    begun: set[str] = field(default_factory=set)
    any_ended: bool = False
    held: list[Ended] = field(default_factory=list)
    offset: int = 0
    over: float | None = None

    def news(self) -> list[dict[str, Any]]:
        """Events of the journal that were not read yet."""
        events, self.offset = read_journal(journal_of(self.group_file), self.offset)
        return events

    def stderr_tail(self) -> tuple[str, ...]:
        """The last lines that the job itself wrote."""
        return tuple(tail_of(self.submission.folder / f"{self.job}_0_log.err", LOG_TAIL_LINES))


def open_hashes(group_file: Path) -> set[str]:
    """Cells of a group that have not ended, as far as its journal says."""
    events, _ = read_journal(journal_of(group_file))
    ended = {event["hash"] for event in events if event["event"] == "ended"}
    return {task[0] for task in Group.read(group_file).tasks} - ended
