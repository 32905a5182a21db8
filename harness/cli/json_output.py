"""``--json``: JSON on standard output and nothing else there, whatever plugins and the libraries below them write.

Printing is redirected at the level of the system, where ``os.write`` and code in C meet it too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

import click

from harness.runtime.outlets import Outlet

STDOUT, STDERR = 1, 2

_kept: list[TextIO] = []
"""The stream for JSON of each command that runs, the innermost command last; that one is used."""


def print_json(value: Any) -> None:
    """Print a value as strict JSON, on the standard output that :func:`json_alone` keeps."""
    from harness.files.json_text import json_text  # all verbs import this module, and few print JSON

    click.echo(json_text(value), file=_kept[-1] if _kept else None)


def claim_stdout(context: click.Context, parameter: click.Parameter, as_json: bool) -> bool:
    """Callback of ``--json``: until the command ends, standard output is for :func:`print_json` alone."""
    if as_json:
        context.with_resource(json_alone())
    return as_json


@contextmanager
def json_alone() -> Iterator[None]:
    """A context in which everything but :func:`print_json` writes to standard error.

    Where the standard output is the process's own, that lasts until the process ends: threads and exit handlers of
    plugins outlive the command.
    """
    stream = sys.stdout
    with ExitStack() as stack:
        with suppress(OSError):  # one of the two is closed
            descriptor = os.dup(STDOUT)
            if _descriptor_of(stream) == STDOUT:
                stream.flush()
                own = open(descriptor, "w", encoding=stream.encoding, errors=stream.errors)  # noqa: SIM115, PTH123
                stream = Outlet(stack.enter_context(own), needed=True)  # type: ignore[assignment]
            else:
                stack.callback(os.close, descriptor)
                stack.callback(os.dup2, descriptor, STDOUT)
            os.dup2(STDERR, STDOUT)
        stack.enter_context(redirect_stdout(sys.stderr))
        _kept.append(stream)
        stack.callback(_kept.pop)
        yield


def _descriptor_of(stream: Any) -> int:
    """The descriptor below a stream; -1 where there is none."""
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return -1
