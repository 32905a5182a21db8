"""The log of one cell: progress and warnings, kept in memory and, where asked, in a file that outlives the process."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import cut
from harness.runtime.context import Progress

TAIL_LINES = 30
"""Lines of a log that a failed record keeps."""

MOST_CHARACTERS = 10_000_000
"""Characters of a whole log; of a longer one the first and the last lines are kept."""


class CellLog:
    """Lines with seconds since the start.

    Args:
        file: Every line is appended to it at once, so that it can be read when the process is gone; None keeps the
            lines in memory only.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.begin = time.perf_counter()
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=TAIL_LINES)
        self._left_out = 0
        self._room = self._room_of_file = MOST_CHARACTERS

    @property
    def lines(self) -> list[str]:
        """The lines that were kept, in order, and one that counts those left out."""
        between = [f"... {self._left_out} lines are left out ..."] if self._left_out else []
        return [*self._first, *between, *self._last]

    def add(self, text: str) -> None:
        """Add a line. A file that cannot be written is let go: the lines stay in memory."""
        line = f"{time.perf_counter() - self.begin:9.3f}s {cut(text)}"
        self._room -= len(line)
        if self._room >= 0:
            self._first.append(line)
        else:
            self._left_out += len(self._last) == TAIL_LINES
            self._last.append(line)
        if self.file is not None:
            self._write(line)

    def _write(self, line: str) -> None:
        """Append to the file, which begins anew with the last lines where it has become too long."""
        assert self.file is not None
        self._room_of_file -= len(line)
        try:
            with self.file.open("a" if self._room_of_file >= 0 else "w", encoding="utf-8") as opened:
                opened.write("\n".join([line] if self._room_of_file >= 0 else self.tail()) + "\n")
        except OSError:
            self.file = None
        if self._room_of_file < 0:
            self._room_of_file = MOST_CHARACTERS

    def progressed(self, progress: Progress) -> None:
        """Add a line of progress."""
        loss = "" if progress.loss is None else f" loss {progress.loss:.6g}"
        self.add(f"{progress.phase} {progress.epoch}/{progress.epochs}{loss}")

    def tail(self) -> list[str]:
        """The last lines."""
        return [*self._first[-TAIL_LINES:], *self._last][-TAIL_LINES:]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """A context in which warnings that the harness and its plugins log become lines, too."""
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
        try:
            said = record.getMessage()
        except Exception as error:  # a text that does not fit its values, or a value without a text
            said = f"{type(error).__name__} while its text was made"
        self.log.add(f"{record.levelname.lower()} {record.name}: {said}")


def tail_of(file: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of the log of a process that is gone; empty where there is none."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []
