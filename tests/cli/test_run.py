"""``harness run``: cells and grids from options to records."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

METRIC_GROUPS = {"i2t", "t2i", "i2i", "t2t", "detector", "noise"}


def test_one_cell_from_options_to_table_and_record(harness, features, stored, results):
    words = ("--epochs", "2", "--set", "hasher.hidden=32", "--noise", "0.4")
    result = harness("run", "--method", "chnr", "--features", features(), *words)
    assert result.code == 0
    assert "chnr [epochs=2, hasher.hidden=32]" in result.out
    assert "i2t 0.4" in result.out
    assert "1/1] chnr" in result.err
    assert "warm-up 1/1, loss" in result.err
    ((cell_hash, record),) = stored().items()
    folder = results / "runs" / "chnr" / "small" / cell_hash
    assert sorted(path.name for path in folder.iterdir()) == [
        "arrays.npz",
        "log.txt",
        "model.safetensors",
        "record.json",
    ]
    assert record["status"] == "ok"


def test_record_has_every_field_of_the_issue(tiny, features):
    (record,) = tiny(
        "chnr", features(extra={"captions": np.array([f"caption {at % 90}" for at in range(240)])}), "--noise", "0.4"
    )
    assert {"schema", "hash", "status", "cell", "metrics", "timings", "environment"} <= record.keys()
    cell = record["cell"]
    assert {
        "method": "chnr",
        "hasher": "contrastive",
        "detector": "adversarial",
        "objective": "nt-xent",
        "dataset": "small",
        "noise": 0.4,
        "protocol": "derangement",
        "trusted": 0.2,
        "bits": 16,
        "seed": 0,
        "data_seed": 0,
        "backbones": {"image": {"name": "given"}, "text": {"name": "given"}},
    }.items() <= cell.items()
    assert cell["parameters"]["hasher.hidden"] == 32
    assert cell["parameters"]["phase.warm-up.epochs"] == 1
    metrics = record["metrics"]
    assert metrics.keys() == METRIC_GROUPS
    for direction in ("i2t", "t2i", "i2i", "t2t"):
        assert {
            "map",
            "map@20",
            "map_hits@50",
            "map_relevant@20",
            "p@10",
            "r@100",
            "hit@1",
            "mrr@5",
            "ndcg@10",
            "p_radius@2",
            "map_optimistic",
            "map_pessimistic",
        } <= metrics[direction].keys()
        assert all(0 <= value <= 1 for value in metrics[direction].values())
        assert (
            metrics[direction]["map_pessimistic"] <= metrics[direction]["map"] <= metrics[direction]["map_optimistic"]
        )
        assert metrics[direction]["p@1"] == pytest.approx(metrics[direction]["hit@1"])
    assert {"auroc", "auroc_class", "average_precision", "f1"} <= metrics["detector"].keys()
    noise = metrics["noise"]
    assert noise.keys() == {"requested", "realised_index", "realised_class", "realised_text", "realised_all"}
    assert noise["requested"] == 0.4
    assert noise["realised_index"] == pytest.approx(19 / 48)
    assert noise["realised_all"] == pytest.approx(19 / 60)
    assert 0 < noise["realised_class"] <= noise["realised_index"]
    assert 0 < noise["realised_text"] <= noise["realised_index"]
    assert {"features", "data", "detector", "training", "encode", "evaluate", "total"} <= record["timings"].keys()
    assert {"versions", "device", "threads", "host", "platform", "argv"} <= record["environment"].keys()
    assert set(record["metric_definitions"]) == set(metrics["i2t"])
    assert record["queries"] == {"total": 12, "without_relevant": 0}


def test_arrays_hold_what_the_design_names(tiny, features, arrays_of):
    (record,) = tiny("chnr", features(), "--noise", "0.4", "--bits", "20")
    arrays = arrays_of(record)
    assert arrays["query_image_codes"].shape == (12, 3)
    assert arrays["database_text_codes"].shape == (48, 3)
    assert arrays["query_labels"].shape == (12,)
    assert len(np.intersect1d(arrays["query_ids"], arrays["database_ids"])) == 0
    assert arrays["per_query_i2t_map"].mean() == pytest.approx(record["metrics"]["i2t"]["map"])
    assert arrays["trust"].shape == arrays["plan_image"].shape == (60,)
    assert arrays["plan_wrong"].sum() == 19
    assert not (arrays["plan_wrong"] & arrays["plan_trusted"]).any()
    assert len(arrays["curve_loss"]) == 2


def test_json_is_the_only_thing_on_standard_output_and_equals_the_records(harness, features, stored):
    result = harness("run", "--method", "cca-itq,random-codes", "--features", features(), "--bits", "8", "--json")
    assert {record["hash"]: record for record in json.loads(result.out)} == stored()
    assert "cca-itq" in result.err


def test_plugin_that_prints_does_not_disturb_json(harness, features, moody):
    # once: what a component prints ends up before the JSON.
    result = harness("run", "--method", "moody", "--features", features(), "--plugin", moody, "--json")
    assert [record["status"] for record in json.loads(result.out)] == ["ok"]


def test_grid_from_comma_lists_ranges_and_repeats(tiny, features):
    words = ("--noise", "0,0.4", "--seed", "0-1,3", "--bits", "8", "--bits", "12", "--set", "ridge=1,2")
    records = tiny("cca-itq", features(), *words)
    order = [
        (r["cell"]["noise"], r["cell"]["bits"], r["cell"]["parameters"]["hasher.ridge"], r["cell"]["seed"])
        for r in records
    ]
    assert order == [(n, b, p, s) for n in (0, 0.4) for b in (8, 12) for p in (1, 2) for s in (0, 1, 3)]
    assert len({record["hash"] for record in records}) == 24


def test_several_feature_files_make_an_axis(harness, features):
    result = harness(
        "run",
        "--method",
        "random-codes",
        "--features",
        features("one"),
        "--features",
        features("two", seed=1),
        "--json",
    )
    assert [record["cell"]["dataset"] for record in result.json] == ["one", "two"]


def test_finished_cells_stay(harness, features, results, tiny):
    path = features()
    (first,) = tiny("cca-itq", path, "--bits", "8")
    record = next(results.rglob("record.json"))
    os.utime(record, (1, 1))
    result = harness("run", "--method", "cca-itq,random-codes", "--features", path, "--bits", "8", "--json")
    assert "kept: cca-itq" in result.err
    assert "[2/2] random-codes" in result.err
    assert result.json[0] == first
    assert record.stat().st_mtime == 1


@pytest.mark.parametrize(("overwrite", "again"), [("never", []), ("failed", ["failed"]), ("always", ["failed", "ok"])])
def test_overwrite_says_which_cells_run_again(harness, features, moody, tmp_path, stored, overwrite, again):
    flag = tmp_path / "flag"
    flag.touch()
    words = (
        "run",
        "--method",
        "moody",
        "--features",
        features(),
        "--plugin",
        moody,
        "--set",
        f"while_there={flag}",
        "--set",
        "mode=well,raise",
    )
    assert harness(*words).code == 1
    before = {record["status"]: cell for cell, record in stored().items()}
    assert before.keys() == {"ok", "failed"}
    flag.unlink()
    result = harness(*words, "--overwrite", overwrite)
    assert result.code == (1 if overwrite == "never" else 0)
    assert result.err.count("kept: ") == 2 - len(again)
    after = {cell: record["status"] for cell, record in stored().items()}
    assert after == {before["ok"]: "ok", before["failed"]: "failed" if overwrite == "never" else "ok"}


FAILURES = {
    "raise": ("failed", "ValueError", "ValueError: out of patience"),
    "two lines": ("failed", "RuntimeError", "RuntimeError: one two"),
    "exit": ("failed", "SystemExit", "SystemExit: 3"),
    "interrupt": ("failed", "KeyboardInterrupt", "KeyboardInterrupt: "),
    "memory": ("oom", "MemoryError", "MemoryError: too large"),
    "nan": ("failed", "HarnessError", "hasher 'moody', encode_image: 1 of 12 items have NaN or infinite outputs."),
    "shape": ("failed", "HarnessError", "hasher 'moody': encode_image must return (12, 16); it returned (12, 15)."),
}


def test_failed_cells_leave_a_record_with_error_and_command_and_the_grid_goes_on(
    harness, features, moody, stored, results
):
    modes = ",".join([*FAILURES, "well"])
    words = ("--features", features(), "--plugin", moody, "--bits", "16", "--set", f"mode={modes}")
    result = harness("run", "--method", "moody", *words)
    assert result.code == 1
    assert "1 of 8 cells finished, 7 failed" in result.out
    found = {record["cell"]["parameters"]["hasher.mode"]: record for record in stored().values()}
    for mode, (status, kind, message) in FAILURES.items():
        record = found[mode]
        said, _, place = record["error"]["message"].partition(f" ({moody}, line ")
        assert (record["status"], record["error"]["kind"], said) == (status, kind, message)
        assert bool(place) == (kind != "HarnessError")
        assert bool(record["error"]["traceback"]) == (kind != "HarnessError")
        assert record["metrics"] == {}
        assert record["command"] in result.err
        assert not list(results.glob(f"runs/*/*/{record['hash']}/arrays.npz"))
    assert found["well"]["status"] == "ok"


@pytest.mark.parametrize("mode", ["odd state", "exit", "numpy"])
def test_no_component_can_stop_the_grid(harness, features, moody, stored, mode):
    # once: a state() without tensors ends the grid with an internal error, sys.exit() in a component without a word.
    words = ("--features", features(), "--plugin", moody, "--set", f"mode={mode},well")
    assert harness("run", "--method", "moody", *words).code == 1
    statuses = {record["cell"]["parameters"]["hasher.mode"]: record["status"] for record in stored().values()}
    assert statuses == {mode: "failed", "well": "ok"}


@pytest.mark.parametrize("said", ["nan", "above 1", "negative", "short"])
@pytest.mark.parametrize("when", ["fit", "observe", "weigh_batch"])
def test_trust_outside_the_contract_fails_the_cell_and_names_the_detector(harness, features, moody, said, when):
    # once: only what fit() returns is checked; weights of 50 from observe() or weigh_batch() give an ordinary result.
    words = ("--epochs", "2", "--set", "hidden=8", "--set", f"said={said}", "--set", f"when={when}", "--plugin", moody)
    result = harness("run", "--method", "duch-noisy", "--detector", "doubtful", "--features", features(), *words)
    assert result.code == 1
    assert "failed: detector 'doubtful'" in result.err


def test_refused_combination_is_reported_and_the_others_run(harness, features, stored):
    words = ("--trusted", "0,0.2", "--epochs", "2", "--set", "hidden=8", "--features", features())
    result = harness("run", "--method", "duch-ptc,duch-noisy", *words)
    assert result.code == 1
    assert result.err.count("refused: ") == 1
    assert "refused: method 'duch-ptc [epochs=2, hasher.hidden=8]' needs trusted pairs" in result.err
    assert sorted((r["cell"]["method"], r["cell"]["trusted"]) for r in stored().values()) == [
        ("duch-noisy", 0),
        ("duch-noisy", 0.2),
        ("duch-ptc", 0.2),
    ]


def test_dry_run_shows_cells_and_creates_nothing(harness, features, results, tiny):
    words = ("--method", "cca-itq,chnr", "--features", features(), "--seed", "0-1", "--bits", "16")
    result = harness("run", *words, "--dry-run")
    assert result.code == 0
    assert "4 cells, 4 to run." in result.out
    assert not results.exists()
    tiny("cca-itq", features(), "--seed", "1")
    rows = harness("run", *words, "--dry-run", "--json").json
    assert [(row["state"], row["will_run"]) for row in rows] == [("missing", True), ("ok", False)] + 2 * [
        ("missing", True)
    ]


def test_limited_run_is_marked_and_left_out_of_tables(harness, features, tiny):
    path = features()
    (limited,) = tiny("cca-itq", path, "--limit", "60")
    assert limited["cell"]["limit"] == 60
    assert sum(limited["cell"]["images"][part] for part in ("train", "query", "database")) == 60
    assert "LIMITED" in harness("run", "--method", "cca-itq", "--features", path, "--limit", "60").out
    assert harness("table").code == 2
    tiny("cca-itq", path)
    assert "LIMITED" not in harness("table").out


def test_every_metric_named_gets_a_table(harness, features):
    words = ("--features", features(), "--metric", "map,p@10", "--metric", "map_relevant@20")
    result = harness("run", "--method", "cca-itq", *words)
    titles = [line.partition(" on small")[0] for line in result.out.splitlines() if " on small, " in line]
    assert titles == ["map", "p@10", "map_relevant@20"]


def test_edited_plugin_is_run_again_and_a_new_comment_is_not(harness, features, moody, stored):
    words = ("run", "--method", "moody", "--features", features(), "--plugin", moody, "--json")
    harness(*words)
    code = moody.read_text()
    moody.write_text("# only a remark\n" + code)
    assert "kept: moody" in harness(*words).err
    moody.write_text(code.replace("1.0 * torch", "-1.0 * torch"))
    result = harness(*words)
    assert "kept" not in result.err
    assert len(stored()) == 2


def test_interrupt_keeps_finished_cells_and_leaves_nothing_half_written(harness, features, moody, stored):
    words = ("--features", features(), "--plugin", moody, "--set", "mode=well,stop", "--seed", "0")
    result = harness("run", "--method", "moody", *words)
    assert result.code == 130
    assert "Stopping now: cells that run are lost, finished ones are kept." in result.err
    assert [record["cell"]["parameters"]["hasher.mode"] for record in stored().values()] == ["well"]


@pytest.mark.parametrize("method", ["chnr", "duch-noisy", "cca-itq", "random-codes"])
def test_codes_depend_on_the_training_seed_alone(tiny, features, codes_of, method, monkeypatch):
    path = features()
    (first,) = tiny(method, path, "--noise", "0.4")
    codes = codes_of(first)
    np.random.seed(12345)  # noqa: NPY002 - the global state must not matter
    (again,) = tiny(method, path, "--noise", "0.4", "--overwrite", "always")
    assert codes_of(again) == codes
    assert again["metrics"] == first["metrics"]
    (other,) = tiny(method, path, "--noise", "0.4", "--seed", "1")
    assert codes_of(other) != codes
    assert other["plan"] == first["plan"]


def test_cells_of_a_grid_do_not_influence_each_other(tiny, features, codes_of):
    path = features()
    (alone,) = tiny("chnr", path, "--noise", "0.4", "--seed", "1")
    codes = codes_of(alone)
    records = tiny("chnr", path, "--noise", "0.2,0.4", "--seed", "0-1", "--overwrite", "always")
    assert codes_of(next(record for record in records if record["hash"] == alone["hash"])) == codes


def test_noise_is_nested_over_rates_and_shared_by_methods(tiny, features, arrays_of):
    path = features()
    plans = {rate: arrays_of(tiny("random-codes", path, "--noise", rate)[0]) for rate in (0.2, 0.4, 0.999)}
    assert (plans[0.2]["plan_wrong"] <= plans[0.4]["plan_wrong"]).all()
    assert (plans[0.4]["plan_wrong"] <= plans[0.999]["plan_wrong"]).all()
    assert plans[0.999]["plan_wrong"].sum() == 48
    other = arrays_of(tiny("duch-noisy", path, "--noise", "0.4", "--seed", "3")[0])
    assert np.array_equal(other["plan_caption"], plans[0.4]["plan_caption"])


def test_multi_label_features(tiny, features):
    (record,) = tiny("chnr", features(multi=True), "--noise", "0.3", "--protocol", "derangement")
    assert 0 < record["metrics"]["noise"]["realised_class"] < record["metrics"]["noise"]["realised_index"]


@pytest.mark.parametrize("method", ["chnr", "duch-ptc", "duch-noisy", "cca-itq"])
@pytest.mark.parametrize("n", [20, 9])
def test_very_few_images(harness, features, method, n):
    words = ("--epochs", "2", "--noise", "0.4", "--trusted", "0.5")
    result = harness("run", "--method", method, "--features", features(n=n, classes=2), *words, "--json")
    assert result.code == 0, result.err
    assert result.json[0]["cell"]["images"]["train"] == n // 2


def test_training_images_with_split_code_3_are_in_the_database_too(tiny, features, arrays_of):
    split = np.where(np.arange(120) % 6 == 0, 1, np.where(np.arange(120) % 2, 3, 2))
    (record,) = tiny("duch-noisy", features(extra={"split": split}), "--noise", "0.4")
    assert record["cell"]["images"] == {"train": 60, "trusted": 12, "query": 20, "database": 100}
    arrays = arrays_of(record)
    assert np.isin(arrays["plan_image"], arrays["database_ids"]).all()
    assert arrays["database_labels"].shape == (100,)
    assert np.array_equal(arrays["database_ids"], np.flatnonzero(split != 1))


def test_natural_noise_is_taken_as_it_is(tiny, features, arrays_of, harness):
    wrong = np.arange(120) % 3 == 0
    path = features(extra={"wrong": wrong, "trusted": np.arange(120) % 3 == 1})
    (record,) = tiny("chnr", path)
    assert (record["cell"]["noise"], record["cell"]["protocol"]) == (None, "given")
    arrays = arrays_of(record)
    assert np.array_equal(arrays["plan_wrong"], wrong[arrays["plan_image"]])
    assert record["cell"]["images"]["trusted"] == arrays["plan_trusted"].sum() > 0
    assert (arrays["plan_caption"] == arrays["plan_own_caption"]).all()
    assert record["metrics"]["noise"]["requested"] is None
    assert record["metrics"]["noise"]["realised_index"] == pytest.approx(
        wrong[arrays["plan_image"]][~arrays["plan_trusted"]].mean()
    )
    assert 0 <= record["metrics"]["detector"]["auroc"] <= 1
    assert "as given" in harness("table").out
    result = harness("run", "--method", "cca-itq", "--features", path, "--noise", "0.4")
    assert result.code == 2
    assert "say themselves which pairs are wrong (array or column 'wrong')" in result.err


def test_trusted_pairs_of_the_file_go_over_the_share_asked_for(harness, features):
    path = features(extra={"trusted": np.arange(120) < 30})
    result = harness("run", "--method", "cca-itq", "--features", path, "--trusted", "0.9", "--json")
    assert "--trusted 0.9 is not used" in result.err
    assert result.json[0]["cell"]["trusted"] == pytest.approx(
        result.json[0]["cell"]["images"]["trusted"] / 60, abs=1e-6
    )


def test_noise_plan_of_an_export_is_used_and_one_of_other_data_is_refused(harness, features, tmp_path, tiny, arrays_of):
    path, plan = features(), tmp_path / "plan.npz"
    assert harness("data", "export", "--features", path, "--noise", "0.4", "--data-seed", "3", "-o", plan).code == 0
    (drawn,) = tiny("cca-itq", path, "--noise", "0.4", "--data-seed", "3")
    (imported,) = tiny("cca-itq", path, "--noise-plan", plan, "--data-seed", "3")
    assert imported["cell"]["noise"] == 0.4
    assert imported["plan"] == drawn["plan"]
    assert np.array_equal(arrays_of(imported)["plan_caption"], arrays_of(drawn)["plan_caption"])
    for words, reason in (
        (("--features", features("other", seed=5)), "is of other data"),
        (("--features", path, "--data-seed", "4"), "of another split"),
        (("--features", path, "--data-seed", "3", "--noise", "0.2"), "contradicts"),
        (("--features", path, "--data-seed", "3", "--protocol", "shuffle"), "contradicts"),
    ):
        result = harness("run", "--method", "cca-itq", *words, "--noise-plan", plan, "--results", tmp_path / "refused")
        assert result.code != 0, reason
        assert reason in result.err
