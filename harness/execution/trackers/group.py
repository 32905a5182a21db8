"""The side of the run: events go to the trackers' processes, and nothing there can hold up, fail or change a run.

Why processes: a tracker's library may be slow to import, draw global random numbers, change global settings, take
memory that would count as the cell's, hang, crash, or refuse to end. Writing to a pipe that never blocks does none of
that. When the run's process is killed, the tracker's sees the end of the pipe and closes what is open.
"""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cells.command import command_of
from harness.errors import HarnessError
from harness.plugin.parameters import Value, read_values

if TYPE_CHECKING:
    from harness.cells.workbench import Job
    from harness.plugin.declarations import Component
    from harness.plugin.loading import Registry
    from harness.records.schema import RunRecord
    from harness.runtime.context import Progress

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
"""At the end a tracker may take its time as long as it gets on; after this long without a sign it is stopped."""

MOST_PENDING_BYTES = 64 * 2**20
"""Limit of the events that wait for a slow tracker; a tracker that lets more wait is given up."""


@dataclass(frozen=True)
class TrackerChoice:
    """A tracker and the values of all its parameters."""

    name: str
    values: dict[str, Value]


def choose_trackers(registry: Registry, texts: Sequence[str]) -> list[TrackerChoice]:
    """Read what a user wrote, before anything runs.

    Args:
        registry: What is registered.
        texts: Each ``NAME``, or ``NAME:PARAMETER=VALUE,PARAMETER=VALUE``.

    Returns:
        The trackers with their parameters.

    Raises:
        HarnessError: An unknown tracker or parameter, a value that cannot be read, or a tracker that is named twice.
    """
    chosen: dict[str, TrackerChoice] = {}
    for text in texts:
        name, _, settings = text.partition(":")
        declaration: Component = registry.get("tracker", name)
        said = {}
        for setting in filter(None, settings.split(",")):
            key, equals, value = setting.partition("=")
            if not equals:
                raise HarnessError(f"--tracker {text}: expected {name}:PARAMETER=VALUE, and {setting!r} has no '='.")
            said[key.strip()] = value
        if name in chosen:
            raise HarnessError(f"--tracker {text}: {name} is named twice; name it once.")
        values = read_values(declaration.parameters, said, f"tracker {name}", f"--tracker {name}:")
        chosen[name] = TrackerChoice(name, values)
    return list(chosen.values())


class Trackers:
    """The trackers of one process. Open them in the process that runs the cells, not before a fork.

    Args:
        choices: The trackers and their parameters.
        plugins: Files named with ``--plugin``, which the trackers' processes load too.
        note: Called with each sentence that the user should read, at most one for each tracker.
    """

    def __init__(
        self,
        choices: Sequence[TrackerChoice] = (),
        plugins: Sequence[Path] = (),
        note: Callable[[str], None] = log.warning,
    ) -> None:
        self._processes = [_Process(choice, plugins, note) for choice in choices]

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run_started(self, job: Job, started: datetime) -> None:
        """A cell starts."""
        if self._processes:
            cell = {
                "hash": job.cell.hash,
                "title": job.cell.title,
                "facts": dict(job.cell.facts),
                "command": command_of(job.request),
                "started": started.isoformat(timespec="milliseconds"),
            }
            self._tell({"event": "started", "cell": cell})

    def epoch_reported(self, progress: Progress) -> None:
        """The running cell reports."""
        if self._processes:
            self._tell({"event": "epoch", "progress": vars(progress)})

    def run_finished(self, record: RunRecord, folder: Path) -> None:
        """The cell's record is stored in ``folder``."""
        if self._processes:
            self._tell({"event": "finished", "record": record.to_json(), "folder": str(folder.resolve())})

    def close(self) -> None:
        """Let the trackers finish what they were told, and stop those that do not end."""
        for process in self._processes:
            process.end_of_news()
        for process in self._processes:
            process.wait()

    def _tell(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        for process in self._processes:
            process.tell(line)


class _Process:
    """The process of one tracker: writes events to it and reads its answers."""

    def __init__(self, choice: TrackerChoice, plugins: Sequence[Path], note: Callable[[str], None]) -> None:
        self.name = choice.name
        self._note = note
        self._noted = False
        self._given_up = False
        self._pending: deque[bytes] = deque()
        self._waiting = 0
        self._answers = b""
        # -P: the working folder is nobody's package (its folder "datasets" may be ours). No GPU: a context there would
        # count as another process on it.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.execution.trackers.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("HARNESS_DEBUG") else subprocess.DEVNULL,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        opening = {"name": choice.name, "values": choice.values, "plugins": [str(file.resolve()) for file in plugins]}
        self.tell(json.dumps(opening).encode() + b"\n")

    def tell(self, line: bytes) -> None:
        """Pass a line on as far as the pipe takes it now; the rest waits for the next one."""
        if self._given_up:
            return
        self._pending.append(line)
        self._waiting += len(line)
        self._write()
        self._read()
        if self._waiting > MOST_PENDING_BYTES:
            self._give_up("it does not keep up with the runs, and hears no more of them")

    def end_of_news(self) -> None:
        """Tell the process that no event follows; :meth:`wait` waits for its end."""
        self._write()
        self._close_when_empty()

    def wait(self) -> None:
        """Wait until the process has ended; one that gives no sign for too long is stopped."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._given_up and self._process.poll() is None and time.monotonic() < deadline:
            writing = [self._to] if self._pending else []
            select.select([self._from], writing, [], 0.05)
            if self._write() + self._read():
                deadline = time.monotonic() + PATIENCE_SECONDS
            self._close_when_empty()
        if self._process.poll() is None:
            self._say(f"it did not end within {PATIENCE_SECONDS:g} s and was stopped")
            self._process.kill()
            self._process.wait()
        self._read()
        if self._process.returncode:
            self._say("its process ended before the runs did")
        self._given_up = True
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _write(self) -> int:
        """Write what the pipe takes; the number of bytes."""
        written = 0
        while self._pending and not self._given_up:
            try:
                count = os.write(self._to, self._pending[0])
            except BlockingIOError:
                break
            except OSError:
                self._give_up("its process ended before the runs did")
                break
            written += count
            self._waiting -= count
            line = self._pending.popleft()
            if count < len(line):
                self._pending.appendleft(line[count:])
        return written

    def _read(self) -> int:
        """Read the process's answers; the number of bytes. Sentences are passed on."""
        count = 0
        try:
            while block := os.read(self._from, 65536):
                count += len(block)
                self._answers += block
        except OSError:  # nothing to read now
            pass
        *lines, self._answers = self._answers.split(b"\n")
        for line in lines:
            if line:
                self._say(line.decode(errors="replace"))
        return count

    def _close_when_empty(self) -> None:
        stdin = self._process.stdin
        if not self._pending and stdin is not None and not stdin.closed:
            stdin.close()

    def _give_up(self, why: str) -> None:
        self._read()  # its own explanation, if it gave one, is the better one
        self._say(why)
        self._given_up = True
        self._pending.clear()
        self._waiting = 0
        if self._process.poll() is None:
            self._process.kill()

    def _say(self, sentence: str) -> None:
        if not self._noted:
            self._noted = True
            self._note(f"tracker {self.name}: {sentence.rstrip('.')}; the runs go on without it.")
