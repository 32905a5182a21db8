"""A results folder as a data frame: one row for each record, its facts and metrics in columns."""

from __future__ import annotations

import json
import logging
import math

import pandas as pd
import pytest

from harness.records.facts import metric_values
from harness.records.schema import Failure
from harness.records.store import RunStore
from harness.report import load_records, records_frame
from harness.report.frame import NOT_CODE, SETTING

FACTS = {
    "row", "method", "hasher", "detector", "objective", "noise", "seed", "data_seed", "dataset", "protocol", "trusted",
    "bits", "standardise", "precision", "limit",
}  # fmt: skip


@pytest.fixture
def folder(record, tmp_path):
    """``folder(record, ...)``: a results folder that holds them."""

    def write(*records):
        store = RunStore(tmp_path / "results")
        store.check_writable()
        for one in records:
            store.write(one)
        return store.results

    return write


def test_folder_is_read_into_one_row_for_each_record(folder, record):
    made = [record(hash=f"{seed:012x}", cell={"seed": seed, "method": method}) for seed, method in enumerate("abc")]
    frame = load_records(folder(*made))
    assert len(frame) == 3
    assert set(frame["hash"]) == {one.hash for one in made}
    for one in made:
        (row,) = frame[frame["hash"] == one.hash].to_dict("records")
        assert {name: row[name] for name in FACTS if row[name] is not None and row[name] == row[name]} == {
            name: value for name in FACTS if (value := getattr(one.cell, name)) is not None
        }
        assert (row["status"], row["finished"], row["seconds"]) == ("ok", one.finished, 1.5)


def test_what_is_read_equals_what_was_in_memory(folder, record):
    made = [record(hash=f"{seed:012x}", cell={"seed": seed}) for seed in range(3)]
    pd.testing.assert_frame_equal(load_records(str(folder(*made))), records_frame(made))


def test_metrics_become_columns_named_by_direction_or_group(record):
    metrics = {
        "i2t": {"map": 0.5, "p@10": 0.25},
        "t2i": {"map": None},
        "detector": {"auroc": 0.75, "reason": "no wrong pair"},
        "noise": {"requested": 0.4, "realised_index": 0.39},
    }
    (row,) = records_frame([record(metrics=metrics)]).to_dict("records")
    assert {key: value for key, value in row.items() if "/" in key} == {
        "i2t/map": 0.5,
        "i2t/p@10": 0.25,
        "t2i/map": None,
        "detector/auroc": 0.75,
        "noise/requested": 0.4,
        "noise/realised_index": 0.39,
    }


def test_text_in_the_place_of_a_metric_is_no_number_of_the_frame(record):
    edited = record(status="invalid", metrics={"i2t": {"map": "high", "p@1": 1.0}})
    frame = records_frame([edited, record(metrics={"i2t": {"map": 0.5}})])
    assert frame["i2t/map"].dtype == float
    assert metric_values(edited) == {"i2t/map": "high", "i2t/p@1": 1.0}


def test_metric_that_one_record_lacks_is_missing_there_alone(record):
    frame = records_frame([record(metrics={"i2t": {"map": 0.5}}), record(metrics={"i2t": {"p@1": 1.0}})])
    assert frame["i2t/map"][0] == 0.5
    assert math.isnan(frame["i2t/map"][1])
    assert math.isnan(frame["i2t/p@1"][0])


def test_failed_records_are_rows_without_metrics(folder, record):
    failure = Failure(kind="ValueError", message="m", traceback=[])
    broken = record(hash="f" * 12, status="failed", metrics={}, timings={}, error=failure)
    frame = load_records(folder(record(), broken))
    assert sorted(frame["status"]) == ["failed", "ok"]
    row = frame[frame["status"] == "failed"].iloc[0]
    assert pd.isna(row["i2t/map"])
    assert pd.isna(row["seconds"])


def test_folder_without_records_gives_an_empty_frame_with_the_columns_that_tables_need(tmp_path):
    for place in (tmp_path / "nothing", tmp_path):
        frame = load_records(place)
        assert frame.empty
        assert {"status", "row", "noise", *SETTING} <= set(frame.columns)


def test_default_folder_is_results(folder, record, monkeypatch, tmp_path):
    folder(record())
    monkeypatch.chdir(tmp_path)
    assert len(load_records()) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 999}'])
def test_record_that_cannot_be_read_is_named_in_a_note_and_left_out(folder, record, caplog, content):
    results = folder(record(), record(hash="a" * 12))
    (path,) = results.glob(f"runs/*/*/{'a' * 12}/record.json")
    path.write_text(content)
    with caplog.at_level(logging.WARNING, logger="harness"):
        frame = load_records(results)
    assert list(frame["hash"]) == ["0123456789ab"]
    assert str(path) in caplog.text


def test_folder_that_is_being_written_is_not_read(folder, record):
    results = folder(record())
    (path,) = results.glob("runs/*/*/*/record.json")
    unfinished = path.parent.with_name(".0123456789ab.new-xyz")
    unfinished.mkdir()
    (unfinished / "record.json").write_text(path.read_text())
    assert len(load_records(results)) == 1


def test_grants_are_joined_and_none_are_an_empty_text(record):
    frame = records_frame([record(), record(cell={"granted": ["class-labels", "noise-mask"]})])
    assert list(frame["granted"]) == ["", "class-labels, noise-mask"]


@pytest.mark.parametrize(
    ("described", "name"),
    [
        ({"name": "given"}, "given"),
        ({"name": "torchvision/resnet18", "weights": "sha256:ab"}, "torchvision/resnet18 (sha256:ab)"),
        ({"name": "h", "weights": "", "parameters": {"size": 64, "bins": 8}}, "h (bins=8, size=64)"),
        ({"name": "h", "weights": "w", "parameters": {"z": 1}}, "h (w, z=1)"),
        (None, ""),
    ],
)
def test_backbones_are_named_with_everything_that_sets_them_apart(record, described, name):
    backbones = {"text": {"name": "given"}} if described is None else {"image": described, "text": {"name": "given"}}
    frame = records_frame([record(cell={"backbones": backbones})])
    assert list(frame["image_backbone"]) == [name]
    assert list(frame["text_backbone"]) == ["given"]


@pytest.mark.parametrize("key", sorted(NOT_CODE - {"data", "plan"}))
def test_code_column_is_blind_to_seeds_data_and_setting(record, key):
    one, other = records_frame([record(identity={"data": "d", key: 1}), record(identity={"data": "d", key: 2})])["code"]
    assert one == other


@pytest.mark.parametrize("key", ["parameters", "phases", "sources", "versions", "hasher"])
def test_code_column_feels_components_parameters_and_their_code(record, key):
    one, other = records_frame([record(identity={key: {"a": 1}}), record(identity={key: {"a": 2}})])["code"]
    assert one != other


def test_order_of_keys_is_no_difference_of_code(record):
    first, second = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    one, other = records_frame([record(identity={"parameters": first}), record(identity={"parameters": second})])[
        "code"
    ]
    assert one == other


def test_frame_serves_a_notebook_mean_over_seeds(folder, record):
    made = [
        record(hash=f"{seed + 10 * int(10 * noise):012x}", cell={"seed": seed, "noise": noise},
               metrics={"i2t": {"map": value}})
        for noise, values in ((0.2, (0.4, 0.6)), (0.4, (0.1, 0.2)))
        for seed, value in enumerate(values)
    ]  # fmt: skip
    means = load_records(folder(*made)).groupby(["method", "noise"])["i2t/map"].mean()
    assert means.to_dict() == {("cca-itq", 0.2): pytest.approx(0.5), ("cca-itq", 0.4): pytest.approx(0.15)}


def test_public_name_reads_real_records(harness, features, tmp_path):
    assert harness("run", "--method", "random-codes", "--features", features(), "--seed", "0-1").code == 0
    frame = load_records(tmp_path / "results")
    assert sorted(frame["seed"]) == [0, 1]
    stored = [json.loads(path.read_text()) for path in tmp_path.glob("results/runs/*/*/*/record.json")]
    by_hash = {one["hash"]: one["metrics"]["i2t"]["map"] for one in stored}
    assert dict(zip(frame["hash"], frame["i2t/map"], strict=True)) == by_hash
    assert frame["code"].nunique() == 1
