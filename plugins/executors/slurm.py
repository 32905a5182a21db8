"""Cells as job arrays of a Slurm cluster, submitted through submitit.

Jobs outlive the command: if that is killed they go on and write their records, and the next command finds them by what
lies in ``slurm/`` of the sweep's folder and submits only cells that no job has. submitit pickles what it sends to a
job; of ours that is a path, and what comes back is a journal in JSON (see :mod:`harness_plugins.executors.slurm_job`).
"""

from __future__ import annotations

import math
import shlex
import shutil
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness_plugins.executors.devices import usable_cores
from harness_plugins.executors.slurm_files import Submission, WatchedJob, open_hashes
from harness_plugins.executors.slurm_job import Group
from harness_plugins.executors.slurm_queue import LocalQueue, Queue, Refused, SlurmQueue

from harness.errors import HarnessError
from harness.execution import FINISH_RUNNING, STOP_NOW, Ended, How, Session, Task

POLL_SECONDS = 0.5
"""How often journals are read."""

SETTLE_SECONDS = 1.0
"""A job that is over may have written its last line on another machine a moment ago."""

JOBS = 200
"""Sought number of jobs where nothing else is said."""

MOST_CELLS_OF_A_JOB = 50

SPARE_MINUTES = 5
"""For the start of a job, beyond what its cells may take."""

NOT_THE_CELLS_FAULT = ("PREEMPTED", "COMPLETED")
"""States of a job whose unfinished cells are submitted again."""


@dataclass
class SlurmExecutor:
    """Runs cells as jobs of Slurm. Parameters: see ``harness info slurm``."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    gpus: int = 0
    memory: float = 0.0
    minutes: int = 0
    cells_per_job: int = 0
    array_size: int = 1000
    requeues: int = 20
    setup: str = ""
    slurm_additional: str = ""
    cluster: str = "slurm"

    def run(self, tasks: Sequence[Task], session: Session) -> Iterator[Ended]:
        """Run the tasks; see :class:`harness.execution.Executor`.

        Raises:
            HarnessError: Slurm or submitit is not here, refuses the jobs, or options contradict each other.
        """
        self._check(session)
        queue: Queue = SlurmQueue(self.requeues) if self.cluster == "slurm" else LocalQueue(self.requeues)
        run = _Run(self, queue, session, len(tasks))
        try:
            yield from run.run(tasks)
        finally:
            run.close()

    def _check(self, session: Session) -> None:
        if session.device.startswith("cuda:"):
            raise HarnessError(f"--device {session.device}: Slurm chooses the GPU of each job: say --device cuda.")
        if session.cells_per_gpu > 1 and not self.gpus_of(session):
            raise HarnessError(
                f"--cells-per-gpu {session.cells_per_gpu}: the jobs have no GPU: add --executor-option gpus=1."
            )
        if self.cluster == "local" and self.gpus_of(session) and session.workers != 1:
            raise HarnessError(
                "--executor-option cluster=local does not deal out GPUs among jobs: add --workers 1, or use "
                "--executor local."
            )
        self.further_options()

    def gpus_of(self, session: Session) -> int:
        """GPUs of a job."""
        return max(self.gpus, 1) if session.device == "cuda" else self.gpus

    def cells_at_a_time(self, session: Session) -> int:
        """Cells that run at a time in a job."""
        return max(1, self.gpus_of(session) * session.cells_per_gpu)

    def group_size(self, session: Session, cells: int) -> int:
        """Cells of a job."""
        sought = self.cells_per_job or min(MOST_CELLS_OF_A_JOB, math.ceil(cells / JOBS))
        return max(sought, self.cells_at_a_time(session))

    def minutes_of(self, session: Session, group_size: int) -> int:
        """Longest time of a job."""
        if self.minutes:
            return self.minutes
        if session.timeout is None:
            return 60
        return SPARE_MINUTES + math.ceil(session.timeout * math.ceil(group_size / self.cells_at_a_time(session)) / 60)

    def parameters(self, session: Session, group_size: int) -> dict[str, Any]:
        """For sbatch, by submitit's names."""
        cells = self.cells_at_a_time(session)
        minutes = self.minutes_of(session, group_size)
        parameters: dict[str, Any] = {
            "time": minutes,
            "signal_delay_s": signal_delay(minutes),
            "cpus_per_task": session.threads * cells,
            "array_parallelism": self.array_size if session.workers is None else max(1, session.workers // cells),
            "additional_parameters": {"requeue": True, **self.further_options()},
        }
        if session.memory_limit is not None or self.memory:
            gigabytes = self.memory or cells * (session.memory_limit or 0) / 2**30 + 2
            parameters["mem"] = f"{math.ceil(gigabytes * 1024)}MB"
        if self.gpus_of(session):
            parameters["gpus_per_node"] = self.gpus_of(session)
        if self.setup:
            parameters["setup"] = [self.setup]
        for name in ("partition", "account", "qos", "constraint"):
            if getattr(self, name):
                parameters[name] = getattr(self, name)
        return parameters

    def further_options(self) -> dict[str, str]:
        """What ``slurm_additional`` says.

        Raises:
            HarnessError: It cannot be read.
        """
        found = {}
        for word in shlex.split(self.slurm_additional):
            name, equals, value = word.partition("=")
            if not equals or not name:
                raise HarnessError(
                    f"slurm_additional={self.slurm_additional}: expected NAME=VALUE, several with spaces."
                )
            found[name.lstrip("-")] = value
        return found

    def cell_limit(self, session: Session, group_size: int) -> tuple[float, int]:
        """Seconds that a cell may take in a job, and the job's minutes where those are the reason."""
        minutes = self.minutes_of(session, group_size)
        room = minutes * 60 - 2.0 * signal_delay(minutes)
        if session.timeout is not None and session.timeout <= room:
            return session.timeout, 0
        return room, minutes


def signal_delay(minutes: int) -> int:
    """Seconds before the end of its time at which a job is told."""
    return min(90, 6 * minutes)


@dataclass
class _Run:
    """One pass."""

    executor: SlurmExecutor
    queue: Queue
    session: Session
    cells: int
    watched: dict[str, WatchedJob] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    again: dict[str, int] = field(default_factory=dict)
    level: int = 0

    @property
    def folder(self) -> Path:
        return self.session.folder / "slurm"

    def run(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Submit what no job has, and watch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        waiting = deque(self._without_attached(tasks))
        while waiting or self.watched:
            yield from self._obey(waiting)
            if self.level >= STOP_NOW:
                return
            self._submit(waiting)
            for job in list(self.watched.values()):
                yield from self._read(job)
                yield from self._look(job, waiting)
            if self.watched:
                time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """End what is left."""
        left = [job for job in self.watched.values() if job.open]
        for submission in {job.submission.folder: job.submission for job in left}.values():
            submission.order(STOP_NOW)
        self.queue.cancel([job.job for job in left])
        self.queue.close()

    def _without_attached(self, tasks: Sequence[Task]) -> list[Task]:
        """Find jobs of an earlier command that still have cells; the tasks that nobody has."""
        free = {task.hash: task for task in tasks}
        for submission in Submission.known(self.folder):
            if submission.cluster != self.executor.cluster:
                continue
            jobs = submission.jobs()
            if jobs is None:  # killed between sbatch and its answer
                self.queue.forget(submission.folder.name)
                continue
            alive = False
            for number, job in enumerate(jobs):
                if self.queue.state(job):
                    continue
                alive = True
                group_file = submission.group_file(number)
                ours = {name: free.pop(name) for name in open_hashes(group_file) if name in free}
                if ours:
                    self._watch(job, submission, group_file, ours)
            if alive:
                self.submissions.append(submission)
            else:
                shutil.rmtree(submission.folder, ignore_errors=True)
        return list(free.values())

    def _watch(self, job: str, submission: Submission, group_file: Path, tasks: dict[str, Task]) -> None:
        self.watched[job] = WatchedJob(job, submission, group_file, tasks)

    def _obey(self, waiting: deque[Task]) -> Iterator[Ended]:
        """What the sweep's user wants now."""
        wanted = self.session.stopping()
        if wanted <= self.level:
            return
        self.level = wanted
        for submission in self.submissions:
            submission.order(wanted)
        jobs = list(self.watched)
        self.queue.cancel(jobs, pending_only=wanted < STOP_NOW)
        yield from (Ended(task, "stopped") for task in waiting)
        waiting.clear()
        if wanted >= STOP_NOW:
            for job in list(self.watched.values()):
                yield from (Ended(task, "stopped") for task in job.open.values())
                job.open.clear()
            self.watched.clear()

    def _submit(self, waiting: deque[Task]) -> None:
        """Submit as many groups as may be in the queue."""
        while waiting and (room := self._room()):
            size = self.executor.group_size(self.session, self.cells)
            taken = [waiting.popleft() for _ in range(min(len(waiting), size * min(room, self.executor.array_size)))]
            groups = [taken[at : at + size] for at in range(0, len(taken), size)]
            submission = Submission.make(self.folder, self.executor.cluster)
            files = [submission.group_file(number) for number in range(len(groups))]
            for path, group in zip(files, groups, strict=True):
                self._group(group, submission, size).write(path)
            try:
                parameters = self.executor.parameters(self.session, size)
                jobs = self.queue.submit(submission.folder, submission.folder.name, files, parameters)
            except Refused as error:
                shutil.rmtree(submission.folder, ignore_errors=True)
                if not self.watched:
                    raise HarnessError(f"Slurm does not take the jobs: {error}") from error
                waiting.extendleft(reversed(taken))  # a limit of the queue: again when a job has ended
                return
            submission.note_jobs(jobs)
            self.submissions.append(submission)
            for job, path, group in zip(jobs, files, groups, strict=True):
                self._watch(job, submission, path, {task.hash: task for task in group})

    def _room(self) -> int:
        """How many jobs may be added."""
        if self.executor.cluster == "local":
            cells = self.executor.cells_at_a_time(self.session)
            most = self.session.workers or max(1, usable_cores() // self.session.threads)
            return max(0, max(1, most // cells) - len(self.watched))
        if self.session.workers is not None and self.watched:
            return 0  # the limit of an array counts for that array alone
        return self.executor.array_size

    def _group(self, tasks: Sequence[Task], submission: Submission, size: int) -> Group:
        session = self.session
        timeout, minutes = self.executor.cell_limit(session, size)
        return Group(
            tasks=[[task.hash, task.title, task.text] for task in tasks], orders=str(submission.orders),
            cells=self.executor.cells_at_a_time(session), threads=session.threads, device=session.device,
            cells_per_gpu=session.cells_per_gpu, timeout=timeout, minutes=minutes, memory_limit=session.memory_limit,
            environment=dict(session.environment),
        )  # fmt: skip

    def _read(self, job: WatchedJob) -> Iterator[Ended]:
        """What the journal of a job says."""
        for event in job.news():
            if event["event"] in ("started", "queued again"):
                job.begun.clear()
                continue
            task = job.open.get(event["hash"])
            if task is None:
                continue
            if event["event"] == "began":
                job.begun.add(task.hash)
                self.session.began(task, event["worker"])
                continue
            del job.open[task.hash]
            job.begun.discard(task.hash)
            job.any_ended = True
            ended = Ended(task, event["how"], event["reply"], event["reason"], tuple(event["log"]))
            if ended.how == "died" and "SIGKILL" in ended.reason and self.executor.cluster == "slurm":
                job.held.append(ended)  # Slurm says at the end of the job whether that was for memory
            else:
                yield ended
        if not job.open and not job.held:
            self.watched.pop(job.job, None)

    def _look(self, job: WatchedJob, waiting: deque[Task]) -> Iterator[Ended]:
        """Whether a job is over, and what that means for cells that have not ended."""
        if job.job not in self.watched:
            return
        state = self.queue.state(job.job)
        if not state:
            job.over = None
            return
        if job.over is None:
            job.over = time.monotonic()
        if time.monotonic() - job.over < SETTLE_SECONDS:
            return
        yield from self._read(job)
        self.watched.pop(job.job, None)
        for held in job.held:
            yield Ended(held.task, "memory", "", _memory_reason(job), held.log) if state == "OUT_OF_MEMORY" else held
        for task in job.open.values():
            begun = task.hash in job.begun
            if self.level >= FINISH_RUNNING and not begun:
                yield Ended(task, "stopped")
            elif self._try_again(task, begun, state, job):
                waiting.append(task)
            else:
                yield self._lost(task, state, job)
        job.open.clear()

    def _try_again(self, task: Task, begun: bool, state: str, job: WatchedJob) -> bool:
        """Cells of a job that is over which had no part in its end."""
        if self.level or state == "CANCELLED":
            return False
        if state not in NOT_THE_CELLS_FAULT and (begun or not (job.begun or job.any_ended)):
            return False
        self.again[task.hash] = self.again.get(task.hash, 0) + 1
        return self.again[task.hash] <= self.executor.requeues

    def _lost(self, task: Task, state: str, job: WatchedJob) -> Ended:
        how: How = "died"
        if state == "TIMEOUT":
            how, reason = "timeout", f"its Slurm job {job.job} ran out of time (option minutes, or --timeout)"
        elif state == "OUT_OF_MEMORY":
            how, reason = "memory", _memory_reason(job)
        elif self.executor.cluster == "local":
            reason = f"its job (process {job.job}) ended without a word"
        else:
            reason = f"its Slurm job {job.job} ended as {state}"
        return Ended(task, how, reason=reason, log=job.stderr_tail())


def _memory_reason(job: WatchedJob) -> str:
    return f"Slurm ended it because its job {job.job} took more memory than it may (option memory, or --memory-limit)"
