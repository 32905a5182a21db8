"""What the system says of processes: the cores that this one may use, and whether another one still lives."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

OURS = ("harness.execution.trackers.process", "resource_tracker", "forkserver")
"""Signs in the command lines of processes that end by themselves when this one does: trackers, and Python's helpers."""

KEPT_BYTES = 256 * 2**20
"""Freed memory that a process keeps."""

LARGE_BYTES = 32 * 2**20
"""What is larger is given back at once; glibc takes no higher limit."""

GRACE_SECONDS = 0.5
"""Children may take so long to end by themselves."""

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


def keep_freed_memory() -> None:
    """Let this process keep memory that it frees, :data:`KEPT_BYTES` at most, where the C library is glibc.

    By itself glibc gives the maps of a network back to the system layer by layer and asks for them again, a million
    page faults for a few hundred images.
    """
    if sys.platform == "linux":
        m_trim_threshold, m_mmap_threshold = -1, -3
        with suppress(OSError, AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(m_mmap_threshold, LARGE_BYTES)
            mallopt(m_trim_threshold, KEPT_BYTES)


@contextmanager
def no_child_left(say: Callable[[str], None]) -> Iterator[None]:
    """End the processes that were started in a ``with`` block and still run after it.

    On Linux these include those that lost their parent: this process is made their parent.

    Args:
        say: Called with a sentence that names them.
    """
    before = set(_children())
    with _parent_of_orphans():
        try:
            yield
        finally:
            _end([child for child in _children() if child not in before], say)


def _children(above: Any = None) -> Iterator[Any]:
    """All processes below this one, without :data:`OURS` and what these started."""
    import psutil

    with suppress(psutil.Error):  # it has just ended
        for child in (above or psutil.Process()).children():
            with suppress(psutil.Error):
                if not any(sign in " ".join(child.cmdline()) for sign in OURS):
                    yield child
                    yield from _children(child)


def _end(children: list[Any], say: Callable[[str], None]) -> None:
    import psutil

    _, left = psutil.wait_procs(children, timeout=GRACE_SECONDS)
    named = []
    for child in left:
        with suppress(psutil.Error):
            if child.status() != psutil.STATUS_ZOMBIE:
                named.append(f"{child.pid} ({' '.join(child.cmdline())[:100]})")
            child.kill()
    psutil.wait_procs(left, timeout=GRACE_SECONDS)
    if named:
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        say(f"left behind by a plugin and ended: process {', '.join(named[:3])}{more}")


@contextmanager
def _parent_of_orphans() -> Iterator[None]:
    """On Linux, make processes below this one that lose their parent children of this one, in a ``with`` block."""
    pr_set_child_subreaper, pr_get_child_subreaper = 36, 37
    before = ctypes.c_int(0)
    system = ctypes.CDLL(None) if sys.platform == "linux" else None
    if system is None:
        yield
        return
    system.prctl(pr_get_child_subreaper, ctypes.byref(before))
    system.prctl(pr_set_child_subreaper, 1)
    try:
        yield
    finally:
        system.prctl(pr_set_child_subreaper, before.value)
