"""One cell after the other, in the process of the command: nothing to start, everything to see in a debugger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from harness.errors import HarnessError
from harness.execution import STOP_NOW, Ended, Session, Task


class SerialExecutor:
    """Runs cells in this process. It cannot end a cell, so it has neither time-outs nor memory limits."""

    in_process = True

    def slots(self, session: Session) -> int:
        """One."""
        return 1

    def run(self, tasks: Sequence[Task], session: Session) -> Iterator[Ended]:
        """Run the tasks in their order; see :class:`harness.execution.Executor`.

        Raises:
            HarnessError: Something was asked for that takes a process of its own.
        """
        for option, value in (
            ("--timeout", session.timeout),
            ("--memory-limit", session.memory_limit),
            ("--workers", None if session.workers in (None, 1) else session.workers),
        ):
            if value is not None:
                raise HarnessError(
                    f"{option}: the serial executor runs cells one by one in this process and cannot end one: add "
                    "--executor local."
                )
        from harness.execution.worker import run_task

        placed = {"executor": "serial", "worker": "0"}
        for at, task in enumerate(tasks):
            if session.stopping():
                yield from (Ended(left, "stopped") for left in tasks[at:])
                return
            session.began(task, "0")
            run = task.run_here or partial(run_task, task.text)
            try:
                reply = run(placed, session.progressed, stopped=lambda: session.stopping() >= STOP_NOW)
            except KeyboardInterrupt:  # the second Ctrl-C
                yield from (Ended(left, "stopped") for left in tasks[at:])
                return
            yield Ended(task, "finished", reply)
