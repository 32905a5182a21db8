"""Cells through submitit: on processes of this machine, and on a stand-in for Slurm's commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from executors.same_records import assert_same_records, records_in

from harness.api.how_to_run import make_executor
from harness.errors import HarnessError
from harness.execution import Session
from harness.plugin.loading import load_registry

pytestmark = pytest.mark.timeout(180)

STAND_IN = Path(__file__).with_name("slurm_stand_in.py")


class Cluster:
    """The stand-in, as a test drives it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def command(self, *words: str) -> None:
        subprocess.run([sys.executable, STAND_IN, *words], check=True)

    def jobs(self) -> dict:
        path = self.folder / "jobs.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def submitted(self) -> list[dict]:
        path = self.folder / "sbatch.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Slurm's commands on PATH; nothing of it is left afterwards."""
    folder = tmp_path / "slurm"
    (folder / "bin").mkdir(parents=True)
    for name in ("sbatch", "squeue", "sacct", "scancel", "scontrol", "srun"):
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} {name} "$@"\n')
        script.chmod(0o755)
    monkeypatch.setenv("SLURM_STAND_IN", str(folder))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    ours = Cluster(folder)
    yield ours
    for job in {name.split("_")[0] for name in ours.jobs()}:
        ours.command("scancel", job)


def wait_for(condition):
    """Wait, but not forever."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen within a minute"
        time.sleep(0.05)


@pytest.fixture
def meanwhile():
    """``meanwhile(action)`` runs it beside the sweep."""
    threads = []

    def start(action):
        threads.append(threading.Thread(target=action))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def fitted(grid) -> int:
    return len(grid.journal.read_text().splitlines()) if grid.journal.exists() else 0


@pytest.mark.parametrize("where", ["slurm", "local"])
def test_the_records_are_those_of_serial(where, cluster, harness, features, tmp_path):
    words = ("--method", "cca-itq,random-codes", "--features", features(), "--bits", "8", "--seed", "0,1")
    assert harness("run", *words, "--results", tmp_path / "serial").code == 0
    options = ("--executor", "slurm", "--executor-option", f"cluster={where}", "--executor-option", "cells_per_job=2")
    result = harness("run", *words, *options, "--results", tmp_path / "ours")
    assert result.code == 0, result.err
    records = assert_same_records(tmp_path / "ours", tmp_path / "serial")
    assert {record["environment"]["placed"]["executor"] for record in records.values()} == {"slurm"}
    if where == "slurm":
        (submitted,) = cluster.submitted()
        assert submitted["array"] == "0-1%2"
        assert "requeue" in submitted


def test_a_pre_empted_job_goes_on_with_the_cells_that_have_no_record(cluster, grid, computed, meanwhile, tmp_path):
    def preempt():
        wait_for(lambda: fitted(grid) == 2)  # the first cell is finished, the second runs
        cluster.command("preempt", next(iter(cluster.jobs())))

    meanwhile(preempt)
    result = grid("slurm", "cells_per_job=3", seeds="0,1,2", seconds=1.5)
    assert result.code == 0, result.err
    (job,) = cluster.jobs().values()
    assert job["starts"] == 2
    assert computed() == {0: 1, 1: 2, 2: 1}
    assert {record["status"] for record in records_in(tmp_path / "results").values()} == {"ok"}


def test_a_killed_command_finds_its_jobs_again_and_submits_nothing_twice(cluster, grid, computed, features, tmp_path):
    words = [
        sys.executable, "-m", "harness", "run", "--method", "sleepy", "--plugin", STAND_IN.with_name("sleepy.py"),
        "--features", features(), "--bits", "8", "--seed", "0,1,2,3", "--set", "hasher.seconds=1.5",
        "--set", f"hasher.journal={grid.journal}", "--set", "hasher.mode=well", "--executor", "slurm",
        "--executor-option", "cells_per_job=2", "--results", tmp_path / "results", "--workers", "1",
    ]  # fmt: skip
    command = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: fitted(grid) == 1)
    command.send_signal(signal.SIGKILL)
    command.wait()
    result = grid("slurm", "cells_per_job=2", seeds="0,1,2,3", seconds=1.5, words=("--workers", "1"))
    assert result.code == 0, result.err
    assert len(cluster.submitted()) == 1
    assert computed() == {0: 1, 1: 1, 2: 1, 3: 1}
    assert len(records_in(tmp_path / "results")) == 4


def test_how_slurm_ended_a_job_is_in_the_record(cluster, grid, meanwhile, tmp_path):
    states = {0: "OUT_OF_MEMORY", 1: "NODE_FAIL"}

    def end():
        wait_for(lambda: fitted(grid) == 2)
        for number, name in enumerate(sorted(cluster.jobs())):
            cluster.command("end", name, states[number])

    meanwhile(end)
    assert grid("slurm", "cells_per_job=1", seeds="0,1", seconds=60).code == 1
    records = {record["cell"]["seed"]: record for record in records_in(tmp_path / "results").values()}
    assert sorted(record["status"] for record in records.values()) == ["failed", "oom"]
    (lost,) = (record for record in records.values() if record["status"] == "failed")
    assert "ended as NODE_FAIL" in lost["error"]["message"]


def test_limits_hold_within_a_job_and_the_other_cells_of_its_group_finish(grid, computed, tmp_path):
    options = ("cluster=local", "cells_per_job=3")
    assert grid("slurm", *options, seeds="0", mode="mixed", words=("--timeout", "1")).code == 1
    assert grid("slurm", *options, seeds="1,2,3", mode="mixed", words=("--memory-limit", "1500MB")).code == 1
    records = {record["cell"]["seed"]: record for record in records_in(tmp_path / "results").values()}
    assert [records[seed]["status"] for seed in range(4)] == ["timeout", "oom", "failed", "ok"]
    assert "longer than 1 s" in records[0]["error"]["message"]
    assert "more than --memory-limit" in records[1]["error"]["message"]
    assert "a plugin prints" in records[2]["error"]["log"]
    tried = computed()
    assert tried.pop(0, 1) == 1  # its second may have been over before it was fitted
    assert tried == {1: 1, 2: 1, 3: 1}


def test_the_first_interrupt_lets_running_cells_finish_and_takes_the_others_back(cluster, grid, meanwhile, tmp_path):
    def interrupt():
        wait_for(lambda: fitted(grid) == 1)
        os.kill(os.getpid(), signal.SIGINT)

    meanwhile(interrupt)
    result = grid("slurm", "cells_per_job=2", seeds="0,1,2,3", seconds=2, words=("--workers", "1"))
    assert result.code == 130
    assert fitted(grid) == 1
    assert len(records_in(tmp_path / "results")) == 1
    assert "CANCELLED" in {job["state"] for job in cluster.jobs().values()}


def test_the_second_interrupt_ends_the_jobs(cluster, grid, meanwhile, tmp_path):
    def interrupt():
        wait_for(lambda: fitted(grid) == 1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    meanwhile(interrupt)
    result = grid("slurm", "cells_per_job=1", seeds="0,1", seconds=60, words=("--workers", "1"))
    assert result.code == 130, result.err
    assert records_in(tmp_path / "results") == {}
    assert {job["state"] for job in cluster.jobs().values()} == {"CANCELLED"}


def test_mistakes_are_told_in_one_sentence(cluster, grid, monkeypatch):
    result = grid("slurm", "partition=closed")
    assert result.code == 2
    assert "Slurm does not take the jobs" in result.err
    assert "Invalid partition name" in result.err
    result = grid("slurm", words=("--cells-per-gpu", "2"))
    assert "add --executor-option gpus=1" in result.err
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    result = grid("slurm")
    assert result.code == 2
    assert "there is no sbatch on this machine" in result.err
    monkeypatch.setitem(sys.modules, "submitit", None)
    result = grid("slurm")
    assert "pip install 'noisy-hashing-harness[slurm]'" in result.err


def test_what_sbatch_is_told():
    executor = make_executor(
        load_registry(()),
        "slurm",
        [
            "partition=gpu",
            "account=paper",
            "gpus=2",
            "cells_per_job=8",
            "slurm_additional=reservation=r exclude=n[1,2]",
        ],
    )
    session = Session(Path(), workers=40, threads=3, cells_per_gpu=2, timeout=600, memory_limit=2**30)
    size = executor.group_size(session, 1000)
    assert executor.parameters(session, size) == {
        "time": 25, "signal_delay_s": 90, "cpus_per_task": 12, "array_parallelism": 10, "mem": "6144MB",
        "gpus_per_node": 2, "partition": "gpu", "account": "paper",
        "additional_parameters": {"requeue": True, "reservation": "r", "exclude": "n[1,2]"},
    }  # fmt: skip
    assert executor.cell_limit(session, size) == (600, 0)


def test_thousands_of_cells_become_some_two_hundred_jobs():
    executor = make_executor(load_registry(()), "slurm", [])
    session = Session(Path())
    assert [executor.group_size(session, cells) for cells in (10, 200, 2000, 100_000)] == [1, 1, 10, 50]


def test_a_cell_may_take_no_longer_than_its_job_has():
    executor = make_executor(load_registry(()), "slurm", ["minutes=10"])
    assert executor.cell_limit(Session(Path(), timeout=3600), 1) == (480, 10)
    with pytest.raises(HarnessError, match="expected NAME=VALUE"):
        make_executor(load_registry(()), "slurm", ["slurm_additional=exclusive"]).further_options()


def test_a_journal_survives_a_line_that_was_cut_off(tmp_path):
    from harness_plugins.executors.slurm_job import _append, read_journal

    path = tmp_path / "group-0.journal"
    _append(path, {"event": "started"})
    with path.open("a") as opened:
        opened.write('{"event": "en')
    events, offset = read_journal(path)
    assert events == [{"event": "started"}]
    _append(path, {"event": "ended"})
    assert read_journal(path, offset)[0] == [{"event": "ended"}]
