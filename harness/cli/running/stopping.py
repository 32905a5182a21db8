"""Ctrl-C: the first lets running cells finish, the second ends them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stops:
    """How often the user has asked to stop, and what follows from it.

    Attributes:
        in_process: Cells run in this very process: ending them takes an exception.
        say: Shows a line.
        asked: :data:`harness.execution.GO_ON`, ``FINISH_RUNNING`` or ``STOP_NOW``.
    """

    in_process: bool
    say: Callable[[str], None] = lambda text: None
    asked: int = 0

    def level(self) -> int:
        """How far to stop, as :attr:`harness.execution.Session.stopping` gives it."""
        return self.asked

    def on_interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle Ctrl-C."""
        self.asked += 1
        if self.asked == 1:
            self._tell("Stopping: running cells finish, nothing new begins. Ctrl-C again ends them now.")
        else:
            self._now()

    def on_terminate(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGTERM, of a scheduler or a system that shuts down: running cells end at once."""
        self.asked = max(self.asked, 2)
        self._now()

    def _tell(self, text: str) -> None:
        """Show a line, unless the signal came amid other output, or the terminal is gone."""
        with suppress(RuntimeError, OSError):
            self.say(text)

    def _now(self) -> None:
        if self.asked == 2:
            self._tell("Stopping now: cells that run are lost, finished ones are kept.")
        if self.in_process or self.asked > 2:
            raise KeyboardInterrupt


@contextmanager
def stop_signals(stops: Stops) -> Iterator[None]:
    """A context in which ``stops`` handles Ctrl-C and SIGTERM; outside the main thread nothing changes.

    Args:
        stops: Handles the signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, handler)
        for number, handler in ((signal.SIGINT, stops.on_interrupt), (signal.SIGTERM, stops.on_terminate))
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
