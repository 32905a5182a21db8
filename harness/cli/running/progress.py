"""Progress of a grid: bars on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from harness.cli.outlets import console, shown
from harness.runtime.context import Progress
from harness.text import counted

if TYPE_CHECKING:
    from harness.cells.workbench import Job
    from harness.execution.sweep import Refusal
    from harness.execution.sweep_state import SweepState
    from harness.records.index import End
    from harness.records.schema import RunRecord

PLAIN_SECONDS = 10.0
"""Least time between plain lines of one phase."""


class PlainListener:
    """One line when a cell starts and ends, and now and then in between."""

    def __init__(self) -> None:
        self._last = 0.0
        self._phase = ""
        self.elsewhere = ""

    def say(self, text: str) -> None:
        """One line on standard error."""
        click.echo(text, err=True)

    def grid_started(self, jobs: Sequence[Job], refused: Sequence[Refusal]) -> None:
        """Name what will not run, and what the user should know."""
        for refusal in refused:
            self.say(f"refused: {refusal.reason}")
        for note in dict.fromkeys(note for job in jobs for note in job.notes):
            self.say(f"note: {note}")

    def pending(self, number: int) -> None:
        """Nothing: the lines of the cells say it."""

    def cell_started(self, number: int, total: int, job: Job) -> None:
        """Name the cell."""
        self.say(f"[{number}/{total}] {job.cell.title}")
        self._phase = ""

    def progressed(self, progress: Progress) -> None:
        """A line at the end of a phase, and every few seconds."""
        now = time.monotonic()
        finished = progress.epoch >= progress.epochs
        if progress.phase != self._phase:
            self._phase, self._last = progress.phase, now
        if finished or now - self._last >= PLAIN_SECONDS:
            self._last = now
            figure = f", {progress.figure}" if progress.figure else ""
            self.say(f"  {progress.phase} {progress.epoch}/{progress.epochs}{figure}")

    def noted(self, note: str) -> None:
        """A remark, on a line of its own."""
        self.say(f"note: {note}")

    def cell_kept(self, job: Job, end: End) -> None:
        """A line that says so."""
        self.say(f"kept: {job.cell.title}: {f'{end.status}: {end.error}' if end.error else 'finished before'}")

    def cell_finished(self, job: Job, record: RunRecord) -> None:
        """The result in one line, or the error with the command that repeats the cell."""
        self.say(f"  {outcome_line(record, self.elsewhere)}")


def outcome_line(record: RunRecord, elsewhere: str = "") -> str:
    """What became of a cell, in one line; ``elsewhere`` is :func:`harness.cli.options.results_option`."""
    if record.error is not None:
        return f"{record.status}: {record.error.message}\n  repeat with: {record.command}{elsewhere}"
    found = [
        f"{direction} {record.metrics[direction]['map']:.3f}"
        for direction in ("i2t", "t2i")
        if (record.metrics.get(direction) or {}).get("map") is not None
    ]
    detector = (record.metrics.get("detector") or {}).get("auroc")
    if detector is not None:
        found.append(f"detector AUROC {detector:.3f}")
    seconds = record.timings.get("total")
    timing = "" if seconds is None else f" in {seconds:.1f} s"
    return f"finished{timing}: map {', '.join(found)}" if found else f"finished{timing}"


class BarListener(PlainListener):
    """Bars for the grid and for the phase of the running cell."""

    def __init__(self, bars: Any) -> None:
        super().__init__()
        self._bars = bars
        self._grid: Any = None
        self._task: Any = None

    def say(self, text: str) -> None:
        """One line above the bars."""
        self._bars.console.print(text)

    def grid_started(self, jobs: Sequence[Job], refused: Sequence[Refusal]) -> None:
        """Show the bar of the grid if there are several cells."""
        super().grid_started(jobs, refused)
        if len(jobs) > 1:
            self._grid = self._bars.add_task("cells", total=len(jobs), loss="")

    def progressed(self, progress: Progress) -> None:
        """Move the bar of the phase."""
        loss = progress.figure
        if self._task is None or progress.phase != self._phase:
            self._drop()
            self._phase = progress.phase
            self._task = self._bars.add_task(progress.phase, total=progress.epochs, loss=loss)
        self._bars.update(self._task, completed=progress.epoch, total=progress.epochs, loss=loss)

    def cell_kept(self, job: Job, end: End) -> None:
        """Say it and move the bar of the grid."""
        super().cell_kept(job, end)
        if self._grid is not None:
            self._bars.advance(self._grid)

    def cell_finished(self, job: Job, record: RunRecord) -> None:
        """Say the result and move the bar of the grid."""
        self._drop()
        super().cell_finished(job, record)
        if self._grid is not None:
            self._bars.advance(self._grid)

    def _drop(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


class LineListener(PlainListener):
    """One line for each cell, when it has ended: for logs of sweeps."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total, self._ended, self._kept = total, 0, 0

    def cell_started(self, number: int, total: int, job: Job) -> None:
        """Nothing: the line comes when the cell has ended."""

    def progressed(self, progress: Progress) -> None:
        """Nothing."""

    def cell_kept(self, job: Job, end: End) -> None:
        """Counted; thousands of lines would say nothing new."""
        self._ended += 1
        self._kept += 1

    def pending(self, number: int) -> None:
        """How many cells were kept, and how many run."""
        if self._kept:
            self.say(f"{counted(self._kept, 'cell')} kept, {number} to run")

    def cell_finished(self, job: Job, record: RunRecord) -> None:
        """The cell and what became of it."""
        self._ended += 1
        self.say(f"[{self._ended}/{self._total}] {job.cell.title}: {outcome_line(record, self.elsewhere)}")


@contextmanager
def make_listener(state: SweepState | None, total: int, in_process: bool) -> Iterator[PlainListener]:
    """On a terminal a table of workers for sweeps, bars for cells that run in this process; lines elsewhere.

    Args:
        state: The state of a sweep, or None for a single cell.
        total: Cells.
        in_process: Cells run one by one in this process.
    """
    terminal = click.get_text_stream("stderr").isatty()
    if not terminal:
        yield PlainListener() if in_process else LineListener(total)
        return
    if not in_process and state is not None:
        from harness.cli.running.progress_table import TableListener, table_shown

        listener = TableListener(state, total)
        with table_shown(listener):
            yield listener
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<14}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[loss]:<16}", markup=False), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    bars = Bars(*columns, console=console(sys.stderr), transient=True)
    with shown(bars):
        yield BarListener(bars)
