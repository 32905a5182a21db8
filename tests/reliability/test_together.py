"""Several commands on one results folder, and others that look at it meanwhile."""

from __future__ import annotations

import json
import os
import signal

import pytest
from reliability_bench import until

LOCAL = ("--executor", "local", "--workers", "1")


def status_of(bench, *more):
    command = bench.start("status", *more)
    assert command.code() == 0, command.errors
    return command


def test_two_sweeps_of_the_same_cells_at_once_do_no_damage(bench):
    words = bench.words("8", "0-5", *LOCAL)
    commands = [bench.start(*words) for _ in range(2)]
    assert [command.code() for command in commands] == [0, 0], [command.errors for command in commands]
    assert {record["status"] for record in bench.records().values()} == {"ok"}
    assert len(bench.records()) == 6
    assert json.loads(status_of(bench, "--json").output)["counts"]["ok"] == 6
    begun = len(bench.events("begin"))  # both may have worked on a cell at the same time, but nothing is left to do
    assert bench.start(*bench.words("8", "0-5", "--executor", "serial")).code() == 0
    assert len(bench.events("begin")) == begun


def test_shards_at_once_run_each_cell_once(bench):
    plan = bench.folder / "plan.toml"
    plan.write_text(
        f'[axes]\nmethod = ["counted"]\nfeatures = ["{bench.folder}/small.npz"]\n'
        "bits = [8]\nseed = [0, 1, 2, 3, 4, 5]\n"
    )
    words = ("sweep", plan, "--plugin", bench.counted_plugin, "--executor", "serial")
    commands = [bench.start(*words, "--shard", f"{part}/2") for part in (1, 2)]
    assert [command.code() for command in commands] == [0, 0], [command.errors for command in commands]
    assert len(bench.records()) == len(bench.events("begin")) == 6
    facts = json.loads(status_of(bench, "--json").output)
    assert (facts["state"], facts["cells"], facts["counts"]["ok"]) == ("finished", 6, 6)


def test_status_from_outside_says_what_runs_and_what_was_killed(bench):
    bench.trouble(b8_1="raise", b8_2="hold")
    command = bench.start(*bench.words("8", "0-4", *LOCAL))
    bench.until_begun(3)

    def facts():
        return json.loads(status_of(bench, "--json").output)

    seen = until(lambda: next((seen for seen in [facts()] if seen["running"] and seen["running"][0]["epoch"]), None),
                 "a running cell with an epoch")  # fmt: skip
    assert (seen["state"], seen["cells"]) == ("running", 5)
    assert seen["counts"] == {"planned": 2, "running": 1, "ok": 1, "failed": 1}
    (running,) = seen["running"]
    assert (running["worker"], running["pid"]) == ("local 0", bench.events("begin")[-1].pid)
    assert (running["phase"], running["epoch"], running["epochs"], running["loss"]) == ("counting", 5, 5, 0.2)
    assert running["cell"].endswith("8 bits, seed 2")
    assert [failure["error"].split(" (")[0] for failure in seen["failures"]] == ["ValueError: out of patience"]
    said = status_of(bench).output
    assert "running, 5 cells: 2 planned, 1 running, 1 ok, 1 failed" in said
    assert "counting 5/5" in said
    assert "go on with" not in said

    command.send_group(signal.SIGKILL)
    command.nobody_left()
    seen = facts()
    assert (seen["state"], seen["running"]) == ("killed", [])
    assert seen["counts"] == {"planned": 3, "running": 0, "ok": 1, "failed": 1}
    assert f"go on with: {seen['command']}" in status_of(bench).output


@pytest.mark.parametrize("executor", [("serial",), ("local", "--workers", "2")], ids=["serial", "local"])
def test_threads_of_a_cell_are_one_unless_said_otherwise_and_recorded(bench, executor):
    """The same cells through both executors: codes and metrics are those of the serial one, byte for byte."""
    other = bench.folder / "serial"
    serial = bench.start(*bench.words("8", "0-2", "--executor", "serial", "--results", other))
    assert serial.code() == 0, serial.errors
    command = bench.start(*bench.words("8", "0-2", "--executor", *executor), CUDA_VISIBLE_DEVICES="")
    assert command.code() == 0, command.errors
    expected, records = bench.records(other), bench.records()
    for name, record in records.items():
        assert record["environment"]["settings"]["threads"] == 1
        assert record["metrics"] == expected[name]["metrics"]
        assert bench.arrays(record) == bench.arrays(expected[name], other)
    assert {event.more["threads"] for event in bench.events("begin")} == {"1"}
    again = bench.start(
        *bench.words("8", "0", "--executor", *executor, "--threads", "2", "--overwrite", "always"),
        OMP_NUM_THREADS="2",
    )
    assert again.code() == 0, again.errors
    assert bench.events("begin")[-1].more["threads"] == "2"
    assert bench.records()["8-0"]["environment"]["settings"]["threads"] == 2


def test_state_of_a_process_whose_number_was_given_anew(bench, tmp_path):
    from harness.runtime.processes import process_exists

    assert process_exists(os.getpid())
    assert not process_exists(os.getpid(), before=1_000_000_000.0), "this process did not exist then"
    child = os.fork()
    if child == 0:
        os._exit(0)
    until(lambda: not process_exists(child), "a child that is over, and waited for by nobody")
    os.waitpid(child, 0)
