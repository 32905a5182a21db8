"""``harness show`` and ``harness table``."""

from __future__ import annotations

import shlex

import numpy as np
import pytest


def test_show_by_prefix_gives_facts_metrics_and_notes(harness, features, tiny):
    (record,) = tiny("chnr", features(extra={"trusted": np.arange(120) < 30}), "--noise", "0.4", "--trusted", "0.9")
    out = harness("show", record["hash"][:6]).out
    assert out.startswith("chnr [epochs=2, hasher.hidden=32] on small: ok\n")
    assert record["hash"] in out
    assert "hasher contrastive, detector adversarial, objective nt-xent" in out
    assert f"{record['metrics']['i2t']['map_relevant@20']:.3f}" in out
    assert "derangement" in out
    assert "note: --trusted 0.9 is not used" in out


def test_the_command_that_show_ends_with_works(harness, features, tiny, results, tmp_path):
    (record,) = tiny("cca-itq", features())
    elsewhere = tmp_path / "moved here"
    results.rename(elsewhere)
    out = harness("show", record["hash"][:6], "--results", elsewhere).out
    (line,) = [line for line in out.splitlines() if line.startswith("All metrics")]
    words = shlex.split(line.partition("harness ")[2])
    assert harness(*words).json["hash"] == record["hash"]


def test_show_json_is_the_record(harness, features, tiny, stored):
    (record,) = tiny("cca-itq", features())
    assert harness("show", record["hash"], "--json").json == record == stored()[record["hash"]]


def test_show_finds_a_run_by_its_folder_wherever_that_is(harness, features, tiny, results, tmp_path):
    (record,) = tiny("cca-itq", features())
    folder = next(results.rglob("record.json")).parent
    moved = tmp_path / "sent by mail, (1)"
    folder.rename(moved)
    assert record["hash"] in harness("show", moved).out
    assert record["hash"] in harness("show", moved / "record.json").out
    assert harness("show", record["hash"]).code == 2


def test_show_of_a_failed_run_gives_error_traceback_and_command(harness, features, moody, stored):
    harness("run", "--method", "moody", "--features", features(), "--plugin", moody, "--set", "mode=raise")
    ((cell_hash, record),) = stored().items()
    out = harness("show", cell_hash).out
    assert "failed" in out.splitlines()[0]
    assert "ValueError: out of patience" in out
    assert f"repeat with: {record['command']}" in out
    assert 'raise ValueError("out of patience")' in out


@pytest.mark.parametrize("method", ["cca-itq", "random-codes", "duch-noisy"])
def test_table_agrees_with_the_records(harness, features, tiny, method):
    records = tiny(method, features(), "--seed", "0-2", "--noise", "0.4")
    maps = np.array([record["metrics"]["i2t"]["map"] for record in records])
    out = harness("table").out
    assert f"{maps.mean():.3f} ± {maps.std(ddof=1):.3f}" in out


def test_table_of_several_metrics_methods_and_data_sets(harness, features, tiny):
    for name in ("one", "two"):
        tiny("cca-itq", features(name))
        tiny("random-codes", features(name))
    out = harness("table", "--metric", "map,p@10", "--dataset", "two", "--method", "random-codes").out
    assert [line.partition(",")[0] for line in out.splitlines() if " on " in line] == ["map on two", "p@10 on two"]
    assert "cca-itq" not in out


def test_table_lists_runs_with_their_hashes(harness, features, tiny, moody):
    (good,) = tiny("cca-itq", features())
    harness("run", "--method", "moody", "--features", features(), "--plugin", moody, "--set", "mode=raise")
    lines = harness("table", "--runs").out.splitlines()
    assert len(lines) == 4
    assert any(line.startswith(f"{good['hash']}  ok") for line in lines)
    assert any("failed" in line and "moody [hasher.mode=raise]" in line for line in lines)


@pytest.mark.parametrize(
    ("option", "value", "near"), [("--dataset", "smal", "'small'"), ("--method", "cca", "'cca-itq'")]
)
def test_table_of_something_that_has_no_records_names_what_has(harness, features, tiny, option, value, near):
    tiny("cca-itq", features())
    result = harness("table", option, value)
    assert result.code == 2
    assert near in result.err


def test_table_of_failed_runs_only_says_so(harness, features, moody):
    harness("run", "--method", "moody", "--features", features(), "--plugin", moody, "--set", "mode=raise")
    result = harness("table")
    assert result.code == 2
    assert "no finished run" in result.err
    assert "left out: 1 run that failed;" in result.err


@pytest.fixture
def metric_plugin(tmp_path):
    """A plugin file with the metric ``one``, which is always 1."""
    file = tmp_path / "metric.py"
    file.write_text(
        "import numpy\nfrom harness import hookimpl\n\ndef one(histogram):\n"
        "    return numpy.ones(len(histogram.total_relevant))\n\n@hookimpl\ndef register_metrics(register):\n"
        "    register('one', one, summary='s', definition='always 1')\n"
    )
    return file


def test_metric_of_a_plugin_file_can_be_put_into_a_table(harness, features, metric_plugin):
    # once: `harness table` has no --plugin, so the metric of a loose plugin is stored and can never be shown again.
    words = ("run", "--method", "cca-itq", "--features", features(), "--plugin", metric_plugin, "--metric", "one")
    assert "1.000" in harness(*words).out
    result = harness("table", "--plugin", metric_plugin, "--metric", "one")
    assert result.code == 0, result.err
    assert "1.000" in result.out


def test_metric_that_kept_runs_do_not_have_is_remarked_upon(harness, features, tiny, metric_plugin):
    # once: a run kept from before the metric was registered gives neither a table nor a word about it.
    tiny("cca-itq", features(), "--bits", "64")
    result = harness(
        "run", "--method", "cca-itq", "--features", features(), "--plugin", metric_plugin, "--metric", "one"
    )
    assert "made without metric one" in result.out


def test_damaged_record_is_left_out_of_the_table_with_a_note(harness, features, tiny, results):
    tiny("cca-itq", features(), "--seed", "0-1")
    path = sorted(results.rglob("record.json"))[0]
    path.write_text("{")
    result = harness("table")
    assert result.code == 0
    assert f"note: {path} is left out" in result.err
    assert "±" not in result.out
