"""``harness status``: how far a sweep is, from any terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.json_output import print_json
from harness.cli.options import JSON, RESULTS, results_option
from harness.cli.rows import aligned
from harness.errors import HarnessError
from harness.quantities import spoken_time
from harness.records.index import End, ends_of
from harness.runtime.outlets import LEAST_NAME, console, shown
from harness.text import counted, cut_in_the_middle, folded

if TYPE_CHECKING:
    from harness.execution.sweep_state import Invocation, PlannedCell, SweepState
    from harness.execution.worker_state import WorkerState

OTHER_COLUMNS = 49
"""What ``--all`` shows beside the name of a sweep: the longest state, numbers of five digits, a moment, blanks."""

SHOWN_FAILURES = 10
WATCH_SECONDS = 2.0


@click.command()
@click.argument("sweep", metavar="[SWEEP]", default="")
@RESULTS
@click.option("--all", "list_all", is_flag=True, help="List all sweeps.")
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until the sweep is over.")
@JSON
def command(sweep: str, results: Path, list_all: bool, watch: bool, as_json: bool) -> None:
    """How far a sweep is: cells done, running, failed, to do, and when it ends.

    SWEEP is the beginning of its name; the one that was worked on last by default.
    """
    from harness.execution.sweep_state import find_sweep, known_sweeps

    if list_all:
        _list(known_sweeps(results), results, as_json)
        return
    if watch and as_json:
        raise HarnessError("--watch shows tables; leave out --json.")
    state = find_sweep(results, sweep)
    if watch:
        _watch(state, results)
        return
    facts = sweep_facts(state, results)
    if as_json:
        print_json(facts)
    else:
        click.echo(described(facts, _width()))


def sweep_facts(state: SweepState, results: Path) -> dict[str, Any]:
    """Everything that is known of a sweep now, as JSON.

    Raises:
        HarnessError: Its list of cells cannot be read.
    """
    from harness.execution.sweep_state import told_of_fatal

    cells = state.cells()
    ends = ends_of(results, [(cell.method, cell.dataset, cell.hash) for cell in cells])
    running = [worker for worker in state.running() if worker.hash not in ends or _again(worker, ends)]
    busy = {worker.hash for worker in running}
    counts = Counter(end.status for cell_hash, end in ends.items() if cell_hash not in busy)
    left = [cell for cell in cells if cell.hash not in ends and cell.hash not in busy]
    invocations = state.invocations()
    return {
        "sweep": state.name,
        "folder": str(state.folder),
        "state": _state(ends, invocations, len(left) + len(running)),
        "cells": len(cells),
        "counts": {"planned": len(left), "running": len(running), **counts},
        "running": [
            {
                "worker": f"{worker.executor} {worker.worker}".strip(), "host": worker.host, "pid": worker.pid,
                "hash": worker.hash, "cell": worker.title, "phase": worker.phase, "epoch": worker.epoch,
                "epochs": worker.epochs, "loss": worker.loss,
                "seconds": round(max(0.0, time.time() - worker.started), 1),
            }
            for worker in running
        ],
        "failures": [
            {"hash": cell.hash, "cell": cell.title, "status": ends[cell.hash].status, "error": ends[cell.hash].error}
            for cell in cells
            if cell.hash in ends and cell.hash not in busy and ends[cell.hash].status != "ok"
        ],
        "fatal": [told_of_fatal(cell) for cell in state.fatal() if cell.hash not in ends],
        **_time_left(results, cells, ends, running, invocations),
        "command": _command(invocations),
    }  # fmt: skip


def _width() -> int | None:
    """Columns of the terminal on standard output; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _again(worker: Any, ends: dict[str, End]) -> bool:
    """Whether a worker runs a cell whose record is older than its start."""
    return _moment(ends[worker.hash]) < worker.started


def _ended_since(ends: Mapping[str, End], began: float) -> int:
    """How many cells have a record that was finished after a moment."""
    return sum(_moment(end) >= began for end in ends.values())


def _state(ends: dict[str, End], invocations: list[Invocation], left: int) -> str:
    """The state of a sweep: "running", "finished", "stopped", "killed", "failed" or "planned"."""
    if any(invocation.state == "running" for invocation in invocations):
        return "running"
    last = invocations[-1] if invocations else None
    # Under --overwrite always, and where failed cells run again, every cell may have a record before the command ends.
    if not left and (last is None or last.started > time.time() or _ended_since(ends, last.started) >= last.to_run):
        return "finished"
    return invocations[-1].state if invocations else "planned"


def _time_left(
    results: Path,
    cells: Sequence[PlannedCell],
    ends: Mapping[str, End],
    running: Sequence[WorkerState],
    invocations: Sequence[Invocation],
) -> dict[str, Any]:
    """``seconds_left``: least and most seconds until the sweep ends, None where no command runs or nothing is known.
    ``unknown_left``: cells of these that no record is like.
    """
    from harness.execution.estimate import Times, past_cells, shared_among

    commands = [one for one in invocations if one.state == "running"]
    since = {worker.hash: worker.started for worker in running}
    left = _left(cells, ends, since, commands)
    if not commands or not left:
        return {"seconds_left": None, "unknown_left": 0}
    works = {cell.work for cell in left if cell.work is not None}
    times = Times(past_cells(results, works), commands[-1].device, commands[-1].threads)
    ranges = []
    for cell in left:
        seconds, _, _ = times.of(cell.work) if cell.work is not None else (None, 0, "")
        if seconds is not None:
            begun = max(time.time() - since[cell.hash], 0.0) if cell.hash in since else 0.0
            ranges.append((max(seconds[0] - begun, 0.0), max(seconds[1] - begun, 0.0)))
    workers = sum(one.workers or 0 for one in commands) or len(running)
    shared = [round(seconds, 1) for seconds in shared_among(ranges, workers)] if ranges else None
    return {"seconds_left": shared, "unknown_left": len(left) - len(ranges)}


def _left(
    cells: Sequence[PlannedCell], ends: Mapping[str, End], running: Container[str], commands: Sequence[Invocation]
) -> list[PlannedCell]:
    """Cells that run now or will; those that failed, and under --overwrite always all, have a record from before."""
    left = [cell for cell in cells if cell.hash in running or cell.hash not in ends]
    began = min((one.started for one in commands), default=0.0)
    new = {cell.hash for cell in left}
    again = [cell for cell in cells if cell.hash not in new and _moment(ends[cell.hash]) < began]
    number = sum(one.to_run for one in commands) - _ended_since(ends, began) - len(left)
    return left + sorted(again, key=lambda cell: ends[cell.hash].status == "ok")[: max(number, 0)]


def _moment(end: End) -> float:
    return datetime.fromisoformat(end.finished).timestamp()


def _command(invocations: list[Invocation]) -> str:
    """The last command, which goes on with the sweep where it stopped; what it finished is not run again."""
    from harness.execution.sweep_state import resume_command

    if not invocations or not invocations[-1].argv:  # there is none, or it came from Python
        return ""
    last = invocations[-1]
    return resume_command(last.argv, datetime.fromtimestamp(last.started, UTC))


def described(facts: dict[str, Any], width: int | None = None) -> str:
    """The facts of a sweep for people, several lines.

    Args:
        facts: As of :func:`sweep_facts`.
        width: Columns of the terminal, which only commands exceed; None for lines as long as they are.
    """
    from harness.execution.estimate import spoken_range, unlike

    counts = facts["counts"]
    parts = [f"{number} {status}" for status, number in counts.items() if number]
    head = f"{facts['sweep']}: {facts['state']}, {counted(facts['cells'], 'cell')}: {', '.join(parts)}"
    if facts["seconds_left"] is not None:
        head += f"; {spoken_range(facts['seconds_left'])} left"
    if facts["unknown_left"]:
        head += f"; time of {unlike(facts['unknown_left'])}"
    lines = [folded(head, width)]
    if facts["running"]:
        lines += ["", _table_of_workers(facts["running"], width)]
    for failure in facts["failures"][:SHOWN_FAILURES]:
        before, after = f"{failure['status']}: ", f" ({failure['hash']})"
        title = failure["cell"] if width is None else cut_in_the_middle(failure["cell"], width - len(before + after))
        lines += ["", f"{before}{title}{after}", folded(f"  {failure['error']}", width)]
    more = len(facts["failures"]) - SHOWN_FAILURES
    elsewhere = results_option(Path(facts["folder"]).parent.parent)
    if more > 0:
        lines += ["", folded(f"and {more} more that failed; `harness table --runs{elsewhere}` lists all.", width)]
    for sentence in facts["fatal"]:
        lines += ["", folded(sentence, width)]
    if facts["failures"]:
        lines += ["", folded(f"`harness show HASH{elsewhere}` has the command that repeats a cell.", width)]
    unfinished = counts["planned"] or facts["failures"] or facts["state"] != "finished"
    if facts["state"] != "running" and facts["command"] and unfinished:
        lines += ["", f"go on with: {facts['command']}"]
    return "\n".join(lines)


def _table_of_workers(running: list[dict[str, Any]], width: int | None) -> str:
    """What runs, in columns; on a narrow terminal the longest names give way."""
    rows = [
        {
            "worker": one["worker"], "cell": one["cell"], "name": one["phase"] or "begins",
            "epochs": f" {one['epoch']}/{one['epochs']}" if one["phase"] else "",
            "loss": "" if one["loss"] is None else f"{one['loss']:.4g}", "time": spoken_time(one["seconds"]),
        }
        for one in running
    ]  # fmt: skip

    def table() -> str:
        shown = [[row["worker"], row["cell"], row["name"] + row["epochs"], row["loss"], row["time"]] for row in rows]
        return aligned(shown, headers=["worker", "cell", "phase", "loss", "time"])

    while width is not None and (excess := max(map(len, table().splitlines())) - width) > 0:
        longest, name = max((len(row[name]), name) for name in ("cell", "name", "worker") for row in rows)
        if longest <= LEAST_NAME:
            break
        kept = max(longest - 1 - excess // 3, LEAST_NAME)
        rows = [{**row, name: cut_in_the_middle(row[name], kept)} for row in rows]
    return table()


def _watch(state: SweepState, results: Path) -> None:
    from rich.live import Live
    from rich.text import Text

    facts = sweep_facts(state, results)
    terminal = console(sys.stdout)
    live = Live(Text(described(facts, terminal.width)), console=terminal, auto_refresh=False)
    with shown(live):
        while facts["state"] == "running":
            time.sleep(WATCH_SECONDS)
            facts = sweep_facts(state, results)
            live.update(Text(described(facts, terminal.width)), refresh=True)


def _list(states: list[SweepState], results: Path, as_json: bool) -> None:
    rows = []
    for state in states:
        facts = sweep_facts(state, results)
        started = state.invocations()[-1].started if state.invocations() else 0.0
        rows.append({
            "sweep": facts["sweep"], "state": facts["state"], "cells": facts["cells"], "counts": facts["counts"],
            "started": datetime.fromtimestamp(started).isoformat(sep=" ", timespec="seconds"),
        })  # fmt: skip
    if as_json:
        print_json(rows)
        return
    width = _width()
    if width is not None:
        for row in rows:
            row["sweep"] = cut_in_the_middle(row["sweep"], max(width - OTHER_COLUMNS, LEAST_NAME))
    shown = [[row["sweep"], row["state"], row["cells"], row["counts"].get("ok", 0), row["started"]] for row in rows]
    click.echo(aligned(shown, headers=["sweep", "state", "cells", "ok", "worked on last"]))
