"""What the system says of processes: the cores that this one may use, and whether another one still lives."""

from __future__ import annotations

import os

CLOCK_SECONDS = 2.0
"""The clock by which the system dates processes may differ by this much from the clock of the day."""


def process_exists(pid: int, before: float | None = None) -> bool:
    """Whether a process of this machine exists (and is no zombie).

    Args:
        pid: Its number.
        before: When it is known to have existed (seconds since 1970): one that began later is another process, to which
            the system gave the number anew, as it soon does after a restart of a machine or container.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if before is not None and process.create_time() > before + CLOCK_SECONDS:
            return False
        return process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


def usable_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
