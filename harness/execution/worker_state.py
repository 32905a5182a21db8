"""What each worker of a sweep is doing, in a small file of its own that anyone may read.

Only the worker writes its file (whole, renamed into place), so that nothing needs a lock; ``harness status`` and the
table of a running sweep read the same files.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.execution.cell_log import CellLog
from harness.files.json_text import read_json_as
from harness.files.whole import replace_text
from harness.runtime.context import Progress
from harness.runtime.processes import process_exists

WRITE_SECONDS = 0.5
"""Least time between two versions of the file."""

BEAT_SECONDS = 10.0
"""The file is written at least this often, so that a reader on another machine can tell a live worker from a dead."""

LOST_SECONDS = 60.0
"""A worker on another machine that was silent for so long is taken for dead."""


@dataclass
class WorkerState:
    """What a worker is doing.

    Attributes:
        host, pid: Where it is.
        executor, worker: The engine, and the worker's name there.
        hash, title: The cell.
        phase, epoch, epochs, loss: How far it is; "" and 0 at its beginning.
        started, updated: Seconds since 1970.
        tail: The last lines of its log.
    """

    host: str
    pid: int
    executor: str
    worker: str
    hash: str
    title: str
    phase: str = ""
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    started: float = 0.0
    updated: float = 0.0
    tail: list[str] = field(default_factory=list)

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return f"{self.host}-{self.pid}.json"

    @property
    def alive(self) -> bool:
        """Whether its process still works, as far as can be told from here."""
        if self.host == socket.gethostname():
            return process_exists(self.pid, before=self.started)
        return abs(time.time() - self.updated) < LOST_SECONDS  # a clock set back makes no dead worker live


def log_beside(file: Path) -> Path:
    """Where a worker writes every line of its cell's log at once, so that the last ones outlive it."""
    return file.with_name(f"{file.name.removesuffix('.json')}.log")


def forget_worker(file: Path) -> None:
    """Remove the files of a worker that has ended its cell, or has ended itself."""
    with suppress(OSError):  # on a file system that can no longer be written
        log_beside(file).unlink(missing_ok=True)
        file.unlink(missing_ok=True)


class Reporter:
    """Writes a worker's file while a cell runs: changes at most every :data:`WRITE_SECONDS`, and a regular beat.

    A file that cannot be written (a full disk) costs nothing but the display.
    """

    def __init__(self, folder: Path, placed: Mapping[str, str], cell_hash: str, title: str, log: CellLog) -> None:
        now = time.time()
        self.state = WorkerState(
            host=socket.gethostname(), pid=os.getpid(), executor=placed.get("executor", ""),
            worker=placed.get("worker", ""), hash=cell_hash, title=title, started=now, updated=now,
        )  # fmt: skip
        self._file = folder / self.state.file_name
        self._log = log
        log.file = log_beside(self._file)
        self._changed = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Reporter:
        """Begin to write."""
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """The worker is idle again."""
        self._over.set()
        self._changed.set()
        self._thread.join()
        self._log.file = None
        forget_worker(self._file)

    def progressed(self, progress: Progress) -> None:
        """Take in progress of the cell; the thread writes it to the file."""
        state = self.state
        state.phase, state.epoch, state.epochs = progress.phase, progress.epoch, progress.epochs
        state.loss = progress.loss
        self._changed.set()

    def _beat(self) -> None:
        while not self._over.is_set():
            self._changed.wait(BEAT_SECONDS)
            if not self._over.is_set():
                self._changed.clear()
                self._write()
                self._over.wait(WRITE_SECONDS)

    def _write(self) -> None:
        self.state.updated = time.time()
        self.state.tail = self._log.tail()
        with suppress(OSError):
            replace_text(self._file, json.dumps(asdict(self.state)))


def read_workers(folder: Path) -> Iterator[WorkerState]:
    """The workers whose files lie in a folder, dead ones too, sorted by name.

    Files that cannot be read, or are not called as their worker's is, are passed over: what removes or reads a worker's
    files goes by its name.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            worker = read_json_as(path, WorkerState)
        except (OSError, ValueError):
            continue
        if worker.file_name == path.name:
            yield worker
