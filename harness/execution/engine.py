"""The contract between a sweep and the engines that run its cells (executors).

An executor is a thin adapter over an engine that exists: it takes tasks, has
:func:`harness.execution.worker.run_task` run somewhere, and says how each ended. It knows nothing of cells, records or
overwrite policies: a task is text, and the worker writes the record itself. A plugin registers one with
``register_executors``; it needs nothing but ``harness.execution``, which has all of this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.runtime.context import Progress

How = Literal["finished", "died", "timeout", "memory", "stopped"]

GO_ON, FINISH_RUNNING, STOP_NOW = 0, 1, 2
"""What :attr:`Session.stopping` says: work on; begin nothing new; end what runs."""


@dataclass(frozen=True)
class Task:
    """One cell to run, as text, so that any engine can carry it to any machine.

    Attributes:
        hash: Content hash of the cell.
        title: One line for people.
        text: What :func:`harness.execution.worker.run_task` is given.
        run_here: For executors that are ``in_process``: runs the cell as the sweep has prepared it. It takes and gives
            what run_task does, but for the text. None where the task has travelled as text.
    """

    hash: str
    title: str
    text: str
    run_here: Callable[..., str] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Ended:
    """How a task ended.

    Attributes:
        task: The task.
        how: "finished": run_task returned, whatever became of the cell; "died": its process ended without a reply;
            "timeout": it ran longer than it may; "memory": it took more memory than it may; "stopped": it was not run,
            or was ended because the sweep was stopped, and leaves no record.
        reply: What run_task returned, where it finished.
        reason: One sentence for the record, where it did not finish.
        log: The last lines that its process wrote, where the engine kept them.
    """

    task: Task
    how: How
    reply: str = ""
    reason: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Session:
    """The settings of a sweep that its executor is given.

    Attributes:
        folder: State folder of the sweep, on a file system that all workers share; executors may keep logs and the
            files of their engine in a subfolder named like themselves.
        workers: Cells at a time, or None: as many as the executor finds sensible.
        threads: Threads of each cell.
        device: The value of ``--device``.
        cells_per_gpu: Cells that share one GPU.
        timeout: Seconds that a cell may take, or None.
        memory_limit: Bytes of memory that a cell's process may take, or None.
        stopping: Returns :data:`GO_ON`, :data:`FINISH_RUNNING` or :data:`STOP_NOW`; to be called every now and then.
        progressed: For executors that run cells in this very process: called with the cell's progress.
        began: Called when a task is handed to a worker, with the worker's name.
        environment: Environment variables that workers on other machines need (folders of plugins, cache and data).

    Raises:
        HarnessError: Workers, threads or cells of a GPU are below 1.
    """

    folder: Path
    workers: int | None = None
    threads: int = 1
    device: str = "auto"
    cells_per_gpu: int = 1
    timeout: float | None = None
    memory_limit: int | None = None
    stopping: Callable[[], int] = lambda: GO_ON
    progressed: Callable[[Progress], None] = lambda progress: None
    began: Callable[[Task, str], None] = lambda task, worker: None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Numbers below 1 have no meaning for any executor."""
        for option, value in (
            ("--threads", self.threads),
            ("--workers", self.workers),
            ("--cells-per-gpu", self.cells_per_gpu),
        ):
            if value is not None and value < 1:
                raise HarnessError(f"{option} {value}: expected at least 1.")


class Executor(Protocol):
    """Runs tasks through an engine. Its parameters are keyword arguments of its class (``--executor-option``).

    Optional attribute ``in_process``: True where cells run in the very thread that iterates. Then :attr:`Task.run_here`
    runs them, progress comes through :attr:`Session.progressed`, and the second Ctrl-C raises KeyboardInterrupt in the
    middle of a cell. Optional method ``slots(session) -> int``: cells at a time, for the estimated time of a sweep.
    """

    def run(self, tasks: Sequence[Task], session: Session) -> Iterator[Ended]:
        """Run the tasks, and yield each of them exactly once, when it ended, in any order.

        A worker calls ``harness.execution.worker.run_task(task.text, placed)`` with ``placed`` a dictionary of
        strings: the names ``executor`` and ``worker`` (for people), and ``device`` where the engine has chosen one
        (for example "cuda" after it made a single GPU visible). run_task never raises for what goes wrong in a cell;
        it raises KeyboardInterrupt where ``stopped=`` (a function) says that the user wants to stop, as it does by
        default: engines whose workers never hear Ctrl-C say False, and a component that raises it fails its cell.

        After :attr:`Session.stopping` has become :data:`FINISH_RUNNING` nothing new is begun; after :data:`STOP_NOW`
        what runs is ended; tasks that did not run end as "stopped". A list of one task is run alone: nothing else of
        this sweep runs meanwhile. If the generator is closed early, everything it started is ended.

        Raises:
            HarnessError: The engine is not installed or cannot be used; the message says what to do.
        """
