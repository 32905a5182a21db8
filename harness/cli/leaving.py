"""The end of the program: its exit code, and that threads which a plugin left behind do not put it off."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress

import click

from harness.errors import HarnessError, text_of
from harness.text import one_line, without_long_words

GRACE_SECONDS = 1.0
"""How long threads that are left have to end by themselves, as those of idle pools do at the exit."""

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
    """Threads begun since ``before`` that the interpreter would wait for at its end."""
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


def exit_code(act: Callable[[], object]) -> int:
    """Run a command; what went wrong is told in a sentence.

    Args:
        act: The command, which returns its exit code.

    Returns:
        0 or what the verb returns; 1 where the reader of the output has gone; 2 where the user or the system can mend
        it; 70 for a defect of the harness; 130 where the user stopped it.
    """
    try:
        code = act()
        sys.stdout.flush()  # what was printed past click may wait in the buffer
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        return 130
    except click.ClickException as error:
        error.message = without_long_words(error.message)  # type: ignore[misc]  # final in click, which shows nothing else
        error.show()
        return error.exit_code
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except BrokenPipeError:  # `harness list methods | head`
        return 1
    except BaseException as error:  # a plugin may raise any kind of it
        return _report(error)
    return code if isinstance(code, int) else 0


def _report(error: BaseException) -> int:
    """One sentence for a mistake of a user or a plugin, or trouble of the system (exit code 2), otherwise how to see
    more (70).
    """
    if os.environ.get("HARNESS_DEBUG"):
        traceback.print_exc()
    sentence = _sentence(error)
    if isinstance(error, SystemExit) and not sentence:  # click's own, after a pipe was closed
        return error.code if isinstance(error.code, int) else 1
    if sentence:
        click.echo(f"Error: {without_long_words(one_line(sentence))}", err=True, color=True)
        return 2
    text = without_long_words(one_line(text_of(error)))
    click.echo(
        f"Internal error ({type(error).__name__}): {text} - set HARNESS_DEBUG=1 to see where, and please report it.",
        err=True,
        color=True,
    )
    return 70


def _sentence(error: BaseException) -> str:
    """An error as a sentence for the user; "" where it is a defect of the harness."""
    where_it_came_up = "set HARNESS_DEBUG=1 to see where"
    if isinstance(error, HarnessError):
        return str(error)
    from harness.plugin.loading import failure_of_plugin

    of_plugin = failure_of_plugin(error)
    if of_plugin:
        return of_plugin
    if isinstance(error, OSError) and error.strerror:
        named = " and ".join(repr(str(name)) for name in (error.filename, error.filename2) if name is not None)
        if named:
            return f"{named} cannot be used: {error.strerror}."
        return f"the system refused: {error.strerror}; {where_it_came_up}."
    if isinstance(error, MemoryError):
        return f"there is not enough memory: take smaller data, or a machine with more; {where_it_came_up}."
    if isinstance(error, RecursionError):
        return f"something that was given is nested too deeply; {where_it_came_up}."
    if isinstance(error, UnicodeEncodeError):
        wrong = error.object[error.start : error.end]
        return f"{wrong!r} is no valid Unicode: rename what is called so; {where_it_came_up}."
    return ""
