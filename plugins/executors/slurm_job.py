"""What happens inside a Slurm job: a group of cells through the local executor, with a journal of what became of each.

submitit carries its own pickle to the job; what it holds of ours is the path of a group file, which is JSON, and what
comes back is a journal, which is JSON too: nothing of ours is ever unpickled.

The cells run in processes of their own, so that one that takes too long, takes too much memory or dies is ended alone,
and so that the job itself is free to hear Slurm's signals. After a pre-emption submitit queues the job again; the same
group then goes on with the cells that the journal does not hold.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.execution import FINISH_RUNNING, GO_ON, Ended, Session, Task

LOOK_SECONDS = 1.0
"""How often a job reads the orders of its sweep."""

FOR_THE_JOB = ("SIGTERM", "SIGUSR2", "SIGUSR1")
"""Slurm sends them to every process of a job; the job alone answers."""


@dataclass(frozen=True)
class Group:
    """The cells of one job, and how they are run.

    Attributes:
        tasks: Hash, title and text of each.
        orders: File in which the sweep says whether to go on.
        cells: Cells at a time.
        threads, device, cells_per_gpu, memory_limit, environment: As the session says.
        timeout: Seconds that a cell may take: ``--timeout``, or what the job's own time leaves.
        minutes: Time of the job, where that is what limits its cells; otherwise 0.
    """

    tasks: list[list[str]]
    orders: str
    cells: int
    threads: int
    device: str
    cells_per_gpu: int
    timeout: float
    minutes: int
    memory_limit: int | None
    environment: Mapping[str, str]

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Group:
        """The inverse of :meth:`write`."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def journal_of(group_file: Path) -> Path:
    """The journal that belongs to a group."""
    return group_file.with_suffix(".journal")


def read_journal(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The events after an offset in bytes, and the next offset; a line that is not finished is left for later."""
    try:
        with path.open("rb") as opened:
            opened.seek(offset)
            content = opened.read()
    except OSError:
        return [], offset
    whole = content[: content.rfind(b"\n") + 1]
    events = []
    for line in whole.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:  # the job was killed in the middle of a line
            continue
    return events, offset + len(whole)


class RunGroup:
    """What submitit calls in the job, and again after each re-queue."""

    def __init__(self, group_file: str) -> None:
        self.group_file = group_file

    def __call__(self) -> str:
        """Run the cells that the journal does not hold.

        Returns:
            "done"; what became of the cells is in the journal.
        """
        return _Run(Path(self.group_file)).run()

    def checkpoint(self) -> Any:
        """Called by submitit when Slurm takes the node away or the time is over: the same again."""
        from submitit.helpers import DelayedSubmission

        _append(journal_of(Path(self.group_file)), {"event": "queued again"})
        return DelayedSubmission(RunGroup(self.group_file))


class _Run:
    """One stay of a group on a node."""

    def __init__(self, group_file: Path) -> None:
        self.group = Group.read(group_file)
        self.journal = journal_of(group_file)
        self.terminated = False
        self._looked, self._level = 0.0, GO_ON

    def run(self) -> str:
        from harness_plugins.executors.local import LocalExecutor

        signal.signal(signal.SIGTERM, self._on_terminate)
        os.environ.update(self.group.environment)
        ended = {event["hash"] for event in read_journal(self.journal)[0] if event["event"] == "ended"}
        job = job_name()
        _append(self.journal, {"event": "started", "job": job})
        tasks = [Task(hash, title, text) for hash, title, text in self.group.tasks if hash not in ended]
        executor = LocalExecutor(engine="slurm", prefix=f"{job}/", deaf_to=FOR_THE_JOB)
        for result in executor.run(tasks, self._session(job)) if tasks else ():
            if result.how == "stopped":
                continue
            if result.how == "died" and self.terminated:
                time.sleep(3600)  # Slurm is ending all processes of the job, this one last: the cell is not to blame
            self._say(result)
        return "done"

    def _session(self, job: str) -> Session:
        group = self.group
        return Session(
            folder=self.journal.parent / "places" / job.replace("/", "-"),
            workers=group.cells, threads=group.threads, device=group.device, cells_per_gpu=group.cells_per_gpu,
            timeout=group.timeout, memory_limit=group.memory_limit, stopping=self._stopping,
            began=lambda task, worker: _append(self.journal, {"event": "began", "hash": task.hash, "worker": worker}),
        )  # fmt: skip

    def _say(self, result: Ended) -> None:
        reason = result.reason
        if result.how == "timeout" and self.group.minutes:
            reason = f"it did not finish within its job's {self.group.minutes} minutes (option minutes, or --timeout)"
        _append(
            self.journal,
            {
                "event": "ended", "hash": result.task.hash, "how": result.how, "reply": result.reply, "reason": reason,
                "log": list(result.log),
            },
        )  # fmt: skip

    def _stopping(self) -> int:
        """What the sweep ordered; a job that Slurm is about to end begins nothing new."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            with suppress(OSError, ValueError):
                self._level = int(Path(self.group.orders).read_text(encoding="utf-8"))
        return max(self._level, FINISH_RUNNING if self.terminated else GO_ON)

    def _on_terminate(self, number: int, frame: object) -> None:
        """scancel, or the beginning of a pre-emption: what runs may use the time that is left."""
        self.terminated = True


def job_name() -> str:
    """Number of this job, as ``squeue`` shows it."""
    import submitit

    return str(submitit.JobEnvironment().job_id)


def _append(journal: Path, event: dict[str, Any]) -> None:
    """Add a line, after a line that a killed job left unfinished."""
    line = json.dumps(event).encode() + b"\n"
    with journal.open("ab+") as opened:
        if opened.tell():
            opened.seek(-1, os.SEEK_END)
            if opened.read(1) != b"\n":
                line = b"\n" + line
        opened.write(line)
        opened.flush()
        os.fsync(opened.fileno())
