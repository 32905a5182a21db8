"""Cells on a real Ray cluster of two nodes, one of which is killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

import psutil
import pytest
from executors.same_records import assert_same_records, records_in

from harness.api.how_to_run import make_executor
from harness.errors import HarnessError
from harness.plugin.loading import load_registry

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with one slot each, every node a process tree of its own."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    nodes.second = nodes.add_node(**small)
    yield nodes
    nodes.shutdown()


def wait_for(condition):
    """Wait, but not forever."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen within a minute"
        time.sleep(0.05)


def fits(grid):
    """The lines of the journal: bits, seed, process."""
    return [line.split() for line in grid.journal.read_text().splitlines()] if grid.journal.exists() else []


def test_the_records_are_those_of_serial_and_the_features_stay_loaded(cluster, harness, features, tmp_path):
    words = ("--method", "cca-itq,random-codes", "--features", features(), "--bits", "8,16", "--seed", "0,1")
    assert harness("run", *words, "--results", tmp_path / "serial").code == 0
    options = ("--executor", "ray", "--executor-option", f"address={cluster.address}")
    before = signal.getsignal(signal.SIGTERM)
    result = harness("run", *words, *options, "--results", tmp_path / "ray")
    assert result.code == 0, result.err
    assert signal.getsignal(signal.SIGTERM) is before
    records = assert_same_records(tmp_path / "ray", tmp_path / "serial")
    assert len(records) == 8
    assert {record["environment"]["placed"]["executor"] for record in records.values()} == {"ray"}


def test_a_cell_that_takes_too_long_holds_too_much_or_dies_is_recorded_and_the_others_finish(
    cluster, grid, computed, tmp_path
):
    ray = f"address={cluster.address}"
    assert grid("ray", ray, seeds="0", mode="mixed", words=("--timeout", "1")).code == 1
    result = grid("ray", ray, "retries=1", seeds="1,2,3", mode="mixed", words=("--memory-limit", "1500MB"))
    assert result.code == 1, result.err
    records = {record["cell"]["seed"]: record for record in records_in(tmp_path / "results").values()}
    assert [records[seed]["status"] for seed in range(4)] == ["timeout", "oom", "failed", "ok"]
    assert "longer than 1 s" in records[0]["error"]["message"]
    assert "more than --memory-limit" in records[1]["error"]["message"]
    assert "died, 2 times" in records[2]["error"]["message"]
    assert "a plugin prints" in records[2]["error"]["log"]
    tried = computed()
    assert tried.pop(0, 1) == 1  # its second may have been over before it was fitted
    assert tried == {1: 1, 2: 2, 3: 1}  # only what died is tried again


def test_a_stopped_sweep_begins_nothing_more(cluster, grid, computed, tmp_path):
    def interrupt():
        wait_for(grid.journal.exists)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    options = (f"address={cluster.address}",)
    result = grid("ray", *options, seeds="0,1,2,3,4,5", seconds=2, words=("--workers", "2"))
    thread.join()
    assert result.code == 130
    assert 1 <= len(computed()) <= 2
    assert len(records_in(tmp_path / "results")) == len(computed())


def test_cells_of_a_node_that_is_killed_run_elsewhere(cluster, grid, computed, tmp_path):
    seeds = ",".join(str(seed) for seed in range(10))
    (raylet,) = (process.process.pid for process in cluster.second.all_processes["raylet"])
    killed = []

    def kill_node():
        wait_for(lambda: len({line[2] for line in fits(grid)}) == 2)  # cells run on both nodes
        tree = [psutil.Process(raylet), *psutil.Process(raylet).children(recursive=True)]
        killed.extend(str(process.pid) for process in tree)
        for process in tree:
            process.kill()

    thread = threading.Thread(target=kill_node)
    thread.start()
    result = grid("ray", f"address={cluster.address}", seeds=seeds, seconds=0.7)
    thread.join()
    assert result.code == 0, result.err
    assert [line for line in fits(grid) if line[2] in killed], "no cell ran on the node that was killed"
    counted = computed()
    assert sorted(counted) == list(range(10))
    assert sum(counted.values()) <= 10 + 1, "a finished cell was computed again"
    assert grid("serial", results="serial", seeds=seeds).code == 0
    # the rest is a parameter and so in the hash: compare by seed
    ours = {record["cell"]["seed"]: record["metrics"] for record in records_in(tmp_path / "results").values()}
    theirs = {record["cell"]["seed"]: record["metrics"] for record in records_in(tmp_path / "serial").values()}
    assert ours == theirs


def test_mistakes_are_told_in_one_sentence(grid, monkeypatch):
    result = grid("ray", "address=127.0.0.1:1")
    assert result.code == 2
    assert "Ray cannot be reached at 127.0.0.1:1" in result.err
    assert "Traceback" not in result.err
    monkeypatch.setitem(sys.modules, "ray", None)
    result = grid("ray")
    assert result.code == 2
    assert "pip install 'noisy-hashing-harness[ray]'" in result.err


def test_parameters_are_checked():
    registry = load_registry(())
    assert make_executor(registry, "ray", ["num_cpus=3"]).num_cpus == 3
    with pytest.raises(HarnessError, match="retries=-1: expected"):
        make_executor(registry, "ray", ["retries=-1"])


def test_an_errand_keeps_its_text():
    from harness_plugins.executors.ray_task import Errand, errand_text

    errand = Errand("ab", '{"a": "é"}', "/tmp", "cpu", 1, None, {"HARNESS_CACHE": "/c"})
    assert Errand(**json.loads(errand_text(errand))) == errand
