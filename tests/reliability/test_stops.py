"""Ctrl-C: the first lets running cells finish, the second ends them now; SIGTERM is like the second."""

from __future__ import annotations

import signal
import time

import pytest
from reliability_bench import until

EXECUTORS = pytest.mark.parametrize(
    "executor", [("serial",), ("local", "--workers", "2")], ids=["serial", "local"]
)  # fmt: skip
QUICK_SECONDS = 5
CELLS = 4


@EXECUTORS
def test_first_interrupt_finishes_what_runs_and_begins_nothing(bench, executor):
    bench.trouble(b8_0="hold", b8_1="hold")
    command = bench.start(*bench.words("8", "0-3", "--executor", *executor))
    running = 1 if executor[0] == "serial" else 2
    bench.until_begun(running)
    command.send_group(signal.SIGINT)
    until(lambda: "Stopping: running cells finish" in command.errors, "the answer to Ctrl-C")
    bench.go()
    assert command.code() == 130, command.errors
    command.nobody_left()
    assert [record["status"] for record in bench.records().values()] == ["ok"] * running
    assert len(bench.events("begin")) == running
    assert f"{running} of 4 cells finished, {CELLS - running} not run" in command.output
    resumed = bench.resume(command)
    assert resumed.code() == 0, resumed.errors
    assert len(bench.records()) == len(bench.events("begin")) == CELLS


@EXECUTORS
@pytest.mark.parametrize(
    "signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)], ids=["interrupts", "terminate"]
)
def test_second_interrupt_and_termination_end_everything_now(bench, executor, signals):
    bench.trouble(b8_1="hold", b8_2="hold")
    command = bench.start(*bench.words("8", "0-3", "--executor", *executor))
    running = ["8-1"] if executor[0] == "serial" else ["8-1", "8-2"]
    until(lambda: set(running) <= {event.name for event in bench.events("begin")}, "the cells that hold")
    until(lambda: len(bench.statuses()) >= 1, "the first record")
    if len(signals) == 2:
        command.send_group(signals[0])
        until(lambda: "Stopping: running" in command.errors, "the answer to Ctrl-C")
    at = time.monotonic()
    command.send_group(signals[-1])
    assert command.code() == 130, command.errors
    command.nobody_left()
    assert time.monotonic() - at < QUICK_SECONDS
    records = bench.records()
    assert {record["status"] for record in records.values()} == {"ok"}, "a cell that was stopped has no record"
    assert not set(running) & set(records)
    assert f"{len(records)} of 4 cells finished, {CELLS - len(records)} not run" in command.output
    bench.go()
    resumed = bench.resume(command)
    assert resumed.code() == 0, resumed.errors
    assert len(bench.records()) == CELLS
    bench.check_nothing_twice()


def test_interrupt_while_worker_processes_start_harms_no_cell(bench):
    command = bench.start(*bench.words("8", "0-3", "--executor", "local", "--workers", "2"))
    until(lambda: len(command.group()) >= 2, "the first worker process")
    command.send_group(signal.SIGINT)
    assert command.code() == 130, command.errors
    command.nobody_left()
    assert {record["status"] for record in bench.records().values()} <= {"ok"}, command.errors
    assert "failed" not in command.errors


def test_overwriting_sweep_that_is_stopped_goes_on_where_it_was(bench):
    words = bench.words("8", "0-3", "--executor", "serial")
    assert bench.start(*words).code() == 0
    first = {name: record["finished"] for name, record in bench.records().items()}
    bench.trouble(b8_2="hold")
    command = bench.start(*words, "--overwrite", "always")
    bench.until_begun(4 + 3)
    command.send_group(signal.SIGINT)
    until(lambda: "Stopping: running" in command.errors, "the answer to Ctrl-C")
    command.send_group(signal.SIGINT)
    assert command.code() == 130, command.errors
    assert "--since" in command.errors.splitlines()[-1]
    stopped = {name: record["finished"] for name, record in bench.records().items()}
    assert {name for name in first if stopped[name] != first[name]} == {"8-0", "8-1"}
    bench.go()
    resumed = bench.resume(command)
    assert resumed.code() == 0, resumed.errors
    assert [event.name for event in bench.events("begin")[7:]] == ["8-2", "8-3"]
    assert all(record["finished"] != first[name] for name, record in bench.records().items())
