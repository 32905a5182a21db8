"""A process that has everything imported and forks for each command, so that a test may start and kill many of them.

Standard input brings a line of JSON for each command; the answer is its process id. The exit code is written into the
file that the line names. A command gets a process group of its own, as a shell gives it one.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

CHILDREN: dict[int, Path] = {}


def main() -> None:
    """Serve until standard input ends."""
    import pandas  # noqa: F401
    import pebble  # noqa: F401
    import pydantic  # noqa: F401
    import torch  # noqa: F401

    while True:
        ready, _, _ = select.select([0], [], [], 0.02)
        if ready:
            line = read_line()
            if not line:
                return
            request = json.loads(line)
            pid = os.fork()
            if pid == 0:
                become(request)
                return  # never: become() ends the process
            CHILDREN[pid] = Path(request["code"])
            os.write(1, f"{pid}\n".encode())
        collect()


def read_line() -> bytes:
    """One line, unbuffered, so that select() tells the truth."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return line


def collect() -> None:
    """Write down the exit codes of commands that have ended; negative for signals."""
    for pid, path in list(CHILDREN.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            del CHILDREN[pid]
            temporary = path.with_suffix(".new")
            temporary.write_text(str(os.waitstatus_to_exitcode(status)))
            temporary.rename(path)


def become(request: dict[str, Any]) -> None:
    """Be the command."""
    CHILDREN.clear()
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in ((1, "out"), (2, "err")):
        opened = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)  # files and terminals differ
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    sys.argv = ["harness", *request["words"]]
    from harness.cli import main as command

    command()


if __name__ == "__main__":
    main()
