"""The tracker's side: ``python -m harness.execution.trackers.process`` reads events, a line of JSON each, and calls it.

Standard output carries empty lines as signs of life, and at most one sentence: why the tracker stopped listening.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, what_and_where

LAST_SECONDS = 60
"""After the end of the news the process ends, whatever a library wants to do at exit."""


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runs; their end ends this process
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    sys.stdout = sys.stderr
    tracker: Any = None

    def answer(sentence: str = "") -> None:
        with suppress(OSError):  # the runs' process may be gone
            answers.write(" ".join(sentence.split()) + "\n")

    def guarded(function: Callable[[], Any]) -> Any:
        """Call a method of the tracker; after an error the tracker is not called again."""
        nonlocal tracker
        try:
            return function()
        except BaseException as error:
            traceback.print_exc()
            answer(str(error) if isinstance(error, HarnessError) else what_and_where(error))
            tracker = None

    opening = json.loads(sys.stdin.readline() or "{}")
    if opening:
        tracker = guarded(lambda: _make(opening))
    for line in sys.stdin:
        if tracker is not None:
            try:
                message = json.loads(line)
            except ValueError:  # cut off: the runs' process was killed while it wrote
                break
            guarded(partial(_deliver, tracker, message))
        answer()
    if hasattr(signal, "alarm"):
        signal.alarm(LAST_SECONDS)  # ends the process if nothing else does
    if tracker is not None and hasattr(tracker, "close"):
        guarded(lambda: tracker.close())


def _make(opening: dict[str, Any]) -> Any:
    """The tracker with its parameters."""
    from harness.plugin.loading import load_registry

    registry = load_registry([Path(file) for file in opening["plugins"]])
    return registry.get("tracker", opening["name"]).load()(**opening["values"])


def _deliver(tracker: Any, message: dict[str, Any]) -> None:
    """One event to its method."""
    if message["event"] == "started":
        from harness.execution.trackers.interface import RunInfo

        tracker.run_started(RunInfo(**message["cell"]))
    elif message["event"] == "epoch":
        from harness.runtime.context import Progress

        tracker.epoch_reported(Progress(**message["progress"]))
    else:
        from harness.records.schema import record_from_json

        tracker.run_finished(record_from_json(message["record"]), Path(message["folder"]))


if __name__ == "__main__":
    main()
