"""What happens inside a worker process of the local executor."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from harness.runtime.settings import LOADERS, POOLS

PARENT_SECONDS = 0.5
"""How often the process looks whether its sweep still lives."""


_numbers: Any = None
"""Shared with the executor: the id of this process, and again when it has taken a task."""


def begin(
    log: str, numbers: Any, parent: int, environment: dict[str, str], threads: int, deaf_to: Sequence[str] = ()
) -> None:
    """Make the process ready, before the first cell and before its clock runs.

    Args:
        log: File for what it prints.
        numbers: Where it says its number, (2,) int64.
        parent: Process of the sweep.
        environment: Variables that choose its GPU; they count before torch is imported.
        threads: Threads of a cell, for libraries that look at the environment when they are loaded.
        deaf_to: Names of signals to ignore.
    """
    global _numbers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group of the terminal; the sweep decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # pebble's handler would wait for the end of a call into C
    for name in deaf_to:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    _end_with(parent)
    os.environ.update(environment)
    os.environ.update(dict.fromkeys(POOLS, str(threads)))
    os.environ.setdefault(LOADERS, str(threads))
    _print_to(log)
    _numbers = numbers
    _numbers[0] = os.getpid()
    import torch  # noqa: F401 - slow, and must not count for the first cell

    import harness.execution.worker  # noqa: F401 - the same


def run(text: str, placed: dict[str, str]) -> str:
    """Run one cell."""
    _numbers[1] = os.getpid()
    from harness.execution.worker import run_task

    return run_task(text, placed, stopped=lambda: False)  # nobody can type Ctrl-C here


def _print_to(log: str) -> None:
    """What components print must not disturb the terminal; the end of it goes into the record of a dead worker."""
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:  # the folder was removed, or the disk is full: the cell can run all the same
        descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    faulthandler.enable(sys.stderr, all_threads=False)


def _end_with(parent: int) -> None:
    """A worker whose sweep was killed must not go on: the resumed sweep would run its cell a second time."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # it was killed before that
        os._exit(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
