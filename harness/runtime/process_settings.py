"""What a component can change for the whole process, put back so that it spoils its own cell alone."""

from __future__ import annotations

import gc
import locale
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def process_settings_kept() -> Iterator[None]:
    """Restore the settings of the process (those of :func:`_settings`) after a ``with`` block."""
    before = [(put_back, read, read()) for read, put_back in _settings()]
    try:
        with _descriptors_kept():
            yield
    finally:
        for put_back, read, value in before:
            with suppress(Exception):  # a folder that is gone, handlers in another thread: the others still count
                if _now(read) != value:
                    put_back(value)


@contextmanager
def _descriptors_kept() -> Iterator[None]:
    """Restore standard output and error after a ``with`` block: if closed, the next file would take their place."""
    kept = {}
    for number in (1, 2):
        with suppress(OSError):  # closed from the beginning
            kept[number] = os.dup(number)
    try:
        yield
    finally:
        for number, descriptor in kept.items():
            with suppress(OSError):
                os.dup2(descriptor, number)
                os.close(descriptor)


def _now(read: Callable[[], Any]) -> Any:
    """A setting's value; None where it cannot be read, such as a working folder that was removed."""
    try:
        return read()
    except OSError:
        return None


def _settings() -> list[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """For each setting a function that reads it and one that sets it."""
    import numpy as np

    settings: list[tuple[Callable[[], Any], Callable[[Any], object]]] = [
        (sys.getrecursionlimit, sys.setrecursionlimit),
        (os.getcwd, os.chdir),
        (_umask, os.umask),
        (lambda: dict(os.environ), _set_environment),
        (lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
        (lambda: list(sys.path), lambda value: sys.path.__setitem__(slice(None), value)),
        (lambda: (sys.stdin, sys.stdout, sys.stderr), _set_streams),
        (lambda: list(warnings.filters), _set_warning_filters),
        (lambda: logging.root.manager.disable, logging.disable),
        (gc.isenabled, lambda value: gc.enable() if value else gc.disable()),
        (np.geterr, lambda value: np.seterr(**value)),
        (_handlers, _set_handlers),
    ]
    if hasattr(signal, "setitimer"):
        clock = signal.ITIMER_REAL
        settings.append((lambda: signal.getitimer(clock), lambda value: signal.setitimer(clock, *value)))
    return settings


def _umask() -> int:
    """The mask of new files; it can only be read by setting one, for which the usual one is taken."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _set_environment(value: dict[str, str]) -> None:
    for name in os.environ.keys() - value.keys():
        del os.environ[name]
    os.environ.update(value)


def _set_streams(value: tuple[Any, Any, Any]) -> None:
    sys.stdin, sys.stdout, sys.stderr = value


def _set_warning_filters(value: list[Any]) -> None:
    warnings.filters[:] = value  # type: ignore[index]
    with warnings.catch_warnings():  # its end tells the interpreter that the filters are others
        pass


def _handlers() -> dict[int, Any]:
    """Signal to handler, of those that Python has set."""
    handlers = {int(number): signal.getsignal(number) for number in signal.valid_signals()}
    return {number: handler for number, handler in handlers.items() if handler is not None}


def _set_handlers(value: dict[int, Any]) -> None:
    for number, handler in value.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)
