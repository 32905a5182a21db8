"""Worker processes on this machine, each a pebble pool of one, so that a cell which hangs, dies or takes too much
memory is ended and replaced alone.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import psutil
from harness_plugins.executors import local_worker
from harness_plugins.executors.devices import Place, deal
from harness_plugins.executors.memory import held_by, over_the_limit
from pebble import ProcessExpired, ProcessPool

from harness.execution import STOP_NOW, Ended, Session, Task
from harness.runtime.processes import process_exists

POLL_SECONDS = 0.1
"""How often stops, deaths and memory are looked at."""

SILENCE_SECONDS = 2.0
"""A process that is gone for so long, and the pool says nothing, ended with exit code 0, which the pool passes over."""

LOG_TAIL_LINES = 40

LOG_TAIL_BYTES = 40_000
"""What a process printed may be gigabytes; so much of its end is looked at."""


@dataclass
class Slot:
    """A place for one cell at a time.

    Attributes:
        place: Its name and device.
        placed: What the record says of it.
        deaf_to: Signals that its processes ignore.
        log: File that takes what its processes print.
        pool: Its pool of one process; made when it is first used.
        numbers: Shared with the process: its process id, and again the id when it has taken a task; 0 before.
        task: What it runs.
        future: The result to come.
        over_memory: Bytes that its process had when it was ended for them.
        gone: Since when the process that took the task is known to be gone; 0.0 while it lives.
        log_at: Length of the log when the task began.
    """

    place: Place
    placed: dict[str, str]
    deaf_to: tuple[str, ...]
    log: Path
    pool: Any = None
    numbers: Any = None
    task: Task | None = None
    future: Any = None
    over_memory: int = 0
    gone: float = 0.0
    log_at: int = 0

    def begin(self, task: Task, session: Session) -> None:
        """Hand a task to the process, which is started where there is none."""
        if self.pool is not None and not self._usable():
            self.close()
        with no_interrupts():
            if self.pool is None:
                context = multiprocessing.get_context("spawn")
                self.numbers = context.RawArray("q", 2)
                self.pool = ProcessPool(
                    max_workers=1,
                    initializer=local_worker.begin,
                    initargs=(
                        str(self.log),
                        self.numbers,
                        os.getpid(),
                        self.place.environment,
                        session.threads,
                        self.deaf_to,
                    ),
                    context=context,  # type: ignore[arg-type]
                )
            self.task, self.over_memory, self.gone, self.numbers[1] = task, 0, 0.0, 0
            self.log_at = self.log.stat().st_size if self.log.exists() else 0
            self.future = self.pool.schedule(local_worker.run, args=(task.text, self.placed), timeout=session.timeout)

    def _usable(self) -> bool:
        """Whether the pool and its process, which has nothing to do, are alive."""
        return bool(self.pool.active) and process_exists(self.numbers[0])

    def lost(self) -> bool:
        """Whether the pool is broken, or the process that took the task is gone, and the pool will not say so."""
        works = process_exists(self.numbers[1]) if self.numbers[1] else self.pool.active
        if self.future.done() or works:
            self.gone = 0.0
            return False
        self.gone = self.gone or time.monotonic()
        return time.monotonic() - self.gone > SILENCE_SECONDS

    def watch_memory(self, limit: int) -> None:
        """End the process if it and its children hold more than ``limit`` bytes."""
        if not self.numbers[0]:
            return
        with suppress(psutil.Error):  # it has just ended
            held = held_by(self.numbers[0])
            if held > limit:
                self.over_memory = held
                self.kill()

    def close(self) -> None:
        """End the process and forget the pool."""
        pool, self.pool = self.pool, None
        if pool is not None:
            pool.stop()
            self.kill()  # pebble would wait three seconds for a polite end
            pool.join()

    def kill(self) -> None:
        """End the process at once, if there is one."""
        if self.numbers is not None and process_exists(self.numbers[0]):
            os.kill(self.numbers[0], getattr(signal, "SIGKILL", signal.SIGTERM))

    def new_log_lines(self) -> tuple[str, ...]:
        """The last lines that the process printed during the task."""
        try:
            with self.log.open("rb") as opened:
                opened.seek(max(self.log_at, opened.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
                return tuple(opened.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        except OSError:
            return ()


@dataclass
class LocalExecutor:
    """Runs cells in worker processes on this machine.

    Attributes:
        engine, prefix: What records and tables say, where another engine runs cells through this one.
        deaf_to: Signals that the worker processes ignore, because somebody else answers them.
    """

    engine: str = "local"
    prefix: str = ""
    deaf_to: tuple[str, ...] = ()
    _slots: list[Slot] = field(default_factory=list, init=False)
    _handed_back: set[str] = field(default_factory=set, init=False)

    def slots(self, session: Session) -> int:
        """Cells at a time."""
        return len(deal(session))

    def run(self, tasks: Sequence[Task], session: Session) -> Iterator[Ended]:
        """Run the tasks; see :class:`harness.execution.Executor`."""
        places = deal(session)[: max(1, len(tasks))]
        folder = own_folder(session.folder / "local")
        self._slots = [
            Slot(place, self._placed(place), self.deaf_to, folder / f"worker-{place.name}.log") for place in places
        ]
        waiting = deque(tasks)
        try:
            while waiting or any(slot.task is not None for slot in self._slots):
                if session.stopping() >= STOP_NOW:
                    yield from self._stop(waiting)
                    return
                if session.stopping():
                    yield from (Ended(task, "stopped") for task in waiting)
                    waiting.clear()
                for slot in self._slots:
                    if slot.task is None and waiting:
                        task = waiting.popleft()
                        slot.begin(task, session)
                        session.began(task, slot.placed["worker"])
                busy = [slot for slot in self._slots if slot.task is not None]
                wait([slot.future for slot in busy], timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                for slot in busy:
                    if slot.future.done() or slot.lost():
                        ended = self._ended(slot, session)
                        if ended is None:  # its process was lost before the task began: another one gets it
                            assert slot.task is not None
                            waiting.appendleft(slot.task)
                        slot.task = slot.future = None
                        if ended is not None:
                            yield ended
                    elif session.memory_limit is not None:
                        slot.watch_memory(session.memory_limit)
        finally:
            for slot in self._slots:
                slot.kill()
            for slot in self._slots:
                slot.close()

    def _placed(self, place: Place) -> dict[str, str]:
        return {"executor": self.engine, "worker": self.prefix + place.name, "device": place.device}

    def _stop(self, waiting: deque[Task]) -> Iterator[Ended]:
        """End everything now."""
        running = [slot.task for slot in self._slots if slot.task is not None]
        for slot in self._slots:
            slot.kill()
        for slot in self._slots:
            slot.close()
            slot.task = None
        yield from (Ended(task, "stopped") for task in [*running, *waiting])

    def _ended(self, slot: Slot, session: Session) -> Ended | None:
        """How the task of a slot ended; None where it did not even begin, once. A process that failed is replaced."""
        task, future = slot.task, slot.future
        assert task is not None
        error = future.exception() if future.done() else ProcessExpired("", code=0)
        if error is None:
            return Ended(task, "finished", future.result())
        began = bool(slot.numbers[1])
        log = slot.new_log_lines()
        slot.close()
        if session.stopping() >= STOP_NOW:  # the signal that stops the sweep may have reached the process as well
            return Ended(task, "stopped")
        if isinstance(error, TimeoutError):
            return Ended(task, "timeout", reason=f"it ran longer than {session.timeout:g} s (--timeout)", log=log)
        if slot.over_memory:
            return Ended(task, "memory", reason=over_the_limit(slot.over_memory), log=log)
        if not began and task.hash not in self._handed_back:
            self._handed_back.add(task.hash)
            return None
        if isinstance(error, ProcessExpired):
            return Ended(task, "died", reason=_how_it_died(error), log=log)
        what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
        where = "its worker process was lost" if isinstance(error, BrokenProcessPool) else "its worker process failed"
        return Ended(task, "died", reason=f"{where} ({what})", log=log)


def own_folder(folder: Path) -> Path:
    """A folder for the logs of this sweep's processes; those of sweeps of this machine that are over are removed."""
    own = folder / f"{socket.gethostname()}-{os.getpid()}"
    own.mkdir(parents=True, exist_ok=True)
    for other in folder.glob(f"{socket.gethostname()}-*"):
        number = other.name.rpartition("-")[2]
        if number.isdigit() and not process_exists(int(number)):
            shutil.rmtree(other, ignore_errors=True)
    return own


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Threads and processes that begin meanwhile never see Ctrl-C, which goes to all processes of a terminal.

    A process inherits the mask of the thread that starts it, so that there is no moment in which it could be hit.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # otherwise the first process starts it, which ends the blocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _how_it_died(error: ProcessExpired) -> str:
    """What an exit code means."""
    code = error.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ", which the system sends when memory runs out" if name == "SIGKILL" else ""
        return f"its worker process was killed by {name}{hint}"
    return f"its worker process ended with exit code {code}"
