"""How cells are run: its options, declared once for the command line and for Python, and what they come to."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cells.options import option, options_in
from harness.errors import HarnessError
from harness.plugin.parameters import read_values
from harness.quantities import check_whole, seconds_of, size_of
from harness.text import shown

if TYPE_CHECKING:
    from harness.execution import Executor, Session
    from harness.execution.cells_to_run import Standing
    from harness.plugin.loading import Registry
    from harness.runtime.settings import RunSettings

MOST_WORKERS = 100_000
"""More is a slip of the keyboard."""

AUTO = "auto"
"""As many threads as there are cores where one cell runs at a time, one where workers share the machine."""

USUAL_THREADS = "1"
"""Digits depend on the number of threads: with one, a command gives the same on machines with other numbers of cores,
and whichever executor runs its cells.
"""

RUNNING = "Running"
"""Section of the help."""


# fmt: off
@dataclass(frozen=True)
class RunningRequest:
    """How cells are run, as asked for; the fields say in their metadata what they are."""

    device: str = option("auto", RUNNING, "auto, cpu, cuda, cuda:1, mps.", "NAME", shows_default=True)
    threads: str | None = option(
        None, RUNNING,
        "Threads of each cell; auto: all cores where cells run one by one in this process, 1 in workers.  "
        f"[default: {USUAL_THREADS}]", "N", or_number=True
    )
    deterministic: bool = option(
        False, RUNNING, "Deterministic algorithms only, and an error where there is none."
    )
    executor: str = option(
        "serial", RUNNING, "What runs the cells, as `harness list executors` shows.", "NAME", shows_default=True
    )
    executor_options: tuple[str, ...] = option(
        (), RUNNING, "Parameter of the executor, as `harness info NAME` shows.", "KEY=VALUE", name="executor_option",
        repeats=True
    )
    workers: int | None = option(
        None, RUNNING, "Cells at a time.  [default: what the machine has room for]", "N"
    )
    cells_per_gpu: int = option(1, RUNNING, "Cells that share one GPU.", "N", shows_default=True)
    trackers: tuple[str, ...] = option(
        (), RUNNING, "Tell a tracker of the runs, as `harness list trackers` shows; repeat for several.",
        "NAME[:KEY=VALUE,...]", name="tracker", repeats=True
    )
    timeout: str | None = option(None, RUNNING, "Longest time of a cell: 90, 15m, 2h.", "TIME", or_number=True)
    memory_limit: str | None = option(None, RUNNING, "Most memory of a cell's process: 800MB, 4GB.", "SIZE")
    overwrite: str = option(
        "failed", RUNNING, "Cells with a record that run again: never, failed, always.", "WHAT", shows_default=True
    )
    since: str = option(
        "", RUNNING, "With --overwrite always: records finished later stand (for going on after a stop).", "TIME"
    )
    # fmt: on


RUNNING_OPTIONS = tuple(options_in(RunningRequest))
"""In the order of the help."""


@dataclass(frozen=True)
class HowToRun:
    """How cells are run and recorded, whatever they are.

    Attributes:
        settings: Device, threads, determinism and trackers.
        standing: Which records stand.
        executor: What runs the cells.
        executor_name: As ``harness list executors`` shows it.
        session: What the executor may know; :func:`harness.api.running.run_cells` puts in its folder and who stops it.
        results: Folder of the records.
        metrics: Metric ids that are computed beyond those registered.
        words: The command line that asked for it, for ``harness status``; none from Python.
    """

    settings: RunSettings
    standing: Standing
    executor: Executor
    executor_name: str
    session: Session
    results: Path
    metrics: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def in_process(self) -> bool:
        """Whether cells run one by one in this very process."""
        return bool(getattr(self.executor, "in_process", False))


def how_to_run(
    registry: Registry,
    asked: RunningRequest,
    results: Path,
    metric_ids: Sequence[str],
    *,
    threads: int | None = None,
    deterministic: bool = False,
    words: Sequence[str] = (),
) -> HowToRun:
    """How cells are run, from what was asked for.

    Args:
        registry: What is registered.
        asked: The options.
        results: Folder of the records.
        metric_ids: Metrics of the final tables.
        threads: Threads of a cell where nothing is asked for; None for :data:`USUAL_THREADS`.
        deterministic: As if it were asked for.
        words: As of :class:`HowToRun`.

    Raises:
        HarnessError: A value has no meaning, or the executor cannot be had.
    """
    from harness.execution import Session
    from harness.execution.cells_to_run import Standing
    from harness.execution.sweep import carried_environment
    from harness.runtime.settings import MOST_THREADS, RunSettings

    standing = Standing(asked.overwrite, asked.since).checked()
    executor = make_executor(registry, asked.executor, asked.executor_options)
    in_process = bool(getattr(executor, "in_process", False))
    settings = RunSettings(
        device=asked.device,
        threads=threads_of(asked.threads or str(threads or USUAL_THREADS), in_process),
        deterministic=asked.deterministic or deterministic,
        trackers=asked.trackers,
    )
    check_whole("--threads", settings.threads, 1, MOST_THREADS)
    check_whole("--workers", asked.workers, 1, MOST_WORKERS)
    check_whole("--cells-per-gpu", asked.cells_per_gpu, 1, MOST_WORKERS)
    session = Session(
        folder=Path(),  # not chosen yet
        workers=asked.workers,
        threads=settings.threads,
        device=settings.device,
        cells_per_gpu=asked.cells_per_gpu,
        timeout=None if asked.timeout is None else seconds_of(asked.timeout, "--timeout"),
        memory_limit=None if asked.memory_limit is None else size_of(asked.memory_limit, "--memory-limit"),
        environment=carried_environment(),
    )
    return HowToRun(settings, standing, executor, asked.executor, session, results, tuple(metric_ids), tuple(words))


def threads_of(text: str, in_process: bool) -> int:
    """Threads of each cell.

    Args:
        text: A number, or :data:`AUTO`.
        in_process: Cells run one by one in this very process.

    Raises:
        HarnessError: It is neither.
    """
    if text == AUTO:
        affinity = getattr(os, "sched_getaffinity", None)  # macOS and Windows have none
        return (len(affinity(0)) if affinity else os.cpu_count() or 1) if in_process else 1
    if not re.fullmatch(r"[+-]?\d{1,50}", text.strip()):
        raise HarnessError(f"--threads {shown(text)}: expected a whole number, or auto.")
    return int(text)


def make_executor(registry: Registry, name: str, options: Sequence[str]) -> Executor:
    """The executor asked for.

    Args:
        registry: What is registered.
        name: Its name.
        options: Its parameters, each ``KEY=VALUE``.

    Raises:
        HarnessError: Unknown name or parameter, a value that cannot be read, or an engine that is not installed.
    """
    declaration = registry.get("executor", name)
    values: dict[str, Any] = {}
    for entry in options:
        key, equals, text = entry.partition("=")
        if not equals or not key:
            raise HarnessError(f"--executor-option {entry}: expected KEY=VALUE.")
        values[key] = text
    executor: Executor = declaration.load()(**read_values(declaration.parameters, values, f"executor {name}"))
    return executor


def running_request(given: Mapping[str, Any]) -> RunningRequest:
    """What was asked for; names that are not given, or None, have their defaults."""
    return RunningRequest(
        **{one.field: given[one.name] for one in RUNNING_OPTIONS if given.get(one.name) is not None}
    )
