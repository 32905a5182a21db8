"""The table of a running sweep on a terminal: what each worker does, and how far the whole is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.cli.outlets import console, shown
from harness.cli.running.progress import PlainListener, outcome_line
from harness.execution.worker_state import WorkerState
from harness.quantities import spoken_time
from harness.runtime.context import Progress

if TYPE_CHECKING:
    from harness.cells.workbench import Job
    from harness.execution.sweep import Refusal
    from harness.execution.sweep_state import SweepState
    from harness.records.index import End
    from harness.records.schema import RunRecord

PER_SECOND = 4
"""How often the table is drawn."""


@dataclass
class Counts:
    """How far a sweep is.

    Attributes:
        total: Cells.
        kept: Cells whose record stood at the beginning.
        ok, failed: Cells that ended since.
        began: Seconds since 1970.
    """

    total: int
    began: float
    kept: int = 0
    ok: int = 0
    failed: int = 0

    @property
    def ended(self) -> int:
        """Cells that have a record."""
        return self.kept + self.ok + self.failed

    @property
    def seconds_left(self) -> float | None:
        """By the rate so far; None before the first cell has ended."""
        done = self.ok + self.failed
        if not done:
            return None
        return (time.time() - self.began) / done * (self.total - self.ended)

    def sentence(self) -> str:
        """``12 of 40 cells, 3 kept, 1 failed; 2.4 cells a minute, 12 min left``."""
        parts = [f"{self.ended} of {self.total} cells"]
        parts += [f"{self.kept} kept"] * bool(self.kept) + [f"{self.failed} failed"] * bool(self.failed)
        said = ", ".join(parts)
        left = self.seconds_left
        if left is not None and self.total > self.ended:
            rate = (self.ok + self.failed) / max(time.time() - self.began, 1e-9) * 60
            said += f"; {rate:.3g} cells a minute, {spoken_time(left)} left"
        return said


class TableListener(PlainListener):
    """Draws the workers' own files, the same that ``harness status`` reads; ended cells scroll by above."""

    def __init__(self, state: SweepState, total: int) -> None:
        super().__init__()
        self._state = state
        self.counts = Counts(total, time.time())
        self.live: Any = None

    def say(self, text: str) -> None:
        """One line above the table."""
        if self.live is None:
            super().say(text)
        else:
            self.live.console.print(text)

    def grid_started(self, jobs: Sequence[Job], refused: Sequence[Refusal]) -> None:
        """As in a log."""
        super().grid_started(jobs, refused)
        self.counts.began = time.time()

    def cell_started(self, number: int, total: int, job: Job) -> None:
        """Nothing: the table shows it."""

    def progressed(self, progress: Progress) -> None:
        """Nothing: the table shows it."""

    def cell_kept(self, job: Job, end: End) -> None:
        """Count it."""
        self.counts.kept += 1

    def cell_finished(self, job: Job, record: RunRecord) -> None:
        """Count it, and say what became of it."""
        if record.status == "ok":
            self.counts.ok += 1
        else:
            self.counts.failed += 1
        self.say(f"{job.cell.title}: {outcome_line(record, self.elsewhere)}")

    def __rich__(self) -> Any:
        """The table and the bar."""
        return drawn(self._state.running(), self.counts)


def drawn(workers: Sequence[WorkerState], counts: Counts) -> Any:
    """Workers and an overall bar, for rich.

    Args:
        workers: What is running.
        counts: How far the sweep is.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("worker", "cell", "phase", "loss", "time"):
        table.add_column(column, no_wrap=True, overflow="ellipsis", justify="right" if column == "time" else "left")
    for worker in workers:
        phase = f"{worker.phase} {worker.epoch}/{worker.epochs}" if worker.phase else "begins"
        loss = "" if worker.loss is None else f"{worker.loss:.4g}"
        name = f"{worker.executor} {worker.worker}".strip()
        cells = (name, worker.title, phase, loss, spoken_time(time.time() - worker.started))
        table.add_row(*map(Text, cells))  # as they are: brackets in a title are no markup
    overall = Table.grid(padding=(0, 1))
    overall.add_row(ProgressBar(total=max(counts.total, 1), completed=counts.ended, width=40), Text(counts.sentence()))
    return Group(table, overall)


@contextmanager
def table_shown(listener: TableListener) -> Iterator[None]:
    """Keep the table of a listener on standard error meanwhile."""
    from rich.live import Live

    live = Live(
        listener, console=console(sys.stderr), refresh_per_second=PER_SECOND, transient=True, redirect_stdout=False,
        redirect_stderr=False,
    )  # fmt: skip
    with shown(live):
        listener.live = live
        try:
            yield
        finally:
            listener.live = None
