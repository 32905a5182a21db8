"""``harness score``: metrics again from stored codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from harness.execution.rescore import NOTE


@pytest.fixture
def run(tiny, features):
    """A finished run of a method with a model, a log and curves."""
    (record,) = tiny("duch-noisy", features(), "--noise", "0.4")
    return record


@pytest.fixture
def folder_of(results):
    def find(record):
        (folder,) = results.glob(f"runs/*/*/{record['hash']}")
        return folder

    return find


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_unchanged_metric_code_gives_identical_values(harness, run, arrays_of, folder_of, stored):
    before, arrays = contents(folder_of(run)), arrays_of(run)
    result = harness("score", run["hash"])
    assert result.code == 0, result.err
    assert "1 run scored, 0 with other values than before" in result.out
    after = stored()[run["hash"]]
    assert after == {**run, "notes": [*run["notes"], NOTE]}
    again = arrays_of(run)
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    kept = contents(folder_of(run))
    assert kept.keys() == before.keys()
    assert kept["model.safetensors"] == before["model.safetensors"]
    assert kept["log.txt"] == before["log.txt"]
    harness("score", run["hash"])
    assert stored()[run["hash"]] == after, "noted twice"


def test_another_cutoff_is_added_with_its_definition_and_stands_in_tables(harness, run, stored):
    result = harness("score", "--all", "--metric", "map@15")
    assert result.code == 0, result.err
    assert result.out.startswith("map@15 on small")
    record = stored()[run["hash"]]
    for direction in ("i2t", "t2i", "i2i", "t2t"):
        values = record["metrics"][direction]
        assert values.keys() - run["metrics"][direction].keys() == {"map@15"}
        assert {name: values[name] for name in run["metrics"][direction]} == run["metrics"][direction]
    assert "AP@K" in record["metric_definitions"]["map@15"]
    assert record["metrics"]["detector"] == run["metrics"]["detector"]
    assert "map@15 on small" in harness("table", "--metric", "map@15").out


def test_a_run_computes_the_cutoff_that_it_is_asked_for(harness, features):
    words = ("--method", "cca-itq", "--features", features(), "--bits", "16", "--metric", "map@7,r@15")
    result = harness("run", *words)
    assert result.code == 0, result.err
    assert "map@7 on small" in result.out
    assert "r@15 on small" in result.out


def test_a_cutoff_between_two_others_lies_between_them_where_it_must(harness, run):
    (record,) = harness("score", run["hash"], "--metric", "r@15", "--json").json
    values = record["metrics"]["i2t"]
    assert values["r@10"] <= values["r@15"] <= values["r@20"]


def test_changed_values_are_put_right_and_told(harness, run, folder_of, stored):
    path = folder_of(run) / "record.json"
    spoilt = json.loads(path.read_text())
    spoilt["metrics"]["t2i"]["map"] = 0.999
    path.write_text(json.dumps(spoilt))
    dry = harness("score", run["hash"][:5], "--dry-run")
    assert "nothing was written" in dry.out
    assert stored()[run["hash"]]["metrics"]["t2i"]["map"] == 0.999
    result = harness("score", run["hash"][:5])
    assert f"run {run['hash']} (duch-noisy" in result.err
    assert "has other values than before: map" in result.err
    assert "1 run scored, 1 with other values than before" in result.out
    assert stored()[run["hash"]]["metrics"] == run["metrics"]


def test_a_metric_of_a_plugin_is_computed_for_old_runs(harness, run, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "import numpy as np\nfrom harness import hookimpl\n"
        "def relevant(histogram):\n    return histogram.total_relevant.astype(float)\n"
        "@hookimpl\ndef register_metrics(register):\n"
        "    register('relevant', relevant, summary='relevant items', definition='R.')\n"
    )
    (record,) = harness("score", run["hash"], "--metric", "relevant", "--plugin", plugin, "--json").json
    assert record["metrics"]["i2t"]["relevant"] > 1


def test_runs_are_chosen_by_method_and_dataset(harness, run, tiny, features):
    (other,) = tiny("cca-itq", features())
    chosen = harness("score", "--method", "cca-itq", "--dataset", "small", "--dry-run", "--json").json
    assert [record["hash"] for record in chosen] == [other["hash"]]
    both = harness("score", "--dataset", "small", "--dry-run", "--json").json
    assert {record["hash"] for record in both} == {run["hash"], other["hash"]}


def test_runs_without_codes_are_told_one_line_each_and_the_others_scored(harness, run, moody, features, folder_of):
    words = ("--plugin", moody, "--features", features(), "--set", "mode=raise")
    (failed,) = harness("run", "--method", "moody", *words, "--json").json
    result = harness("score", "--all", "--metric", "map@7")
    assert result.code == 1
    assert f"left as it is: run {failed['hash']} (moody" in result.err
    assert "has no codes: its status is failed" in result.err
    assert "1 run scored, 0 with other values than before, 1 left as it is" in result.out
    (folder_of(run) / "arrays.npz").write_bytes(b"PK\x03\x04 damaged")
    damaged = harness("score", run["hash"])
    assert damaged.code == 1
    assert len([line for line in damaged.err.splitlines() if line.startswith("left as it is")]) == 1


def test_model_and_log_stay_byte_for_byte(harness, run, folder_of):
    log = folder_of(run) / "log.txt"
    log.write_bytes(b"epoch 1\repoch 2\r\nno end")
    before = contents(folder_of(run))
    assert harness("score", run["hash"], "--metric", "map@15").code == 0
    after = contents(folder_of(run))
    assert after.keys() == before.keys()
    assert after["record.json"] != before["record.json"]
    for name in ("model.safetensors", "log.txt"):
        assert after[name] == before[name], name


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.safetensors", b"PK\x03\x04 damaged"), ("model.safetensors", b""), ("log.txt", b"epoch \xff\n")],
)
def test_a_damaged_model_or_log_leaves_the_run_as_it_is(harness, run, folder_of, name, content):
    (folder_of(run) / name).write_bytes(content)
    before = contents(folder_of(run))
    result = harness("score", run["hash"])
    assert result.code == 1
    assert f"left as it is: run {run['hash']} in {folder_of(run)} is damaged" in result.err
    assert contents(folder_of(run)) == before


def test_codes_of_another_program_are_scored_too(harness, run, folder_of):
    told = harness("evaluate", "--codes", folder_of(run) / "arrays.npz", "--cell", run["hash"], "--json")
    (external,) = told.json
    (record,) = harness("score", external["hash"], "--metric", "map@15", "--json").json
    assert record["metrics"]["i2t"]["map@15"] > 0
    assert record["metrics"]["i2t"]["map"] == external["metrics"]["i2t"]["map"]


def test_a_run_that_was_copied_elsewhere_is_not_written_to_a_wrong_place(harness, run, folder_of, tmp_path):
    away = tmp_path / "a" / "b" / "c" / "copied"
    shutil.copytree(folder_of(run), away)
    result = harness("score", away)
    assert result.code == 1
    assert "is not where runs are kept" in result.err
    assert NOTE not in (away / "record.json").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no run named"),
        (("--all",), "no records in"),
        (("abcdef",), "no run 'abcdef'"),
        (("abcdef", "--all"), "exclude each other"),
        (("--all", "--metric", "mapp"), "did you mean 'map'"),
    ],
)
def test_mistakes(harness, words, said):
    result = harness("score", *words)
    assert result.code == 2
    assert said in result.err


def test_an_unknown_filter_suggests(harness, run):
    result = harness("score", "--method", "duch-noise")
    assert result.code == 2
    assert "did you mean 'duch-noisy'" in result.err


def test_what_a_killed_score_left_goes_with_the_next_one(harness, run, folder_of):
    folder = folder_of(run)
    program = "import sys, pathlib; from harness.files.whole import temporary_for\n"
    program += "temporary_for(pathlib.Path(sys.argv[1])).mkdir()"
    subprocess.run([sys.executable, "-c", program, folder], check=True)
    assert len(list(folder.parent.iterdir())) == 2
    assert harness("score", run["hash"], "--metric", "map", "--dry-run").code == 0
    assert len(list(folder.parent.iterdir())) == 2
    assert harness("score", run["hash"], "--metric", "map").code == 0
    assert [path.name for path in folder.parent.iterdir()] == [run["hash"]]
