"""Ctrl-C: at the command line the first lets running cells finish and the second ends them; in Python the first ends
them, as people expect of a notebook.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
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

    def at_once(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM, from a system that shuts down or a scheduler, which will not wait; in Python Ctrl-C."""
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


Handler = Callable[[int, FrameType | None], None]


@contextmanager
def signals_taken(handlers: Mapping[int, Handler]) -> Iterator[None]:
    """Have handlers take signals meanwhile; outside the main thread nothing can be taken.

    Args:
        handlers: Signal to what takes it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
