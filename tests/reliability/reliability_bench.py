"""Sweeps as a user starts them, in process groups of their own, watched from outside and killed at will."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

HERE = Path(__file__).resolve().parent
PATIENCE_SECONDS = 120
"""Longest wait for anything; nothing takes so long, but a machine may be busy."""


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait for a condition, and return its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


@dataclass
class Event:
    """A line of the counting plugin."""

    what: str
    name: str
    pid: int
    time: float
    more: dict[str, str]


@dataclass
class Command:
    """A command that was started."""

    pid: int
    out: Path
    err: Path
    code_file: Path

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.code_file.exists()

    def code(self) -> int:
        """Its exit code, when it has ended; negative for signals."""
        until(lambda: self.ended, f"the end of a command ({self.errors[-2000:]})")
        return int(self.code_file.read_text())

    @property
    def output(self) -> str:
        """What it wrote to standard output so far."""
        return self.out.read_text(errors="replace")

    @property
    def errors(self) -> str:
        """What it wrote to standard error so far."""
        return self.err.read_text(errors="replace")

    def send(self, number: int) -> None:
        """A signal to the process of the command alone."""
        os.kill(self.pid, number)

    def send_group(self, number: int) -> None:
        """A signal to all its processes, as Ctrl-C in a terminal does."""
        os.killpg(self.pid, number)

    def group(self) -> list[int]:
        """Processes of its group that live."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getpgid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
            except (ProcessLookupError, psutil.Error):
                continue
        return found

    def nobody_left(self) -> None:
        """Wait until all its processes are gone."""
        until(lambda: not self.group(), "the end of all processes of a command", 20)


@dataclass
class Bench:
    """A folder with a small feature file, the counting plugin's files and results, and a way to start commands."""

    folder: Path
    server: Any
    started: list[Command] = field(default_factory=list)

    @property
    def counted(self) -> Path:
        """Where the plugin writes and reads."""
        return self.folder / "counted"

    @property
    def results(self) -> Path:
        """Results folder of all commands."""
        return self.folder / "results"

    @property
    def counted_plugin(self) -> Path:
        """The counting plugin."""
        return HERE / "counted.py"

    def words(self, bits: str, seeds: str, *more: object, verb: str = "run") -> list[str]:
        """A command for a grid of counted cells."""
        grid = ["--features", self.folder / "small.npz", "--plugin", self.counted_plugin, "--method", "counted"]
        return [str(word) for word in (verb, *grid, "--bits", bits, "--seed", seeds, *more)]

    def start(self, *words: object, err: str = "", **environment: str) -> Command:
        """Start a command; results go to the bench's folder unless told otherwise.

        Args:
            words: Its words without ``harness``.
            err: Where standard error goes; a file by default.
            environment: Environment variables.
        """
        said = [str(word) for word in words]
        if "--results" not in said:
            said += ["--results", str(self.results)]
        base = self.folder / f"command-{len(self.started)}"
        request = {
            "words": said, "folder": str(self.folder), "out": f"{base}.out", "err": err or f"{base}.err",
            "code": f"{base}.code",
            "environment": {
                "COUNTED": str(self.counted), "HARNESS_CACHE": str(self.folder / "cache"), "COLUMNS": "200",
                **environment,
            },
        }  # fmt: skip
        for name in ("out", "err"):
            Path(f"{base}.{name}").touch()
        self.server.stdin.write(json.dumps(request).encode() + b"\n")
        self.server.stdin.flush()
        pid = int(self.server.stdout.readline())
        command = Command(pid, Path(f"{base}.out"), Path(f"{base}.err"), Path(f"{base}.code"))
        self.started.append(command)
        return command

    def resume(self, command: Command) -> Command:
        """Paste the last command that a command printed for going on."""
        line = [line for line in command.errors.splitlines() if line.startswith("go on with: ")][-1]
        words = shlex.split(line.removeprefix("go on with: "))
        assert words[0] == "harness"
        return self.start(*words[1:])

    def trouble(self, **cells: str) -> None:
        """What shall happen to cells: ``trouble(b8_0="hang")`` for 8 bits and seed 0."""
        for cell, what in cells.items():
            (self.counted / "trouble" / cell.removeprefix("b").replace("_", "-")).write_text(what)

    def go(self) -> None:
        """Let cells go on that hold."""
        (self.counted / "go").touch()

    def events(self, what: str = "") -> list[Event]:
        """Events so far, in the order in which they happened."""
        try:
            lines = (self.counted / "events").read_text().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            kind, name, pid, moment, *more = line.split()
            if what in ("", kind):
                found.append(Event(kind, name, int(pid), float(moment), dict(word.split("=", 1) for word in more)))
        return found

    def until_begun(self, number: int) -> None:
        """Wait until so many cells have begun to fit since the beginning of all."""
        until(lambda: len(self.events("begin")) >= number, f"the begin of cell {number}")

    def statuses(self) -> dict[str, str]:
        """Hash to status of the records that are there just now."""
        paths = self.results.glob("runs/*/*/[0-9a-f]*/record.json")
        return {path.parent.name: json.loads(path.read_text())["status"] for path in paths}

    def records(self, results: Path | None = None) -> dict[str, dict[str, Any]]:
        """All records by BITS-SEED, when nothing runs. Nothing half-written lies beside them."""
        runs = (results or self.results) / "runs"
        left = [path for path in runs.rglob("*") if path.name.startswith(".")]
        assert not left, f"left over: {left}"
        found = {}
        for folder in runs.glob("*/*/*"):
            record = json.loads((folder / "record.json").read_text())
            assert record["hash"] == folder.name
            if record["status"] == "ok":
                with np.load(folder / "arrays.npz") as arrays:
                    assert arrays.files
            found[f"{record['cell']['bits']}-{record['cell']['seed']}"] = record
        return found

    def arrays(self, record: dict[str, Any], results: Path | None = None) -> bytes:
        """The bytes of a run's arrays."""
        (path,) = (results or self.results).glob(f"runs/*/*/{record['hash']}/arrays.npz")
        return path.read_bytes()

    def check_nothing_twice(self) -> None:
        """No cell began to fit after a good record of it was renamed into place."""
        names = {record["hash"]: name for name, record in self.records().items()}
        stored: dict[str, float] = {}
        for event in self.events("stored"):
            if event.more["status"] == "ok":
                stored.setdefault(names[event.name], event.time)
        for event in self.events("begin"):
            assert event.time <= stored.get(event.name, float("inf")), f"cell {event.name} began after it was stored"
