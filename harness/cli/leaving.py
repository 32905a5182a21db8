"""The end of the program, which threads that a plugin left behind do not put off."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress

import click

GRACE_SECONDS = 1.0
"""Threads may take so long to end by themselves; those of idle pools do, as the interpreter tells them to."""

LOOK_SECONDS = 0.05


@contextmanager
def not_held_up() -> Iterator[None]:
    """The process ends soon after the command in it, which ends with SystemExit, also where the interpreter would wait
    forever for threads that the command started.
    """
    before = set(threading.enumerate())
    try:
        yield
    except SystemExit as end:
        if _left_behind(before):
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            threading.Thread(target=_watch, args=(before, code), daemon=True).start()
        raise


def _left_behind(before: Set[threading.Thread]) -> list[threading.Thread]:
    """Threads that the interpreter waits for, but for its main thread."""
    return [one for one in threading.enumerate() if one not in before and not one.daemon]


def _watch(before: Set[threading.Thread], code: int) -> None:
    """End the process when its main thread has ended and others have not."""
    while threading.main_thread().is_alive():  # join() may be at the lock of that thread when the interpreter asks it
        time.sleep(LOOK_SECONDS)
    deadline = time.monotonic() + GRACE_SECONDS
    while left := _left_behind(before):
        if time.monotonic() > deadline:
            names = ", ".join(repr(one.name[:100]) for one in left[:5])
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            with suppress(OSError, ValueError):
                click.echo(f"note: left behind by a plugin and not waited for: thread {names}{more}", err=True)
            atexit._run_exitfuncs()
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, OSError, ValueError):
                    stream.flush()
            os._exit(code)
        time.sleep(LOOK_SECONDS)
