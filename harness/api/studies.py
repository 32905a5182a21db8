"""Running cells and loading records from Python: ``harness.run``, ``harness.sweep`` and ``harness.load``."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.arguments import check_names, given_in_python, one_each, settings_in_python
from harness.api.how_to_run import RUNNING_OPTIONS
from harness.api.runs import Runs
from harness.cells.options import Option
from harness.cells.request import DECLARED
from harness.errors import HarnessError, unknown_name
from harness.plugin.from_objects import plugin_files
from harness.runtime.outlets import notes_as_warnings, warn
from harness.text import one_line

if TYPE_CHECKING:
    from harness.api.progress import PlainListener
    from harness.api.running import Prepared
    from harness.execution.sweep_state import SweepState
    from harness.records.schema import RunRecord

ON_ERROR = ("warn", "raise")
"""What a failed cell leads to, beside its record."""

PLUGIN_FOLDER = "plugins"
"""Folder in the results for plugins that are given as objects, from which their cells can be repeated."""

_RUNNING = {argument: one.name for one in RUNNING_OPTIONS for argument in (one.name, one.field)}
"""Arguments that say how cells are run, and the options they are; those that repeat have their plural, too."""


def run(
    method: str | Iterable[str] | None = None,
    *,
    set: Mapping[str, Any] | None = None,
    plugins: Iterable[Any] = (),
    metrics: str | Iterable[str] = (),
    results: str | os.PathLike[str] = "results",
    from_run: str | None = None,
    progress: bool = True,
    on_error: str = "warn",
    **options: Any,
) -> Runs:
    """Train, evaluate and record one cell or a grid of cells, as ``harness run`` does.

    Every option of ``harness run`` is an argument of its name: ``noise=[0, 0.4]``, ``seed=range(5)``,
    ``dataset="toy"``, ``device="cpu"``. Those that the help marks as axes take a value or any iterable; a text is read
    as on the command line (``seed="0-4"``). Finished cells are not run again.

    Args:
        method: One or more methods, as ``harness.list("methods")`` shows.
        set: Parameters of components: ``{"detector.weights": ["normal", "cubed"]}``; a list is an axis.
        plugins: Plugin files, modules, or classes of this session.
        metrics: Metrics with other cutoffs than the usual, such as ``"map@15"``.
        results: Folder of the records.
        from_run: Repeat the cell of a record (folder or hash); other arguments replace its values.
        progress: Show what is done; nothing is shown without.
        on_error: ``"warn"``: a failed cell is a warning and stands in :attr:`Runs.failed`; ``"raise"``: no further cell
            is begun, and it is an error.
        options: The other options of ``harness run``, by name.

    Returns:
        The runs, in the order of the grid.

    Raises:
        HarnessError: A mistake in the arguments, no combination that can work, a results folder that cannot be
            written, or a failed cell under ``on_error="raise"``.
        KeyboardInterrupt: Ctrl-C, or the stop button of a notebook; what was finished stays.
    """
    from harness.api.running import prepare_run

    cells, running = _checked("run", options, on_error)
    with notes_as_warnings():
        given, settings = given_in_python({"method": method, **cells}), settings_in_python(set)
        prepared = prepare_run(given, settings, running, repeated=from_run, **_common(plugins, metrics, results))
        return _run(prepared, progress, on_error)


def sweep(
    plan: str | os.PathLike[str] | Mapping[str, Any],
    *,
    shard: str | None = None,
    data_root: str | os.PathLike[str] | None = None,
    plugins: Iterable[Any] = (),
    metrics: str | Iterable[str] = (),
    results: str | os.PathLike[str] = "results",
    progress: bool = True,
    on_error: str = "warn",
    **options: Any,
) -> Runs:
    """Run the cells of a plan, as ``harness sweep`` does: killed at any moment, the same call goes on.

    Args:
        plan: A TOML file, the name of a shipped plan, or a mapping that holds what such a file does
            (docs/sweeps.md): ``{"axes": {"method": ["chnr"], "noise": [0, 0.4]}, "fixed": {"dataset": "toy"}}``.
        shard: ``"2/4"`` runs the second of four parts.
        data_root: Folder of the data sets, whatever the plan says.
        plugins: As of :func:`run`, beside those of the plan.
        metrics: As of :func:`run`.
        results: Folder of the records.
        progress: As of :func:`run`.
        on_error: As of :func:`run`.
        options: How cells are run: ``workers``, ``executor``, ``device`` and the others that ``harness sweep --help``
            lists under "Running".

    Returns:
        The runs, in the order of the plan.

    Raises:
        HarnessError: As :func:`run`, or the plan is wrong.
        KeyboardInterrupt: As :func:`run`.
    """
    from harness.api.running import prepare_sweep

    _, running = _checked("sweep", options, on_error)
    running = {"executor": "local", **running}
    where = None if data_root is None else Path(data_root)
    content = plan if isinstance(plan, Mapping) else os.fspath(plan)
    with notes_as_warnings():
        prepared = prepare_sweep(content, running, shard=shard, data_root=where, **_common(plugins, metrics, results))
        return _run(prepared, progress, on_error)


def load(results: str | os.PathLike[str] = "results", where: str | None = None) -> Runs:
    """The runs of a results folder.

    Args:
        results: The folder.
        where: Only runs for which this holds, such as ``"noise=0.4 and method=chnr"``, as in ``harness results list``.

    Returns:
        The runs, ordered by method, data set and hash.

    Raises:
        HarnessError: There is no such folder, no record in it, or none fulfils the condition.
    """
    return Runs.stored(Path(results), where)


def _checked(name: str, options: Mapping[str, Any], on_error: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the arguments of a function those that choose cells, and by name of the option those that say how cells are
    run.

    Raises:
        HarnessError: One is unknown, or has a value of a wrong type.
    """
    running = {_RUNNING[each]: value for each, value in options.items() if each in _RUNNING}
    cells = {each: value for each, value in options.items() if each not in _RUNNING}
    function = run if name == "run" else sweep
    check_names(name, cells, inspect.signature(function).parameters)
    if on_error not in ON_ERROR:
        raise unknown_name("value of on_error", str(on_error), ON_ERROR)
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # why: harness/cli/__init__.py
    return cells, one_each(running, RUNNING_OPTIONS)


def _common(plugins: Any, metrics: str | Iterable[str], results: str | os.PathLike[str]) -> dict[str, Any]:
    """What runs and sweeps have besides, as :mod:`harness.api.running` takes it."""
    return {
        "plugins": plugin_files(plugins, Path(results) / PLUGIN_FOLDER),
        "metrics": [metrics] if isinstance(metrics, str) else list(metrics),
        "results": Path(results),
    }


def _run(prepared: Prepared, progress: bool, on_error: str) -> Runs:
    from harness.api.progress import make_listener
    from harness.api.running import run_cells
    from harness.api.stopping import Stops, signals_taken
    from harness.execution import FINISH_RUNNING, GO_ON
    from harness.runtime.outlets import bars_shown

    for note in prepared.notes:
        warn(note)
    failed: list[RunRecord] = []
    stops = Stops(prepared.how.in_process)

    @contextmanager
    def listening(state: SweepState | None) -> Iterator[PlainListener]:
        shown = make_listener(state, len(prepared.jobs), prepared.how.in_process, quiet=not progress)
        with signals_taken({signal.SIGINT: stops.at_once}), shown as listener:
            # Once each: many cells of a grid have the same to say.
            listener.remark = cache(lambda kind, text: warn(text if kind == "note" else f"{kind}: {text}"))
            finished = listener.cell_finished

            def also(job: Any, record: RunRecord) -> None:
                failed.extend([record] * (record.status != "ok"))
                finished(job, record)

            listener.cell_finished = also  # type: ignore[method-assign]  # of this one listener
            yield listener

    def stopping() -> int:
        return max(stops.level(), FINISH_RUNNING if failed and on_error == "raise" else GO_ON)

    checking = partial(bars_shown, "images", quiet=not progress)
    result = run_cells(prepared, listening, stopping=stopping, checking=checking)
    if stops.level():
        raise KeyboardInterrupt
    places = [job.cell.place for job in prepared.jobs if job.cell.hash in result.statuses]
    runs = Runs(prepared.how.results, places, prepared.how.metrics, [one.reason for one in prepared.refused])
    if on_error == "raise" and runs.failed:
        raise HarnessError(_failure(runs.failed[0].record))
    for one in runs.failed:
        warn(f"{_failure(one.record)} It stands in runs.failed.")
    return runs


def _failure(record: RunRecord) -> str:
    """What became of a failed cell, in one sentence."""
    message = "no reason is known" if record.error is None else record.error.message.rstrip(".")
    return f"{record.cell.row} on {record.cell.dataset} ({record.hash}) {record.status}: {one_line(message)}."


def _show_options() -> None:
    """Completion and ``help`` show every option, not ``**options`` alone."""
    functions: dict[Callable[..., Runs], Sequence[Option]] = {run: DECLARED + RUNNING_OPTIONS, sweep: RUNNING_OPTIONS}
    for function, options in functions.items():
        signature = inspect.signature(function)
        named = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        taken = {one.name for one in named}
        more = [
            inspect.Parameter(one.argument, inspect.Parameter.KEYWORD_ONLY, default=one.default)
            for one in options
            if one.name not in taken
        ]
        function.__signature__ = signature.replace(parameters=[*named, *more])  # type: ignore[attr-defined]


_show_options()
