"""The state of a sweep on disk, which ``harness status`` reads from any terminal.

``results/sweeps/<name>-<digits>/`` holds ``sweep.json`` (its cells, always the same), ``invocations/`` (one file for
each command that worked on it, written by that command alone) and ``workers/`` (what each worker does at present). What
became of a cell is not written here: its record says it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from harness.errors import HarnessError, unknown_name
from harness.execution.cell_log import tail_of
from harness.execution.estimate import Work
from harness.execution.worker_state import WorkerState, forget_worker, log_beside, read_workers
from harness.files.json_text import read_json_as
from harness.files.paths import path_below
from harness.files.whole import replace_text
from harness.runtime.processes import process_exists

log = logging.getLogger(__name__)

FOLDER = "sweeps"
"""Name of the folder of all sweeps, below the results folder."""

UNFINISHED_SECONDS = 60.0
"""A temporary file of that age was left by a killed process, and is removed."""


LATEST = 2.0**37
"""Seconds since 1970, in the year 6325: later moments are no dates."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell of a sweep: where its record belongs, one line for people, and what there is to do, if known."""

    hash: str
    method: str
    dataset: str
    title: str
    work: Work | None = None


@dataclass(frozen=True)
class CellList:
    """The content of ``sweep.json``.

    Attributes:
        schema, name: Of the file, and of the sweep.
        cells: For each cell what :class:`PlannedCell` has, in its order, but for its work.
        works: What there is to do, each once.
        work_of_cell: For each cell the position in ``works``. Both are empty in files of earlier versions.
    """

    schema: int
    name: str
    cells: list[tuple[str, str, str, str]]
    works: list[Work] = field(default_factory=list)
    work_of_cell: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Invocation:
    """One command that worked on a sweep.

    Attributes:
        argv: The words of its command line.
        host, pid: Where it ran.
        executor: Name of the executor.
        workers: Cells at a time, as far as known.
        shard: "2/4", or "".
        to_run: Cells that had no standing record when it began.
        started: Seconds since 1970.
        ended: Seconds since 1970; None while it runs, or if it was killed.
        outcome: "finished", "stopped" or "failed"; "" while it runs.
        number: Which command on this sweep it is, from 1: clocks are set back, too. 0 for one of an earlier version.
        device, threads: Kind of device and threads of its cells; "" and 0 where that is not known.
    """

    argv: tuple[str, ...]
    host: str
    pid: int
    executor: str
    workers: int | None
    shard: str
    to_run: int
    started: float
    ended: float | None = None
    outcome: str = ""
    number: int = 0
    device: str = ""
    threads: int = 0

    @property
    def state(self) -> str:
        """ "running", "finished", "stopped", "failed", or "killed" where it ended without a word."""
        if self.outcome:
            return self.outcome
        if self.host != socket.gethostname():
            return "running"  # cannot be told from here
        return "running" if process_exists(self.pid, before=self.started) else "killed"


@dataclass(frozen=True)
class SweepState:
    """The state folder of a sweep."""

    folder: Path

    @property
    def workers(self) -> Path:
        """Folder of the workers' files."""
        return self.folder / "workers"

    @property
    def name(self) -> str:
        """Name of the sweep, with the digits that tell it from others of its name."""
        return self.folder.name

    def cells(self) -> list[PlannedCell]:
        """All cells of the sweep.

        Raises:
            HarnessError: The file cannot be read.
        """
        path = self.folder / "sweep.json"
        try:
            content = read_json_as(path, CellList)
            works: list[Work | None] = [content.works[at] for at in content.work_of_cell]
            works = works or [None] * len(content.cells)
            return [PlannedCell(*cell, work) for cell, work in zip(content.cells, works, strict=True)]
        except (OSError, ValueError, IndexError) as error:
            raise HarnessError(
                f"{path} cannot be read ({error}): start the sweep again, which writes it anew; records stay."
            ) from error

    def invocations(self) -> list[Invocation]:
        """The commands that worked on it, oldest first; files that cannot be read or true are passed over."""
        commands = []
        for path in (self.folder / "invocations").glob("*.json"):
            try:
                said = read_json_as(path, Invocation)
            except (OSError, ValueError):
                continue
            if 0 <= said.started < LATEST:
                commands.append(said)
        return sorted(commands, key=lambda invocation: (invocation.number, invocation.started))

    def running(self) -> list[WorkerState]:
        """Workers that work on a cell now."""
        return [worker for worker in read_workers(self.workers) if worker.alive]

    def fatal(self) -> list[WorkerState]:
        """Cells that ran in the very process of a command when it ended without a word: they may have ended it."""
        killed = {one.pid for one in self.invocations() if one.state == "killed"}
        return [worker for worker in read_workers(self.workers) if not worker.alive and worker.pid in killed]

    def tail_of(self, cell_hash: str) -> list[str]:
        """The last lines of the log of a cell whose worker is gone; its file is removed."""
        tail: list[str] = []
        for worker in list(read_workers(self.workers)):
            if worker.hash == cell_hash and not worker.alive:
                file = self.workers / worker.file_name
                tail = tail_of(log_beside(file)) or worker.tail
                forget_worker(file)
        return tail


def open_state(results: Path, name: str, cells: Sequence[PlannedCell]) -> SweepState:
    """The state folder of a sweep, made if it is not there; the same cells under the same name give the same folder.

    Raises:
        HarnessError: It cannot be written, or a link in it leads out of the results folder.
    """
    digest = hashlib.sha256("\n".join(sorted(cell.hash for cell in cells)).encode()).hexdigest()[:8]
    place = f"{FOLDER}/{name}-{digest}"
    state = SweepState(path_below(results, place, "state of a sweep"))
    for part in ("workers", "invocations"):
        path_below(results, f"{place}/{part}", "state of a sweep")
    try:
        state.workers.mkdir(parents=True, exist_ok=True)
        (state.folder / "invocations").mkdir(exist_ok=True)
        for cell in state.fatal():
            log.warning("%s", told_of_fatal(cell))
        _clear(state)
        try:
            written = state.cells() == list(cells)
        except HarnessError:  # not there, or damaged
            written = False
        if not written:
            replace_text(state.folder / "sweep.json", json.dumps(asdict(_listed(name, cells))))
    except OSError as error:
        raise HarnessError(
            f"the state of the sweep cannot be written to {state.folder} ({error.strerror}): free space there, or name "
            "another folder with --results."
        ) from error
    return state


def _listed(name: str, cells: Sequence[PlannedCell]) -> CellList:
    """What :meth:`SweepState.cells` reads."""
    works = dict.fromkeys(cell.work for cell in cells if cell.work is not None)
    position = {work: at for at, work in enumerate(works)}
    known = [position[cell.work] for cell in cells if cell.work is not None]
    places = [(cell.hash, cell.method, cell.dataset, cell.title) for cell in cells]
    return CellList(1, name, places, list(works), known if len(known) == len(cells) else [])


def told_of_fatal(cell: WorkerState) -> str:
    """One sentence about one of :meth:`SweepState.fatal`."""
    return (
        f"{cell.title} ran in process {cell.pid} when that was killed or ended without a word; if the cell ends its "
        "process, --executor local keeps the harm to the cell."
    )


def _clear(state: SweepState) -> None:
    """Remove what killed processes left: files of workers, and files that they were about to rename."""
    for worker in list(read_workers(state.workers)):
        if not worker.alive:
            forget_worker(state.workers / worker.file_name)
    for pattern in ("workers/*.new*", "invocations/.*.new*", ".*.new*"):
        for left in state.folder.glob(pattern):
            with suppress(FileNotFoundError):  # renamed meanwhile
                if time.time() - left.stat().st_mtime > UNFINISHED_SECONDS:
                    left.unlink()


@dataclass
class InvocationFile:
    """The file of the command that runs now, which only this command writes."""

    state: SweepState
    content: Invocation
    path: Path = field(init=False)

    def __post_init__(self) -> None:
        stamp = datetime.fromtimestamp(self.content.started, UTC).strftime("%Y%m%dT%H%M%S")
        self.path = self.state.folder / "invocations" / f"{stamp}-{self.content.host}-{self.content.pid}.json"
        self._save()

    def ended(self, outcome: str) -> None:
        """Note how the command ended."""
        self.content = replace(self.content, ended=time.time(), outcome=outcome)
        self._save()

    def _save(self) -> None:
        with suppress(OSError):  # the display suffers, the records do not
            replace_text(self.path, json.dumps(asdict(self.content)))


def begin_invocation(
    state: SweepState,
    executor: str,
    workers: int | None,
    shard: str,
    to_run: int,
    argv: Sequence[str] = (),
    device: str = "",
    threads: int = 0,
) -> InvocationFile:
    """Note that this process works on the sweep now; the arguments are those of :class:`Invocation`."""
    return InvocationFile(
        state,
        Invocation(
            tuple(argv),
            socket.gethostname(),
            os.getpid(),
            executor,
            workers,
            shard,
            to_run,
            started=time.time(),
            number=max((one.number for one in state.invocations()), default=0) + 1,
            device=device,
            threads=threads,
        ),
    )


def resume_command(argv: Sequence[str], began: datetime) -> str:
    """A command that goes on where another one stopped; nothing that it finished is run again.

    Args:
        argv: Words of the other command.
        began: When it began.
    """
    words = ["harness", *argv[1:]]
    always = "--overwrite=always" in words or ("--overwrite", "always") in pairwise(words)
    if always and not any(word.partition("=")[0] == "--since" for word in words):
        words += ["--since", began.isoformat(timespec="milliseconds")]  # as records say it
    return shlex.join(words)


def known_sweeps(results: Path) -> list[SweepState]:
    """All sweeps of a results folder, the one that was worked on last first."""
    states = [SweepState(path.parent) for path in (results / FOLDER).glob("*/sweep.json")]

    def last(state: SweepState) -> float:
        return max((invocation.started for invocation in state.invocations()), default=0.0)

    return sorted(states, key=last, reverse=True)


def find_sweep(results: Path, name: str) -> SweepState:
    """The sweep that a user means: the last one for "", or the beginning of its name.

    Raises:
        HarnessError: There is none, or several.
    """
    known = known_sweeps(results)
    if not known:
        raise HarnessError(
            f"no sweep in {results / FOLDER}: start one with `harness sweep PLAN`, or name another --results."
        )
    if not name:
        return known[0]
    matching = [state for state in known if state.name == name] or [
        state for state in known if state.name.startswith(name)
    ]
    if not matching:
        raise unknown_name("sweep", name, [state.name for state in known])
    if len(matching) > 1:
        raise HarnessError(
            f"{name!r} begins the names of {len(matching)} sweeps: {', '.join(state.name for state in matching[:5])}."
        )
    return matching[0]
