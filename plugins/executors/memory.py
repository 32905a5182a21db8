"""The memory of a cell, for executors that can end one."""

from __future__ import annotations

from contextlib import suppress

import psutil


def held_by(pid: int) -> int:
    """Bytes of resident memory of a process and all its children.

    Raises:
        psutil.Error: There is no such process any more.
    """
    process = psutil.Process(pid)
    held: int = process.memory_info().rss
    for child in process.children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            held += child.memory_info().rss
    return held


def over_the_limit(held: int) -> str:
    """What a record says of a cell that was ended for its memory."""
    return f"it held {held / 2**30:.2f} GB of memory, more than --memory-limit allows"
