"""Progress of a grid: bars or a table of workers on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from harness.api.drawing import Counts, columns_of_bars, drawn, say_above
from harness.quantities import spoken_time
from harness.runtime.outlets import console, shown
from harness.text import counted, cut_in_the_middle

if TYPE_CHECKING:
    from harness.cells.workbench import Job
    from harness.execution.sweep import Refusal
    from harness.execution.sweep_state import SweepState
    from harness.records.index import End
    from harness.records.schema import RunRecord
    from harness.runtime.context import Progress

PLAIN_SECONDS = 10.0
"""Least time between plain lines of one phase."""

LEAST_TITLE = 60
"""Columns of a title below which what follows it gets a line of its own."""

PER_SECOND = 4
"""How often the table is drawn."""


class PlainListener:
    """One line when a cell starts and ends, and now and then in between."""

    def __init__(self) -> None:
        self._last = 0.0
        self._phase = ""
        self.elsewhere = ""
        """As of :func:`harness.cli.options.results_option`."""
        self.remark: Callable[[str, str], None] = lambda kind, text: self.say(f"{kind}: {text}")

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where lines go elsewhere, as long as they are."""
        return None

    def say(self, text: str) -> None:
        """One line on standard error."""
        click.echo(text, err=True)

    def say_of(self, before: str, title: str, after: str = "") -> None:
        """One line about a cell; on a terminal its title is cut to fit, or what follows gets a line of its own."""
        if self.width is not None:
            room = self.width - len(before)
            if room - len(after) < min(len(title), LEAST_TITLE):
                self.say(f"{before}{cut_in_the_middle(title, room)}")
                self.say(f"  {after.removeprefix(': ')}")
                return
            title = cut_in_the_middle(title, room - len(after))
        self.say(f"{before}{title}{after}")

    def say_command(self, record: RunRecord) -> None:
        """The command that repeats a cell that failed, in one line however long, for copying."""
        if record.error is not None:
            self.say(f"  repeat with: {record.command}{self.elsewhere}")

    def grid_started(self, jobs: Sequence[Job], refused: Sequence[Refusal]) -> None:
        """Name what will not run, and what the user should know."""
        for refusal in refused:
            self.remark("refused", refusal.reason)
        for note in dict.fromkeys(note for job in jobs for note in job.notes):
            self.remark("note", note)

    def pending(self, number: int) -> None:
        """Show nothing; each cell has a line that gives its number."""

    def cell_started(self, number: int, total: int, job: Job) -> None:
        """Name the cell."""
        self.say_of(f"[{number}/{total}] ", job.cell.title)
        self._phase = ""

    def progressed(self, progress: Progress) -> None:
        """Print a line at the end of a phase, and every few seconds in between."""
        now = time.monotonic()
        finished = progress.epoch >= progress.epochs
        if progress.phase != self._phase:
            self._phase, self._last = progress.phase, now
        if finished or now - self._last >= PLAIN_SECONDS:
            self._last = now
            figure = f", {progress.figure}" if progress.figure else ""
            left = progress.seconds_left
            figure += "" if left is None else f", {spoken_time(left)} left"
            self.say(f"  {progress.phase} {progress.epoch}/{progress.epochs}{figure}")

    def noted(self, note: str) -> None:
        """A remark, on a line of its own."""
        self.remark("note", note)

    def cell_kept(self, job: Job, end: End) -> None:
        """Print that the cell keeps its record."""
        self.say_of("kept: ", job.cell.title, f": {f'{end.status}: {end.error}' if end.error else 'finished before'}")

    def cell_finished(self, job: Job, record: RunRecord) -> None:
        """Print the result in one line, or the error and the command that repeats the cell."""
        self.say(f"  {outcome_line(record)}")
        self.say_command(record)


def outcome_line(record: RunRecord) -> str:
    """How a cell ended, in one line."""
    if record.error is not None:
        return f"{record.status}: {record.error.message}"
    figures = [
        f"{direction} {record.metrics[direction]['map']:.3f}"
        for direction in ("i2t", "t2i")
        if (record.metrics.get(direction) or {}).get("map") is not None
    ]
    detector = (record.metrics.get("detector") or {}).get("auroc")
    if detector is not None:
        figures.append(f"detector AUROC {detector:.3f}")
    seconds = record.timings.get("total")
    timing = "" if seconds is None else f" in {seconds:.1f} s"
    return f"finished{timing}: map {', '.join(figures)}" if figures else f"finished{timing}"


class BarListener(PlainListener):
    """Bars for the grid and for the phase of the running cell."""

    def __init__(self, bars: Any) -> None:
        super().__init__()
        self._bars = bars
        self._grid: Any = None
        self._task: Any = None

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return int(self._bars.console.width)

    def say(self, text: str) -> None:
        """One line above the bars."""
        say_above(self._bars.console, text)

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
        """Print that the cell keeps its record, and move the bar of the grid."""
        super().cell_kept(job, end)
        if self._grid is not None:
            self._bars.advance(self._grid)

    def cell_finished(self, job: Job, record: RunRecord) -> None:
        """Print the result and move the bar of the grid."""
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
        """Print nothing; a cell gets its line when it has ended."""

    def progressed(self, progress: Progress) -> None:
        """Print nothing; a cell gets its line when it has ended."""

    def cell_kept(self, job: Job, end: End) -> None:
        """Count the cell; it gets no line, as there may be thousands."""
        self._ended += 1
        self._kept += 1

    def pending(self, number: int) -> None:
        """Print how many cells were kept, and how many run."""
        if self._kept:
            self.say(f"{counted(self._kept, 'cell')} kept, {number} to run")

    def cell_finished(self, job: Job, record: RunRecord) -> None:
        """Print the cell and how it ended."""
        self._ended += 1
        self.say(f"[{self._ended}/{self._total}] {job.cell.title}: {outcome_line(record)}")
        self.say_command(record)


class TableListener(PlainListener):
    """Draws a table from the files of the workers, as ``harness status`` does; ended cells get a line above it."""

    def __init__(self, state: SweepState, total: int) -> None:
        super().__init__()
        self._state = state
        self.counts = Counts(total, time.time())
        self.live: Any = None

    @property
    def width(self) -> int | None:
        """Columns of the terminal."""
        return None if self.live is None else int(self.live.console.width)

    def say(self, text: str) -> None:
        """One line above the table."""
        if self.live is None:
            super().say(text)
        else:
            say_above(self.live.console, text)

    def grid_started(self, jobs: Sequence[Job], refused: Sequence[Refusal]) -> None:
        """Print what will not run and what the user should know, and start the clock."""
        super().grid_started(jobs, refused)
        self.counts.began = time.time()

    def cell_started(self, number: int, total: int, job: Job) -> None:
        """Print nothing; the table shows it."""

    def progressed(self, progress: Progress) -> None:
        """Print nothing; the table shows it."""

    def cell_kept(self, job: Job, end: End) -> None:
        """Count the cell; it gets no line."""
        self.counts.kept += 1

    def cell_finished(self, job: Job, record: RunRecord) -> None:
        """Count the cell, and print how it ended."""
        if record.status == "ok":
            self.counts.ok += 1
        else:
            self.counts.failed += 1
        self.say_of("", job.cell.title, f": {outcome_line(record)}")
        self.say_command(record)

    def __rich__(self) -> Any:
        """The table and the bar."""
        return drawn(self._state.running(), self.counts)


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


class SilentListener(PlainListener):
    """Shows nothing; remarks go where :attr:`PlainListener.remark` says."""

    def say(self, text: str) -> None:
        """Dropped."""


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook that can show rich's displays."""
    if "IPython" not in sys.modules or importlib.util.find_spec("ipywidgets") is None:
        return False
    from rich.console import Console

    return Console().is_jupyter


@contextmanager
def make_listener(
    state: SweepState | None, total: int, in_process: bool, *, quiet: bool = False
) -> Iterator[PlainListener]:
    """On a terminal and in a notebook a table of workers for sweeps, bars for cells that run in this process; lines
    elsewhere.

    Args:
        state: The state of a sweep, or None for a single cell.
        total: Cells.
        in_process: Cells run one by one in this process.
        quiet: Show nothing anywhere.
    """
    if quiet:
        yield SilentListener()
        return
    if not (sys.stderr.isatty() or in_notebook()):
        yield PlainListener() if in_process else LineListener(total)
        return
    if not in_process and state is not None:
        listener = TableListener(state, total)
        with table_shown(listener):
            yield listener
        return
    from rich.progress import Progress as Bars

    bars = Bars(*columns_of_bars(), console=console(sys.stderr), transient=True)
    with shown(bars):
        yield BarListener(bars)
