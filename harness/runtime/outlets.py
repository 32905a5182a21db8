"""Standard output and standard error: the one way by which text leaves the command line.

Whatever is written becomes printable (:mod:`harness.text`) and fits the encoding of the terminal, and a stream
that is closed or full is told once instead of ending in a traceback. The displays of rich, which need control
characters of their own, write beneath this filter; the texts in them pass it in :func:`console`.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

import click

from harness.errors import HarnessError
from harness.text import cut_in_the_middle, one_line, printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.measure import Measurement

LEAST_NAME = 6
"""Columns of a name that stay on the narrowest terminal."""

BAR_WIDTH = 40
"""Columns of a bar where there is room."""


class Outlet:
    """A text stream that replaces what is not printable.

    Args:
        stream: Where the text goes.
        needed: Whether text that cannot be written is an error. It is for results; notes and progress that nobody can
            read do not end a sweep.
    """

    def __init__(self, stream: Any, needed: bool) -> None:
        self.stream = stream
        self.needed = needed
        self.failure: OSError | None = None
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        # But for the bytes beneath: click would take them to write UTF-8, past the filter, where a terminal is ASCII.
        if name in ("buffer", "stream"):
            raise AttributeError(name)
        return getattr(self.stream, name)

    def write(self, text: str | bytes) -> int:
        """Write a text, or one in UTF-8.

        Raises:
            HarnessError: It cannot be written, and the stream is needed.
            BrokenPipeError: The reader of a needed stream has gone (``harness list methods | head``).
        """
        if isinstance(text, bytes):  # click's shell completion
            text = text.decode("utf-8", "backslashreplace")
        if not isinstance(text, str):
            raise TypeError(f"expected text, not {type(text).__name__}")
        # A carriage return that begins what is written is a library's progress bar drawn anew; it hides nothing.
        again = text.startswith("\r")
        self._told(lambda: self.stream.write("\r" * again + printable(text[again:])))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream, unless it has failed before."""
        self._told(self.stream.flush)

    def _told(self, act: Callable[[], object]) -> None:
        """Do something with the stream, unless it has failed before."""
        if self.failure is None:
            try:
                act()
            except OSError as error:
                self.failure = error
                self._give_up()
        if self.failure is not None and self.needed:
            if isinstance(self.failure, BrokenPipeError):
                raise self.failure
            said = self.failure.strerror or self.failure
            raise HarnessError(f"standard output cannot be written: {said}.") from self.failure

    def _give_up(self) -> None:
        """Drop what is still in the buffer, which the interpreter could not write at its end."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)


@contextmanager
def outlets() -> Iterator[None]:
    """A context in which standard output and standard error are outlets."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Outlet(sys.stdout, needed=True), Outlet(sys.stderr, needed=False)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def open_closed_streams() -> None:
    """Take the place of standard streams that were closed (``>&-``), for which Python has None.

    The next file that is opened would get the number of the stream, and what C libraries print would land in it.
    Standard output is opened for reading, so that writing to it fails as it does on a closed one.
    """
    for number, name, flags in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, flags)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def console(outlet: TextIO) -> Console:
    """A console of rich on one of the outlets: its own control characters pass, those in texts do not.

    Args:
        outlet: ``sys.stdout`` or ``sys.stderr``.
    """
    from rich.console import Console
    from rich.segment import Segment

    class PrintableConsole(Console):
        def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
            for segment in super().render(*arguments, **options):
                yield segment if segment.control else segment._replace(text=printable(segment.text))

    # Names may hold brackets, which are no markup.
    return PrintableConsole(file=getattr(outlet, "stream", outlet), markup=False, highlight=False)


@contextmanager
def shown(display: Any) -> Iterator[None]:
    """Keep a live display of rich on the terminal meanwhile.

    What is written at the same time goes above it: rich then stands in for the standard streams, and reads colours
    and links out of what it gets, so it gets what has passed the filter.
    """
    with display, outlets():
        yield


class GivingWay:
    """A text for rich that is cut in its middle where the line is too short.

    Args:
        text: What may be cut.
        kept: What follows it and never is.
        style: As rich has it.
    """

    def __init__(self, text: str, kept: str = "", style: str = "") -> None:
        self.text, self.kept, self.style = text, kept, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        room = max(options.max_width - len(self.kept), 1)
        # As it is: brackets in a title are no markup.
        yield Text(f"{cut_in_the_middle(self.text, room)}{self.kept}", self.style, no_wrap=True, end="")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        return Measurement(min(len(self.text), LEAST_NAME) + len(self.kept), len(self.text) + len(self.kept))


def name_and_bar(padded: int = 0) -> tuple[Any, Any]:
    """The first two columns of rich's bars, which give way to the numbers in the others.

    Args:
        padded: Least columns of the name, where it may change.
    """
    from rich.progress import BarColumn, ProgressColumn
    from rich.table import Column

    class Name(ProgressColumn):
        max_refresh = None

        def render(self, task: Any) -> Any:
            return GivingWay(f"{task.description:<{padded}}")

    return Name(), BarColumn(bar_width=None, table_column=Column(max_width=BAR_WIDTH))


def numbers(column: Callable[..., Any], **options: Any) -> Any:
    """A column of rich's bars that is never cut."""
    from rich.table import Column

    return column(**options, table_column=Column(no_wrap=True))


@contextmanager
def bars_shown(unit: str, *, quiet: bool = False) -> Iterator[Callable[[str, int, int | None], None]]:
    """A progress bar for work that is no run, on a terminal; elsewhere nothing.

    Yields a function that takes what is done, how much is done, and of how much (None where nobody knows).

    Args:
        unit: "bytes", or "items".
        quiet: Nothing on a terminal either.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich import progress

    amounts: tuple[Any, ...] = (
        (numbers(progress.DownloadColumn, binary_units=True), numbers(progress.TransferSpeedColumn))
        if unit == "bytes"
        else (numbers(progress.MofNCompleteColumn),)
    )
    bars = progress.Progress(
        *name_and_bar(), *amounts, numbers(progress.TimeRemainingColumn), console=console(sys.stderr), transient=True,
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


def heading(text: str) -> None:
    """A line on standard output, in bold on a terminal."""
    if sys.stdout.isatty():
        console(sys.stdout).print(text, style="bold", soft_wrap=True)
    else:
        click.echo(text)


def paragraph(text: str, first: int = 2, others: int = 4) -> None:
    """A text on standard output, in lines of a width that reads well.

    Args:
        text: The text.
        first, others: Spaces before the first line, and before the others.
    """
    click.echo(click.wrap_text(text, width=110, initial_indent=" " * first, subsequent_indent=" " * others))


def warn(text: str) -> None:
    """A Python warning at the line of the caller of this package."""
    depth, frame = 2, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=depth)


_OURS = ("harness", "harness_plugins", "contextlib", "logging")


@contextmanager
def notes_as_warnings() -> Iterator[None]:
    """What the harness and its plugins note in their logs are Python warnings meanwhile."""
    handler = _Warnings()
    loggers = [logging.getLogger(name) for name in ("harness", "harness_plugins")]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warn(one_line(record.getMessage()))
