"""What a queue of jobs can be asked: submit, which are over and how, cancel. One for Slurm, one for this machine."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from harness_plugins.executors.absent import not_installed
from harness_plugins.executors.slurm_job import RunGroup

from harness.errors import HarnessError
from harness.runtime.settings import environment_set

SACCT_SECONDS = 30
"""Longest time between two questions to Slurm's accounting; submitit asks for all jobs at once."""

UNSURE = ("UNKNOWN", "PREEMPTED", "REQUEUED")
"""States that may be the end of a job or not: squeue is asked."""

OVER = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT")
"""States that a job does not leave."""

UNSURE_SECONDS = 20.0
"""Accounting may lag behind the queue."""


class Refused(Exception):
    """The cluster takes no job now; the message is its own."""


class Queue(Protocol):
    """Where jobs are."""

    def submit(self, folder: Path, name: str, group_files: Sequence[Path], parameters: Mapping[str, Any]) -> list[str]:
        """Ids of the jobs, in the order of the groups.

        Raises:
            Refused: The queue did not take them.
        """

    def state(self, job: str) -> str:
        """The word of the state in which a job ended; "" while it has not."""

    def cancel(self, jobs: Sequence[str], pending_only: bool = False) -> None:
        """End jobs; those that wait only, where it is asked for."""

    def forget(self, name: str) -> None:
        """End whatever was submitted under a name whose ids were lost."""

    def close(self) -> None:
        """Nothing more is asked."""


def submitit() -> Any:
    """The library, whose logger must not write to our standard output.

    Raises:
        HarnessError: It is not installed.
    """
    try:
        with environment_set({"SUBMITIT_LOG_LEVEL": "NOCONFIG"}):
            import submitit

        return submitit
    except ImportError as error:
        raise not_installed("slurm", "submitit", error) from error


class SlurmQueue:
    """A Slurm cluster, asked through submitit and its commands.

    Raises:
        HarnessError: Slurm's commands are not here.
    """

    def __init__(self, requeues: int) -> None:
        self.library = submitit()
        for command in ("sbatch", "srun", "squeue", "scancel"):
            if shutil.which(command) is None:
                raise HarnessError(
                    f"--executor slurm: there is no {command} on this machine: start the sweep where jobs are "
                    "submitted, or add --executor-option cluster=local."
                )
        from submitit.slurm.slurm import SlurmInfoWatcher

        self.requeues = requeues
        self.watcher = SlurmInfoWatcher(delay_s=SACCT_SECONDS)
        self._unsure: dict[str, float] = {}

    def submit(self, folder: Path, name: str, group_files: Sequence[Path], parameters: Mapping[str, Any]) -> list[str]:
        """Submit an array; see :class:`Queue`."""
        engine = self.library.SlurmExecutor(folder=folder, max_num_timeout=self.requeues)
        try:
            engine.update_parameters(job_name=name, **parameters)
            jobs = engine.submit_array([RunGroup(str(path)) for path in group_files])
        except (RuntimeError, ValueError, OSError) as error:
            raise Refused(" ".join(str(error).split())) from error
        return [job.job_id for job in jobs]

    def state(self, job: str) -> str:
        """See :class:`Queue`."""
        word = (self.watcher.get_state(job).split() or ["UNKNOWN"])[0].rstrip("+").upper()
        if word in UNSURE:
            since = self._unsure.setdefault(job, time.monotonic())
            if time.monotonic() - since < UNSURE_SECONDS:
                return ""
            self._unsure[job] = time.monotonic()
            return "" if self._queued(job) else word
        self._unsure.pop(job, None)
        return word if word in OVER else ""

    def _queued(self, job: str) -> bool:
        """Whether squeue knows it; a queue that does not answer is taken to know it."""
        command = ["squeue", "--noheader", "--format=%i", "--jobs", job]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            return "invalid job id" not in answer.stderr.lower()
        return bool(answer.stdout.strip())

    def cancel(self, jobs: Sequence[str], pending_only: bool = False) -> None:
        """See :class:`Queue`."""
        if jobs:
            words = ["scancel", *(["--state=PENDING"] if pending_only else []), *jobs]
            subprocess.run(words, capture_output=True, check=False)

    def forget(self, name: str) -> None:
        """See :class:`Queue`."""
        subprocess.run(["scancel", f"--name={name}"], capture_output=True, check=False)

    def close(self) -> None:
        """See :class:`Queue`."""


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started here never hear Ctrl-C: a terminal sends it to the whole group, and what runs shall
    finish. An ignored signal stays ignored in the processes that are started.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class LocalQueue:
    """Processes of this machine, through submitit's local executor: all start at once, nothing waits."""

    def __init__(self, requeues: int) -> None:
        self.library = submitit()
        self.requeues = requeues
        self._jobs: list[Any] = []

    def submit(self, folder: Path, name: str, group_files: Sequence[Path], parameters: Mapping[str, Any]) -> list[str]:
        """Start a process for each; see :class:`Queue`."""
        engine = self.library.LocalExecutor(folder=folder, max_num_timeout=self.requeues)
        engine.update_parameters(
            timeout_min=parameters["time"],
            signal_delay_s=parameters["signal_delay_s"],
            gpus_per_node=parameters.get("gpus_per_node", 0),
            setup=parameters.get("setup", ()),
        )
        with _deaf_to_ctrl_c():
            jobs = engine.submit_array([RunGroup(str(path)) for path in group_files])
        self._jobs += jobs
        return [job.job_id for job in jobs]

    def state(self, job: str) -> str:
        """See :class:`Queue`; a process of an earlier sweep is known by what it runs."""
        return "" if self._process(job) is not None else "ENDED"

    def _process(self, job: str) -> Any:
        import psutil

        try:
            process = psutil.Process(int(job))
            ours = "submitit.local._local" in " ".join(process.cmdline())
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def cancel(self, jobs: Sequence[str], pending_only: bool = False) -> None:
        """See :class:`Queue`; waits until they have ended."""
        import psutil

        if pending_only:
            return
        processes = [process for job in jobs if (process := self._process(job)) is not None]
        for process in processes:
            for child in process.children(recursive=True):
                child.kill()
            process.kill()
        psutil.wait_procs(processes, timeout=5)

    def forget(self, name: str) -> None:
        """Nothing waits for a process that was not started."""

    def close(self) -> None:
        """Take leave of the processes, which have nothing left to do."""
        for job in self._jobs:
            try:
                job._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.cancel([job.job_id])
                job._process.wait()
