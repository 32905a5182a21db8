"""A progress bar for work that is no run: on a terminal a bar, elsewhere nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from harness.cli.outlets import console, shown


@contextmanager
def bars_shown(unit: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """A function that takes what is done, how much is done, and of how much (None where nobody knows).

    Args:
        unit: "bytes", or "items".
    """
    if not click.get_text_stream("stderr").isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )  # fmt: skip

    amounts: tuple[Any, ...] = (
        (DownloadColumn(binary_units=True), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(),)
    )
    bars = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), *amounts, TimeRemainingColumn(),
        console=console(sys.stderr), transient=True,
    )  # fmt: skip
    with shown(bars):
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                for finished in tasks.values():
                    bars.remove_task(finished)
                tasks.clear()
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show
