"""What a terminal shows of a grid, at any width: titles and names give way in their middle, numbers never."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.quantities import spoken_time
from harness.runtime.outlets import BAR_WIDTH, GivingWay, name_and_bar, numbers
from harness.text import folded

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from harness.execution.worker_state import WorkerState

LEAST_BAR = 10
"""Narrower ones say nothing."""


COMMANDS = ("repeat with: ", "go on with: ")
"""What lines begin with that hold a command."""


def say_above(console: Console, text: str) -> None:
    """Lines above a live display; only commands, which are copied as a whole, are longer than the terminal is wide."""
    is_command = text.lstrip().startswith(COMMANDS)
    console.print(text if is_command else folded(text, console.width), soft_wrap=True)


def columns_of_bars() -> tuple[Any, ...]:
    """The columns of rich's bars; the name of what is done and the bar give way to the numbers."""
    from rich.progress import MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    loss = TextColumn("{task.fields[loss]:<14}", markup=False)
    counts, elapsed, left = map(numbers, (MofNCompleteColumn, TimeElapsedColumn, TimeRemainingColumn))
    return *name_and_bar(10), counts, loss, elapsed, left


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
        """Seconds that the rest takes at the rate so far; None before the first cell has ended."""
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


class Overall:
    """How far a sweep is, for rich: a bar and a sentence where both fit in a line, otherwise the sentence alone."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        sentence = self.counts.sentence()
        room = min(options.max_width - len(sentence) - 1, BAR_WIDTH)
        if room < LEAST_BAR:
            yield Text(folded(sentence, options.max_width))
            return
        row = Table.grid(padding=(0, 1))
        row.add_row(
            ProgressBar(total=max(self.counts.total, 1), completed=self.counts.ended, width=room), Text(sentence)
        )
        yield row


def drawn(workers: Sequence[WorkerState], counts: Counts) -> Any:
    """Workers and an overall bar, for rich.

    Args:
        workers: What is running.
        counts: How far the sweep is.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("worker", "cell", "phase", "loss", "time"):
        table.add_column(column, no_wrap=column in ("loss", "time"), justify="right" if column == "time" else "left")
    for worker in workers:
        phase = GivingWay(worker.phase, f" {worker.epoch}/{worker.epochs}") if worker.phase else Text("begins")
        loss = "" if worker.loss is None else f"{worker.loss:.4g}"
        name, title = GivingWay(f"{worker.executor} {worker.worker}".strip()), GivingWay(worker.title)
        table.add_row(name, title, phase, Text(loss), Text(spoken_time(time.time() - worker.started)))
    return Group(table, Overall(counts))
