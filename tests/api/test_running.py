"""Cells prepared and run: the seam on which `harness.run` and the command line stand."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from unittest.mock import Mock

import pytest

from harness.api.running import HowToRun, prepare, run_cells
from harness.cells.request import CellRequest, MethodRequest
from harness.errors import HarnessError
from harness.execution import FINISH_RUNNING, GO_ON, STOP_NOW, Session
from harness.execution.cells_to_run import Standing
from harness.plugin.loading import load_registry
from harness.runtime.settings import RunSettings


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture
def how(registry, tmp_path):
    executor = registry.get("executor", "serial").load()()
    session = Session(folder=tmp_path, device="cpu")
    return HowToRun(RunSettings(device="cpu"), Standing(), executor, "serial", session, tmp_path / "results")


@pytest.fixture
def requests(features):
    """Two cells that differ in their seeds."""
    path = features()
    return [CellRequest(MethodRequest("random-codes"), features=path, bits=8, seed=seed) for seed in (0, 1)]


def ran(prepared, stopping=lambda: GO_ON, **heard):
    """The result of a run, what its listener heard, and the state that the listener was given."""
    listener, states = Mock(**heard), []

    @contextmanager
    def listening(state):
        states.append(state)
        yield listener

    result = run_cells(prepared, listening, stopping=stopping, checking=lambda: nullcontext(Mock()))
    return result, listener, states[0]


def outcomes(state):
    return [json.loads(path.read_text())["outcome"] for path in (state.folder / "invocations").iterdir()]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"settings": RunSettings(device="toaster")}, "toaster"),
        ({"settings": RunSettings(device="cpu", trackers=("teletype",))}, "unknown tracker 'teletype'"),
    ],
)
def test_how_cells_run_is_checked_before_anything_is_written(registry, how, requests, wrong, said):
    with pytest.raises(HarnessError, match=said):
        prepare(registry, requests, replace(how, **wrong), name="run")
    assert not how.results.exists()


def test_cells_are_checked_before_anything_is_written(registry, how, requests):
    with pytest.raises(HarnessError, match="unknown method 'random-kodes'"):
        prepare(registry, [requests[0], replace(requests[1], method=MethodRequest("random-kodes"))], how, name="run")
    impossible = replace(requests[0], method=MethodRequest("clip-sign"))
    with pytest.raises(HarnessError, match="shared"):
        prepare(registry, [impossible], how, name="run")
    assert prepare(registry, requests, how, name="run").refused == []
    assert not how.results.exists()


def test_a_combination_that_cannot_work_is_left_out_with_its_reason(registry, how, requests):
    impossible = replace(requests[0], method=MethodRequest("clip-sign"))
    prepared = prepare(registry, [impossible, *requests, requests[0]], how, name="run")
    assert [job.request for job in prepared.jobs] == requests, "each cell once"
    (refusal,) = prepared.refused
    assert refusal.request == impossible
    assert "shared" in refusal.reason


def test_parts_share_a_state_and_run_their_own_cells(registry, how, requests):
    first, second = (prepare(registry, requests, how, name="run", part=(part, 2)) for part in (1, 2))
    hashes = [job.cell.hash for job in first.everything]
    assert hashes == [job.cell.hash for job in second.everything]
    assert len(first.jobs) == len(second.jobs) == 1
    (result, _, state), (other, _, same) = ran(first), ran(second)
    assert {**result.statuses, **other.statuses} == dict.fromkeys(hashes, "ok")
    assert state.folder == same.folder
    assert [cell.hash for cell in state.cells()] == hashes


def test_records_that_stand_are_kept(registry, how, requests):
    result, listener, state = ran(prepare(registry, requests[:1], how, name="run"))
    assert list(result.statuses.values()) == ["ok"]
    assert state is None, "a single cell has none"
    both = prepare(registry, requests, how, name="run")
    result, listener, state = ran(both)
    assert [job for (job, _), _ in listener.cell_kept.call_args_list] == both.jobs[:1]
    assert [job for (job, _), _ in listener.cell_finished.call_args_list] == both.jobs[1:]
    assert outcomes(state) == ["finished"]
    result, listener, state = ran(both)
    assert list(result.statuses.values()) == ["ok", "ok"]
    assert listener.cell_kept.call_count == 2
    assert state is None, "nothing has to run"
    _, listener, _ = ran(replace(both, how=replace(how, standing=Standing("always"))))
    assert listener.cell_finished.call_count == 2


def test_the_first_stop_lets_the_running_cell_finish(registry, how, requests):
    prepared = prepare(registry, requests, how, name="run")
    level = [GO_ON]
    result, _, state = ran(
        prepared,
        lambda: level[0],
        **{"cell_started.side_effect": lambda *_: level.__setitem__(0, FINISH_RUNNING)},
    )
    assert result.statuses == {prepared.jobs[0].cell.hash: "ok"}
    assert result.unfinished == prepared.jobs[1:]
    assert outcomes(state) == ["stopped"]


def test_the_second_stop_ends_the_running_cell_without_a_record(registry, how, requests):
    prepared = prepare(registry, requests, how, name="run")
    level = [GO_ON]

    def stop(progress):
        level[0] = STOP_NOW
        raise KeyboardInterrupt

    result, _, state = ran(prepared, lambda: level[0], **{"progressed.side_effect": stop})
    assert (result.statuses, result.unfinished) == ({}, prepared.jobs)
    assert outcomes(state) == ["stopped"]


def test_a_failure_of_the_listener_is_noted_in_the_state(registry, how, requests):
    prepared = prepare(registry, requests, how, name="run")
    with pytest.raises(ZeroDivisionError):
        ran(prepared, **{"grid_started.side_effect": ZeroDivisionError})
    (file,) = how.results.glob("sweeps/*/invocations/*.json")
    assert json.loads(file.read_text())["outcome"] == "failed"


def test_folder_and_device_are_checked_before_the_first_cell(registry, how, requests, tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(HarnessError, match="taken"):
        ran(prepare(registry, requests, replace(how, results=tmp_path / "taken"), name="run"))
    with pytest.raises(HarnessError, match="cuda:99"):
        ran(prepare(registry, requests, replace(how, settings=RunSettings(device="cuda:99")), name="run"))
    assert not how.results.exists()


def test_what_killed_writers_of_the_state_left_is_removed(registry, how, requests):
    prepared = prepare(registry, requests, how, name="run")
    _, _, state = ran(prepared)
    killed = [state.workers / ".host-1.json.new-x", state.folder / "invocations" / ".now.json.1.new"]
    being_written = state.workers / ".host-2.json.new-y"
    for left in (*killed, being_written):
        left.touch()
    for left in killed:
        os.utime(left, (1, 1))
    ran(replace(prepared, how=replace(how, standing=Standing("always"))))
    assert [left for left in (*killed, being_written) if left.exists()] == [being_written]
