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
from harness.cli.running.status import _command, _state, _time_left, described, sweep_facts
from harness.execution.estimate import MARGIN, Work
from harness.execution.sweep_state import Invocation, PlannedCell, begin_invocation, open_state
from harness.execution.worker_state import WorkerState
from harness.records.index import End
from harness.records.store import RunStore

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


WORK = Work.of(["cca-itq", "cca-itq", "none", None, "small", 16, "fp32", 10, 2, 8], {"hasher.ridge": 1.0}, [])


@pytest.fixture
def left(record, tmp_path):
    """What is said of the time left where four cells are planned; the records of like cells say 10 s."""
    store = RunStore(tmp_path)
    store.check_writable()
    where = {"host": socket.gethostname(), "device": "cpu", "threads": 1}
    store.write(record(identity={"phases": []}, timings={"total": 10 * MARGIN}, environment=where))
    began = datetime.now(UTC).timestamp() - 10
    command = Invocation(("harness",), "elsewhere", 1, "local", None, "", 4, started=began, device="cpu", threads=1)

    def ask(ends=None, running=(), works=(WORK,) * 4, **changed):
        cells = [PlannedCell(letter, "cca-itq", "small", "", one) for letter, one in zip("abcd", works, strict=True)]
        workers = [WorkerState("h", 1, "local", "1", letter, "", started=began, updated=began) for letter in running]
        return _time_left(tmp_path, cells, ends or {}, workers, [replace(command, **changed)])

    return ask


def test_time_left_is_that_of_like_cells(left):
    most = 10 * MARGIN**2
    assert left() == {"seconds_left": [40, 4 * most], "unknown_left": 0}
    assert left(workers=2)["seconds_left"] == pytest.approx([20, 2 * most], abs=0.1)
    assert left(threads=2) == {"seconds_left": None, "unknown_left": 4}
    assert left(works=(WORK, None, replace(WORK, kind=()), WORK)) == {
        "seconds_left": pytest.approx([20, 2 * most], abs=0.1),
        "unknown_left": 2,
    }
    assert left(outcome="stopped") == {"seconds_left": None, "unknown_left": 0}


def test_what_runs_has_less_time_left(left):
    """It began 10 s ago."""
    assert left(running="a")["seconds_left"] == pytest.approx([30, 3 * 10 * MARGIN**2 + 10 * MARGIN**2 - 10], abs=1)


def test_time_left_counts_cells_that_run_again(left):
    old, new = ({"finished": moment.isoformat()} for moment in (NOW.replace(year=2020), datetime.now(UTC)))
    ends = {"a": End("ok", **old), "b": End("failed", **old), "c": End("ok", **new)}
    assert left(ends, to_run=4)["seconds_left"][0] == 30, "all run again, and one of them has"
    assert left(ends, to_run=3)["seconds_left"][0] == 20, "the one that failed does"
    assert left({**ends, "d": End("ok", **new)}, to_run=2)["seconds_left"] is None


def test_a_clock_that_was_set_back_makes_no_nonsense(tmp_path):
    """The commands began an hour later than it is now."""
    began = datetime.now(UTC).timestamp() + 3600
    running = Invocation(("harness",), "elsewhere", 1, "local", None, "", 2, started=began)
    found = {str(at): End("ok", datetime.now(UTC).isoformat(), None) for at in range(2)}
    again = [PlannedCell(name, "m", "d", "m on d") for name in found]
    assert _time_left(tmp_path, again, found, [], [running]) == {"seconds_left": None, "unknown_left": 2}
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
