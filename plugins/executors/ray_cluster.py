"""Cells as remote tasks of Ray: on a cluster that runs already, or on one that is started for the sweep.

Ray places tasks, deals out processors and GPUs (fractions of them for ``--cells-per-gpu``), and runs a task again where
its worker or its node was lost; a cell whose record was written before that is not run twice, because
:func:`harness.execution.worker.run_task` looks. All nodes must share the results folder and have the same installation.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness_plugins.executors import ray_task
from harness_plugins.executors.absent import not_installed
from harness_plugins.executors.devices import usable_cores
from harness_plugins.executors.ray_task import STOP_FILE, Errand, errand_text

from harness.errors import HarnessError
from harness.execution import STOP_NOW, Ended, How, Session, Task
from harness.execution.cell_log import tail_of

POLL_SECONDS = 0.1
"""How long Ray is waited for at a time."""

LOOK_SECONDS = 0.5
"""How often files and the cluster are looked at."""

CONNECT_SECONDS = 10

LOG_TAIL_LINES = 20

WINDOW = 2
"""Tasks in flight for each slot of the cluster: none stands idle, and a stop has little to take back."""

LOCAL_STORE_BYTES = 100_000_000
"""Object store of a cluster that is started here: cells pass text only, and Ray would reserve a third of the memory."""

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": "1",  # of Ray's own memory monitor; its default is to try forever
}


@dataclass
class Flight:
    """A task that Ray has.

    Attributes:
        task: The task.
        errand: What Ray was given.
        reference: Of the reply to come.
        process: Contents of its start file: another process, where Ray ran it again; "" before it began.
        since: When this process was first seen (monotonic seconds).
        overdue: It was ended for its time.
    """

    task: Task
    errand: Errand
    reference: Any
    process: str = ""
    since: float = 0.0
    overdue: bool = False


@dataclass
class RayExecutor:
    """Runs cells as remote tasks of Ray. Parameters: see ``harness info ray``."""

    address: str = ""
    num_cpus: int = 0
    retries: int = 2
    _slots: tuple[float, int] = field(default=(0.0, 0), init=False)

    def run(self, tasks: Sequence[Task], session: Session) -> Iterator[Ended]:
        """Run the tasks; see :class:`harness.execution.Executor`.

        Raises:
            HarnessError: Ray is not installed or not reachable, or no node has room for a cell.
        """
        (session.folder / "ray").mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=session.folder / "ray"))
        try:
            with _connected(self, session) as ray:
                yield from self._run(ray, tasks, session, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, ray: Any, tasks: Sequence[Task], session: Session, folder: Path) -> Iterator[Ended]:
        demand = self._demand(ray, session)
        remote = ray.remote(ray_task.run).options(**demand, name="harness-cell")
        waiting, flights = deque(tasks), dict[Any, Flight]()
        looked = 0.0
        try:
            while waiting or flights:
                if session.stopping() >= STOP_NOW:
                    left = [*(flight.task for flight in flights.values()), *waiting]
                    self._end(ray, flights)
                    yield from (Ended(task, "stopped") for task in left)
                    return
                if session.stopping():
                    (folder / STOP_FILE).touch()  # what Ray has not begun comes back at once
                    yield from (Ended(task, "stopped") for task in waiting)
                    waiting.clear()
                while waiting and len(flights) < self._window(ray, session, demand):
                    task = waiting.popleft()
                    errand = self._errand(task, session, folder, demand)
                    reference = remote.remote(errand_text(errand))
                    flights[reference] = Flight(task, errand, reference)
                ready, _ = (
                    ray.wait(list(flights), num_returns=len(flights), timeout=POLL_SECONDS) if flights else ([], [])
                )
                if time.monotonic() - looked > LOOK_SECONDS:
                    looked = time.monotonic()
                    self._look(ray, flights, session)
                for reference in ready:
                    yield self._ended(ray, flights.pop(reference), session)
        finally:
            self._end(ray, flights)

    def _errand(self, task: Task, session: Session, folder: Path, demand: dict[str, Any]) -> Errand:
        device = "cuda" if "num_gpus" in demand else "cpu" if session.device == "auto" else session.device
        return Errand(
            task.hash, task.text, str(folder), device, session.threads, session.memory_limit, dict(session.environment)
        )

    def _gpu(self, ray: Any, session: Session) -> float:
        """Share of a GPU that a cell takes.

        Raises:
            HarnessError: A GPU is asked for that the cluster has not, or by its number.
        """
        if session.device.startswith("cuda:"):
            raise HarnessError(f"--device {session.device}: Ray chooses the GPU of each cell: say --device cuda.")
        if session.device not in ("auto", "cuda"):
            return 0.0
        if not any(node["Resources"].get("GPU") for node in _nodes(ray)):
            if session.device == "cuda":
                raise HarnessError("--device cuda: no node of the Ray cluster has a GPU; --device cpu always works.")
            return 0.0
        return math.floor(10_000 / session.cells_per_gpu) / 10_000  # Ray counts in ten-thousandths

    def _demand(self, ray: Any, session: Session) -> dict[str, Any]:
        """What a cell takes of a node."""
        demand: dict[str, Any] = {"num_cpus": session.threads, "max_retries": self.retries}
        if gpu := self._gpu(ray, session):
            demand["num_gpus"] = gpu
        if session.memory_limit is not None:
            demand["memory"] = session.memory_limit
        return demand

    def _window(self, ray: Any, session: Session, demand: dict[str, Any]) -> int:
        """How many tasks Ray may have now; counted again every now and then, for nodes come and go."""
        if session.workers is not None:
            return session.workers
        counted, slots = self._slots
        if time.monotonic() - counted > LOOK_SECONDS:
            wants = {
                "CPU": demand["num_cpus"], "GPU": demand.get("num_gpus", 0), "memory": demand.get("memory", 0),
            }  # fmt: skip
            slots = sum(
                min(int(node["Resources"].get(name, 0) // want) for name, want in wants.items() if want)
                for node in _nodes(ray)
            )
            self._slots = time.monotonic(), slots
            if not slots:
                wanted = ", ".join(f"{name} {want:g}" for name, want in wants.items() if want)
                raise HarnessError(
                    f"no node of the Ray cluster has room for a cell ({wanted}): lower --threads or --memory-limit, or "
                    "say --workers N if the cluster grows on demand."
                )
        return WINDOW * slots

    def _look(self, ray: Any, flights: dict[Any, Flight], session: Session) -> None:
        """See what has begun, and end what takes too long."""
        for flight in flights.values():
            try:
                process = flight.errand.started.read_text(encoding="utf-8")
            except OSError:
                continue
            if process != flight.process:
                flight.process, flight.since = process, time.monotonic()
                session.began(flight.task, json.loads(process)["worker"])
            elif (
                session.timeout is not None and not flight.overdue and time.monotonic() - flight.since > session.timeout
            ):
                flight.overdue = True
                ray.cancel(flight.reference, force=True)

    def _ended(self, ray: Any, flight: Flight, session: Session) -> Ended:
        task = flight.task
        how: How
        try:
            said = json.loads(ray.get(flight.reference))
            if not flight.process and said["how"] != "stopped":
                session.began(task, said["worker"])
            return Ended(
                task, said["how"], said.get("reply", ""), said.get("reason", ""),
                () if said["how"] == "finished" else tuple(tail_of(flight.errand.log, LOG_TAIL_LINES)),
            )  # fmt: skip
        except ray.exceptions.RayError as error:
            if flight.overdue:
                how, reason = "timeout", f"it ran longer than {session.timeout:g} s (--timeout)"
            elif isinstance(error, ray.exceptions.OutOfMemoryError):
                how, reason = "memory", "Ray ended its process because its node ran out of memory"
            elif isinstance(error, ray.exceptions.WorkerCrashedError):
                how, reason = "died", f"its worker process died, {self.retries + 1} times (option retries)"
            elif isinstance(error, ray.exceptions.NodeDiedError):
                how, reason = "died", f"its node died, {self.retries + 1} times (option retries)"
            else:
                first = next(iter(str(error).splitlines()), "")
                how, reason = "died", f"Ray lost it ({type(error).__name__}: {first})"
            return Ended(task, how, reason=reason, log=tuple(tail_of(flight.errand.log, LOG_TAIL_LINES)))
        finally:
            for path in (flight.errand.started, flight.errand.verdict, flight.errand.log):
                path.unlink(missing_ok=True)

    def _end(self, ray: Any, flights: dict[Any, Flight]) -> None:
        """End what Ray has, and wait until it has ended."""
        for reference in flights:
            ray.cancel(reference, force=True)
        if flights:
            ray.wait(list(flights), num_returns=len(flights), timeout=10)
        flights.clear()


@contextmanager
def _connected(executor: RayExecutor, session: Session) -> Iterator[Any]:
    """Ray, connected; a cluster that was started here is taken down afterwards.

    Raises:
        HarnessError: Ray is absent, or the cluster cannot be reached.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # read by Ray when it is imported, and inherited by what it starts
    try:
        import ray
    except ImportError as error:
        raise not_installed("ray", "Ray", error) from error
    if ray.is_initialized():  # the program that called us has its own
        yield ray
        return
    address = executor.address or os.environ.get("RAY_ADDRESS", "")
    _check_reachable(address)
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    with _sigterm_kept():
        try:
            if address:
                ray.init(address=address, **quiet)
            else:
                cores = executor.num_cpus or max(usable_cores(), (session.workers or 1) * session.threads)
                ray.init(
                    address="local",
                    num_cpus=cores,
                    include_dashboard=False,
                    object_store_memory=LOCAL_STORE_BYTES,
                    **quiet,
                )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            ray.shutdown()
            where = f"Ray cannot be reached at {address}" if address else "Ray cannot be started here"
            first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise HarnessError(
                f"{where} ({first}): start one with `ray start --head` and name it with --executor-option "
                "address=HOST:6379."
            ) from error
        except BaseException:
            ray.shutdown()
            raise
    try:
        yield ray
    finally:
        with _sigterm_kept():
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes, without a word.

    Raises:
        HarnessError: Nothing answers at ``HOST:PORT``.
    """
    host, colon, port = address.rpartition(":")
    if "/" in address or not colon or not port.isdigit():  # "auto", "local", ray://...
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise HarnessError(
            f"Ray cannot be reached at {address} ({error}): start it with `ray start --head` and name it with "
            "--executor-option address=HOST:6379."
        ) from error


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself, which is the sweep's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _nodes(ray: Any) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]
