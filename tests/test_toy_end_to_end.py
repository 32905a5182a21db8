"""The toy data from the command line to tables and records, the way a newcomer runs it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time

import pytest

WORDS = ("--method", "cca-itq,chnr", "--noise", "0.4", "--limit", "70", "--epochs", "2")
DIRECTIONS = ("i2t", "t2i", "i2i", "t2t")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Standard output, standard error and results folder of one run, shared by the tests that only look."""
    results = tmp_path_factory.mktemp("end-to-end") / "results"
    cache = tmp_path_factory.getbasetemp() / "feature-cache"
    done = command(*WORDS, results=results, cache=cache).communicate(timeout=120)
    return (*done, results)


def command(*words, results, cache) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "harness", "run", *words, "--results", str(results)]
    environment = {**os.environ, "HARNESS_CACHE": str(cache)}
    return subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=results.parent
    )


@pytest.fixture
def records(finished):
    files = sorted(finished[2].glob("runs/*/toy/*/record.json"))
    return {path.parent.parent.parent.name: json.loads(path.read_text()) for path in files}


def test_run_ends_with_a_table_that_is_marked_as_limited(finished):
    out, err, results = finished
    lines = out.strip().splitlines()
    assert lines[0].startswith("map on toy, 64 bits, protocol derangement, trusted 0.2, handcrafted + random-indexing")
    assert lines[0].endswith("LIMITED to 70 images, not for comparison")
    assert lines[2].split() == ["method", "i2t", "0.4", "t2i", "0.4", "runs"]
    assert [line.split()[0] for line in lines[4:6]] == ["cca-itq", "chnr"]
    assert all(line.split()[-1] == "1" for line in lines[4:6])
    assert lines[-1] == f"2 cells finished; records in {results / 'runs'}"
    assert "[1/2] cca-itq on toy, noise 0.4, 64 bits, seed 0" in err
    assert "Traceback" not in err


def test_numbers_of_the_table_are_those_of_the_records(finished, records):
    for line in finished[0].splitlines():
        if line.startswith(("cca-itq", "chnr")):
            metrics = records[line.split()[0]]["metrics"]
            assert line.split()[-3:-1] == [f"{metrics[direction]['map']:.3f}" for direction in ("i2t", "t2i")]


@pytest.mark.parametrize("method", ["cca-itq", "chnr"])
def test_record_has_the_fields_of_the_design(records, method):
    record = records[method]
    assert next(iter(record)) == "schema"
    assert isinstance(record["schema"], int)
    assert len(record["hash"]) == 12
    assert int(record["hash"], 16) >= 0
    assert record["status"] == "ok"
    assert record["error"] is None
    cell = record["cell"]
    expected = {"method": method, "dataset": "toy", "noise": 0.4, "protocol": "derangement", "trusted": 0.2}
    assert {**expected, "bits": 64, "seed": 0, "data_seed": 0, "limit": 70, "granted": []}.items() <= cell.items()
    assert cell["detector"] == ("adversarial" if method == "chnr" else "none")
    assert cell["images"] == {"train": 35, "trusted": 7, "query": 7, "database": 28}
    assert cell["backbones"]["image"]["name"] == "handcrafted"
    assert cell["backbones"]["text"]["name"] == "random-indexing"
    assert record["metrics"].keys() == {*DIRECTIONS, "detector", "noise"}
    for direction in DIRECTIONS:
        values = record["metrics"][direction]
        assert {"map", "map_relevant@20", "p@10", "map_optimistic", "map_pessimistic"} <= values.keys()
        assert values["map_pessimistic"] <= values["map"] <= values["map_optimistic"]
    noise = record["metrics"]["noise"]
    assert noise["requested"] == 0.4
    assert noise["realised_index"] == pytest.approx(11 / 28)  # 0.4 of the 28 untrusted pairs
    assert record["metrics"]["detector"].keys() >= {"auroc", "auroc_class", "average_precision", "f1"}
    assert (record["metrics"]["detector"]["auroc"] is None) == (method == "cca-itq")
    stages = ("features", "data", "detector", "training", "encode", "evaluate")
    assert all(record["timings"][stage] >= 0 for stage in stages)
    assert sum(record["timings"][stage] for stage in stages) <= record["timings"]["total"] + 1e-3
    assert {"versions", "device", "threads", "host", "platform", "argv"} <= record["environment"].keys()
    assert record["environment"]["versions"]["torch"]
    assert record["command"].startswith("harness run --method ")
    assert f"--method {method}" in record["command"]
    assert record["started"] <= record["finished"]


def test_both_methods_saw_the_same_wrong_pairs(records):
    assert records["cca-itq"]["plan"] == records["chnr"]["plan"] is not None


def test_command_of_a_record_leads_to_the_same_cell(records, finished, harness):
    for record in records.values():
        words = shlex.split(record["command"])
        assert words[:2] == ["harness", "run"]
        (row,) = harness("run", *words[2:], "--results", finished[2], "--dry-run", "--json").json
        assert (row["hash"], row["state"], row["will_run"]) == (record["hash"], "ok", False)


def test_limited_runs_stay_out_of_the_table_of_all_records(harness, finished):
    result = harness("table", "--results", finished[2])
    assert result.code == 2
    assert "limited number of images" in result.err


def test_json_is_all_that_is_printed_and_finished_cells_are_not_repeated(finished, records, harness):
    before = {path: path.stat().st_mtime_ns for path in finished[2].rglob("*") if path.is_file()}
    result = harness("run", *WORDS, "--results", finished[2], "--json")
    assert result.code == 0
    assert {record["cell"]["method"]: record for record in json.loads(result.out)} == records
    assert result.err.count("kept: ") == 2
    assert {path: path.stat().st_mtime_ns for path in finished[2].rglob("*") if path.is_file()} == before


def test_killed_run_keeps_finished_cells_and_the_next_run_goes_on(harness, tmp_path, tmp_path_factory):
    results, cache = tmp_path / "results", tmp_path_factory.getbasetemp() / "feature-cache"
    words = ("--method", "cca-itq,chnr", "--noise", "0.4", "--limit", "70", "--epochs", "10")
    process = command(*words, results=results, cache=cache)
    deadline = time.monotonic() + 60
    while not (first := list(results.glob("runs/cca-itq/toy/[!.]*/record.json"))):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=30)
    assert not list(results.glob("runs/chnr/toy/[!.]*/record.json")), "killed in the middle of the second cell"
    written = first[0].stat().st_mtime_ns
    again = harness("run", *words, "--json")
    assert [record["status"] for record in again.json] == ["ok", "ok"]
    assert again.err.count("kept: ") == 1
    assert "kept: cca-itq" in again.err
    assert "[2/2] chnr" in again.err
    assert first[0].stat().st_mtime_ns == written
