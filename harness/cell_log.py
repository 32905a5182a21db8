"""The log of one cell: progress and warnings, kept in memory and, where asked, in a file that outlives the process."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.context import Progress

TAIL_LINES = 30
"""Lines of a log that a failed record keeps."""


class CellLog:
    """Lines with seconds since the start.

    Args:
        file: Every line is appended to it at once, so that it can be read when the process is gone; None keeps the
            lines in memory only.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.lines: list[str] = []
        self.file = file
        self.begin = time.perf_counter()

    def add(self, text: str) -> None:
        """Add a line. A file that cannot be written is let go: the lines stay in memory."""
        line = f"{time.perf_counter() - self.begin:9.3f}s {text}"
        self.lines.append(line)
        if self.file is not None:
            try:
                with self.file.open("a", encoding="utf-8") as opened:
                    opened.write(line + "\n")
            except OSError:
                self.file = None

    def progressed(self, progress: Progress) -> None:
        """Add a line of progress."""
        loss = "" if progress.loss is None else f" loss {progress.loss:.6g}"
        self.add(f"{progress.phase} {progress.epoch}/{progress.epochs}{loss}")

    def tail(self) -> list[str]:
        """The last lines."""
        return self.lines[-TAIL_LINES:]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Meanwhile, warnings that the harness and its plugins log are lines too."""
        handler = _Lines(self)
        loggers = [logging.getLogger()]
        if not logging.getLogger("harness").propagate:  # so it is on the command line
            loggers.append(logging.getLogger("harness"))
        for logger in loggers:
            logger.addHandler(handler)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self, log: CellLog) -> None:
        super().__init__(logging.WARNING)
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        self.log.add(f"{record.levelname.lower()} {record.name}: {record.getMessage()}")


def tail_of(file: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of the log of a process that is gone; empty where there is none."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []
