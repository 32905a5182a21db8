"""What happens inside a Ray worker: one cell, watched, with what it prints kept in a file that the sweep can read.

Ray runs a task again when its worker or its node is lost. What must not be repeated is therefore written down before
the process ends itself: the next try finds it and returns at once.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from harness_plugins.executors.memory import held_by, over_the_limit

from harness.files.whole import replace_text
from harness.runtime.settings import LOADERS, POOLS

WATCH_SECONDS = 0.2
"""How often memory is looked at."""

STOP_FILE = "stop"
"""While it is there, nothing is begun."""


@dataclass(frozen=True)
class Errand:
    """What a Ray task is given, all text and numbers.

    Attributes:
        hash: Hash of the cell, which names its files.
        text: For :func:`harness.execution.worker.run_task`.
        folder: Where the files of this run are, on the shared file system.
        device: "" or what Ray chose.
        threads: Threads of a cell.
        memory_limit: Bytes, or None.
        environment: Variables to set.
    """

    hash: str
    text: str
    folder: str
    device: str
    threads: int
    memory_limit: int | None
    environment: Mapping[str, str]

    @property
    def started(self) -> Path:
        """Says which process has the cell."""
        return Path(self.folder) / f"{self.hash}.json"

    @property
    def verdict(self) -> Path:
        """Why the process ended itself."""
        return Path(self.folder) / f"{self.hash}.verdict"

    @property
    def log(self) -> Path:
        """What the process printed."""
        return Path(self.folder) / f"{self.hash}.log"


def run(content: str) -> str:
    """Run one cell.

    Args:
        content: An :class:`Errand` as JSON.

    Returns:
        JSON with ``how``, ``reply`` and ``reason`` of :class:`harness.execution.Ended`, and the ``worker``.
    """
    errand = Errand(**json.loads(content))
    worker = _name()
    if (Path(errand.folder) / STOP_FILE).exists():
        return json.dumps({"how": "stopped", "worker": worker})
    if errand.verdict.exists():
        return json.dumps({"how": "memory", "reason": errand.verdict.read_text(encoding="utf-8"), "worker": worker})
    os.environ.update(errand.environment)
    os.environ.update(dict.fromkeys(POOLS, str(errand.threads)))
    os.environ.setdefault(LOADERS, str(errand.threads))
    with _printing_to(errand.log):
        import torch  # noqa: F401 - slow the first time, and must not count for the cell

        import harness.execution.worker  # noqa: F401 - the same

        _say_started(errand, worker)
        with _memory_watched(errand):
            reply = _reply(errand, worker)
    return json.dumps({"how": "finished", "reply": reply, "worker": worker})


def errand_text(errand: Errand) -> str:
    """The inverse of what :func:`run` does with its argument."""
    return json.dumps(asdict(errand))


def _reply(errand: Errand, worker: str) -> str:
    from harness.execution.worker import run_task

    placed = {"executor": "ray", "worker": worker} | ({"device": errand.device} if errand.device else {})
    return run_task(errand.text, placed, stopped=lambda: False)  # Ray's own cancelling is by force only


def _name() -> str:
    import ray

    return f"{ray.util.get_node_ip_address()}/{os.getpid()}"


def _say_started(errand: Errand, worker: str) -> None:
    replace_text(errand.started, json.dumps({"worker": worker, "pid": os.getpid()}))


@contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    """Standard output and error of this process go to a file meanwhile."""
    kept = os.dup(1), os.dup(2)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    try:
        yield
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


@contextmanager
def _memory_watched(errand: Errand) -> Iterator[None]:
    """End this process if it and its children hold more than it may."""
    if errand.memory_limit is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(errand, errand.memory_limit, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch(errand: Errand, limit: int, over: threading.Event) -> None:
    while not over.wait(WATCH_SECONDS):
        held = held_by(os.getpid())
        if held > limit:
            errand.verdict.write_text(over_the_limit(held), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)
