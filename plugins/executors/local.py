"""Worker processes on this machine, each a pebble pool of one, so that a cell which hangs, dies or takes too much
memory is ended and replaced alone.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from harness_plugins.executors import local_worker
from harness_plugins.executors.devices import Place, deal
from pebble import ProcessExpired, ProcessPool

from harness.execution import STOP_NOW, Ended, Session, Task

POLL_SECONDS = 0.1
"""How often stops, deaths and memory are looked at."""

LOG_TAIL_LINES = 20


@dataclass
class Slot:
    """A place for one cell at a time.

    Attributes:
        place: Its name and device.
        placed: What the record says of it.
        deaf_to: Signals that its processes ignore.
        log: File that takes what its processes print.
        pid_file: Where its process says which one it is.
        pool: Its pool of one process; made when it is first used.
        task: What it runs.
        future: The result to come.
        over_memory: Bytes that its process had when it was ended for them.
        log_at: Length of the log when the task began.
    """

    place: Place
    placed: dict[str, str]
    deaf_to: tuple[str, ...]
    log: Path
    pid_file: Path
    pool: Any = None
    task: Task | None = None
    future: Any = None
    over_memory: int = 0
    log_at: int = 0

    def begin(self, task: Task, session: Session) -> None:
        """Hand a task to the process, which is started where there is none."""
        if self.pool is None:
            self.pool = ProcessPool(
                max_workers=1,
                initializer=local_worker.begin,
                initargs=(str(self.log), str(self.pid_file), self.place.environment, session.threads, self.deaf_to),
                context=multiprocessing.get_context("spawn"),  # type: ignore[arg-type]
            )
        self.task, self.over_memory = task, 0
        self.log_at = self.log.stat().st_size if self.log.exists() else 0
        try:
            self.future = self.pool.schedule(local_worker.run, args=(task.text, self.placed), timeout=session.timeout)
        except (RuntimeError, BrokenProcessPool):  # its pool broke between two cells: a new one
            self.close()
            self.begin(task, session)

    def process(self) -> psutil.Process | None:
        """The process, if it lives."""
        try:
            return psutil.Process(int(self.pid_file.read_text()))
        except (OSError, ValueError, psutil.Error):
            return None

    def watch_memory(self, limit: int) -> None:
        """End the process if it and its children hold more than ``limit`` bytes."""
        process = self.process()
        if process is None or self.task is None:
            return
        try:
            held = process.memory_info().rss + sum(
                child.memory_info().rss for child in process.children(recursive=True)
            )
            if held > limit:
                self.over_memory = held
                process.kill()
        except psutil.Error:
            return

    def close(self) -> None:
        """End the process and forget the pool."""
        pool, self.pool = self.pool, None
        if pool is not None:
            process = self.process()
            if process is not None:
                process.kill()  # pebble would wait three seconds for a polite end
            pool.stop()
            pool.join()
        self.pid_file.unlink(missing_ok=True)

    def new_log_lines(self) -> tuple[str, ...]:
        """The last lines that the process printed during the task."""
        try:
            with self.log.open("rb") as opened:
                opened.seek(self.log_at)
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

    def slots(self, session: Session) -> int:
        """Cells at a time."""
        return len(deal(session))

    def run(self, tasks: Sequence[Task], session: Session) -> Iterator[Ended]:
        """Run the tasks; see :class:`harness.execution.Executor`."""
        folder = session.folder / "local"
        folder.mkdir(parents=True, exist_ok=True)
        places = deal(session)[: max(1, len(tasks))]
        self._slots = [
            Slot(
                place, {"executor": self.engine, "worker": self.prefix + place.name, "device": place.device},
                self.deaf_to, folder / f"worker-{place.name}.log", folder / f"worker-{place.name}.pid",
            )
            for place in places
        ]  # fmt: skip
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
                    if slot.future.done():
                        yield self._ended(slot, session)
                    elif session.memory_limit is not None:
                        slot.watch_memory(session.memory_limit)
        finally:
            for slot in self._slots:
                slot.close()

    def _stop(self, waiting: deque[Task]) -> Iterator[Ended]:
        """End everything now."""
        running = [slot.task for slot in self._slots if slot.task is not None]
        for slot in self._slots:
            slot.close()
            slot.task = None
        yield from (Ended(task, "stopped") for task in [*running, *waiting])

    def _ended(self, slot: Slot, session: Session) -> Ended:
        task, future = slot.task, slot.future
        assert task is not None
        slot.task = slot.future = None
        try:
            return Ended(task, "finished", future.result())
        except TimeoutError:
            limit = f"{session.timeout:g} s" if session.timeout else "its time"
            return Ended(task, "timeout", reason=f"it ran longer than {limit} (--timeout)", log=slot.new_log_lines())
        except ProcessExpired as error:
            if slot.over_memory:
                reason = f"it held {_gigabytes(slot.over_memory)} of memory, more than --memory-limit allows"
                return Ended(task, "memory", reason=reason, log=slot.new_log_lines())
            return Ended(task, "died", reason=_how_it_died(error), log=slot.new_log_lines())
        except (BrokenProcessPool, CancelledError, RuntimeError, OSError) as error:
            slot.close()
            reason = f"its worker process was lost ({type(error).__name__}: {' '.join(str(error).split())})"
            return Ended(task, "died", reason=reason, log=slot.new_log_lines())


def _how_it_died(error: ProcessExpired) -> str:
    """What an exit code means."""
    import signal

    code = error.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ", which the system sends when memory runs out" if name == "SIGKILL" else ""
        return f"its worker process was killed by {name}{hint}"
    return f"its worker process ended with exit code {code}"


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.2f} GB"
