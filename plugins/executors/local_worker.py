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
from pathlib import Path

PARENT_SECONDS = 0.5
"""How often the process looks whether its sweep still lives."""


def begin(log: str, pid_file: str, environment: dict[str, str], threads: int, deaf_to: Sequence[str] = ()) -> None:
    """Make the process ready, before the first cell and before its clock runs.

    Args:
        log: File for what it prints.
        pid_file: Where it says its number.
        environment: Variables that choose its GPU; they count before torch is imported.
        threads: Threads of a cell, for libraries that look at the environment when they are loaded.
        deaf_to: Names of signals to ignore.
    """
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group of the terminal; the sweep decides
    for name in deaf_to:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    os.environ.update(environment)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    _print_to(log)
    Path(pid_file).write_text(str(os.getpid()), encoding="utf-8")
    _end_with(parent)
    import harness.worker  # noqa: F401 - slow, and must not count for the first cell


def run(text: str, placed: dict[str, str]) -> str:
    """Run one cell."""
    from harness.worker import Reply, run_task

    try:
        return run_task(text, placed)
    except KeyboardInterrupt:  # a component raised it: nobody can type Ctrl-C here
        return Reply(refused="a component raised KeyboardInterrupt").text()


def _print_to(log: str) -> None:
    """What components print must not disturb the terminal; the end of it goes into the record of a dead worker."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    faulthandler.enable(sys.stderr)


def _end_with(parent: int) -> None:
    """A worker whose sweep was killed must not go on: the resumed sweep would run its cell a second time."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
