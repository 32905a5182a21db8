"""What ``harness status`` says of sweeps whose cells have records already and run again."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.cli.options import results_option
from harness.cli.running.status import _command, _seconds_left, _state, described, sweep_facts
from harness.execution.sweep_state import Invocation, PlannedCell, begin_invocation, open_state
from harness.execution.worker_state import WorkerState
from harness.records.index import End

NOW = datetime(2026, 11, 24, 20, tzinfo=UTC)
DEAD = 2**22 + 1
"""No process has this number: it is above the largest that Linux gives."""


def ends(old: int, new: int) -> dict[str, End]:
    """Records from before and from after the command began."""
    made = [NOW - timedelta(hours=1)] * old + [NOW + timedelta(seconds=5)] * new
    return {str(at): End("ok", moment.isoformat(), None) for at, moment in enumerate(made)}


def invocation(*words: str, to_run: int = 4, pid: int = DEAD, outcome: str = "") -> Invocation:
    """A command that began at NOW."""
    argv = ("/bin/harness", "sweep", "plan.toml", *words)
    return Invocation(
        argv, socket.gethostname(), pid, "local", None, "", to_run, started=NOW.timestamp(), outcome=outcome
    )


@pytest.mark.parametrize(
    ("old", "new", "outcome", "state"),
    [
        (2, 2, "", "killed"),
        (2, 2, "stopped", "stopped"),
        (0, 4, "", "finished"),
        (0, 4, "stopped", "finished"),
        (4, 0, "finished", "finished"),
    ],
)
def test_a_sweep_that_runs_all_again_is_finished_when_all_have_run_again(old, new, outcome, state):
    assert _state(ends(old, new), [invocation("--overwrite", "always", outcome=outcome)], 0) == state


def test_time_left_counts_cells_that_run_again():
    began = datetime.now(UTC).timestamp() - 10
    running = Invocation(("harness",), "elsewhere", os.getpid(), "local", None, "", 10, started=began)
    ended = datetime.fromtimestamp(began + 5, UTC).isoformat()
    found = {str(at): End("ok", ended if at < 5 else NOW.replace(year=2020).isoformat(), None) for at in range(10)}
    assert _seconds_left(found, [running], 1) == pytest.approx(10, abs=1)


def test_a_clock_that_was_set_back_makes_no_nonsense(tmp_path):
    """The commands began an hour later than it is now."""
    began = datetime.now(UTC).timestamp() + 3600
    running = Invocation(("harness",), "elsewhere", 1, "local", None, "", 2, started=began)
    found = {str(at): End("ok", datetime.now(UTC).isoformat(), None) for at in range(2)}
    assert _seconds_left(found, [running], 3) is None
    assert _state(found, [replace(running, host=socket.gethostname(), pid=DEAD)], 0) == "finished"
    cells = [PlannedCell(letter * 12, "m", "d", "m on d") for letter in "abc"]
    state = open_state(tmp_path, "set-back", cells)
    begin_invocation(state, "serial", 1, "", 3)
    (file,) = (state.folder / "invocations").iterdir()
    file.rename(file.with_name("before.json"))
    before = json.loads(file.with_name("before.json").read_text())
    file.with_name("before.json").write_text(json.dumps({**before, "started": began, "outcome": "stopped"}))
    begin_invocation(state, "serial", 1, "", 3).ended("finished")
    assert [one.outcome for one in state.invocations()] == ["stopped", "finished"], "in the order of the commands"
    worker = WorkerState("elsewhere", 1, "local", "1", "a" * 12, "m on d", started=began, updated=began)
    (state.workers / worker.file_name).write_text(json.dumps(asdict(worker)))
    here = replace(worker, host=socket.gethostname(), pid=os.getpid())
    (state.workers / here.file_name).write_text(json.dumps(asdict(here)))
    facts = sweep_facts(state, tmp_path)
    assert [(one["host"], one["seconds"]) for one in facts["running"]] == [(socket.gethostname(), 0.0)]
    assert "0 s" in described(facts)


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"argv": 1}', "[]", "null", json.dumps({"argv": ["x"], "started": 1e300}), "\x00", ""],
)
def test_damaged_files_of_a_sweep_are_passed_over_or_told(harness, results, content):
    state = open_state(results, "damaged", [PlannedCell("a" * 12, "m", "d", "m on d")])
    begin_invocation(state, "serial", 1, "", 1).ended("stopped")
    for file in [*(state.folder / "invocations").iterdir(), state.workers / "host-1.json"]:
        file.write_text(content)
    assert harness("status").code == 0
    (state.folder / "sweep.json").write_text(content)
    for words in (("status",), ("status", "--all")):
        told = harness(*words)
        assert told.code == 2
        assert "sweep.json cannot be read" in told.err


def test_the_command_that_goes_on_keeps_what_was_finished_since():
    assert _command([invocation("--overwrite", "always")]).endswith("--since 2026-11-24T20:00:00.000+00:00")
    assert _command([invocation("--overwrite=always")]).endswith("--since 2026-11-24T20:00:00.000+00:00")
    since = ("--overwrite", "always", "--since", "2026-01-01T00:00:00+00:00")
    assert _command([invocation(*since)]).endswith("--since 2026-01-01T00:00:00+00:00")
    assert "--since" not in _command([invocation()])


def test_a_results_folder_that_is_not_the_usual_one_is_named():
    assert results_option(Path("results")) == ""
    assert results_option(Path("my results")) == " --results 'my results'"
