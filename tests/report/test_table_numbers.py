"""Tables against an independent computation: the files read with json, averaged with plain pandas."""

from __future__ import annotations

import io
import math
import time

import pandas as pd
import pytest
from reference.record_folders import random_runs, raw

from harness.report import records_frame
from harness.report.tables import comparison_tables

KEYS = ["dataset", "bits", "row", "direction", "noise"]


def expected(results) -> pd.DataFrame:
    """Mean, deviation, number and place of each cell."""
    runs = raw(results)
    long = runs.melt(id_vars=[name for name in runs if name not in ("i2t", "t2i")], var_name="direction",
                     value_name="value")  # fmt: skip
    long["value"] = pd.to_numeric(long["value"])
    finished = long[(long["status"] == "ok") & long["value"].notna()]
    cells = finished.groupby(KEYS)["value"].agg(mean="mean", std="std", n="count").reset_index()
    cells["place"] = ""
    for _, contest in cells[cells["row"] != "oracle"].groupby(["dataset", "bits", "direction", "noise"]):
        means = contest["mean"].round(12)
        first = means.max()
        if len(means) < 2 or means.min() == first:
            continue
        winners = contest.index[means == first]
        cells.loc[winners, "place"] = "best"
        if len(winners) == 1:
            second = means[means < first].max()
            cells.loc[contest.index[means == second], "place"] = "runner-up"
    return cells.set_index(KEYS).sort_index()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "layout",
    [
        (),
        ("--rows", "method", "--columns", "noise", "--by", "dataset,direction,bits"),
        ("--rows", "direction,method", "--columns", "bits,noise", "--by", "dataset"),
        ("--rows", "noise,bits", "--columns", "method", "--by", "direction"),
        ("--preset", "bits"),
    ],
    ids=" ".join,
)
def test_every_cell_equals_plain_pandas(harness, written, seed, layout):
    results = written(*random_runs(seed))
    shown = harness("table", *layout, "--format", "csv")
    assert shown.code == 0, shown.err
    cells = pd.read_csv(io.StringIO(shown.out), keep_default_na=False, na_values={"mean": "", "std": ""})
    cells = cells.rename(columns={"method": "row"})
    for name in ("bits", "dataset"):
        assert name in cells or name == "bits", cells.columns
    filled = cells[cells["n"] > 0].set_index(KEYS).sort_index()
    wanted = expected(results)
    assert list(filled.index) == list(wanted.index)
    for name in ("mean", "std"):
        pd.testing.assert_series_equal(filled[name], wanted[name], rtol=1e-12, check_dtype=False)
    assert filled["n"].tolist() == wanted["n"].tolist()
    assert filled["place"].tolist() == wanted["place"].tolist()
    empty = cells[cells["n"] == 0]
    assert (empty["reason"] != "").all()
    assert (empty["place"] == "").all()


@pytest.mark.parametrize("seed", range(2))
def test_reasons_of_empty_cells_follow_from_the_files(harness, written, seed):
    results = written(*random_runs(seed))
    shown = harness("table", "--by", "dataset,bits", "--format", "csv")
    cells = pd.read_csv(io.StringIO(shown.out), keep_default_na=False)
    runs = raw(results)
    for cell in cells[cells["n"] == 0].itertuples():
        its = runs[
            (runs["row"] == cell.method) & (runs["dataset"] == cell.dataset) & (runs["bits"] == cell.bits)
            & (runs["noise"] == cell.noise)
        ]  # fmt: skip
        if its.empty:
            assert cell.reason == "not run"
        elif (its["status"] == "ok").all():
            assert cell.reason == "the metric has no value"
        else:
            assert cell.reason in {f"{status}, it broke" for status in its["status"]}


def test_parquet_holds_the_same_as_csv(harness, written, tmp_path):
    pytest.importorskip("pyarrow")
    written(*random_runs(7))
    file = tmp_path / "table.parquet"
    assert harness("table", "-o", file).code == 0
    one = pd.read_parquet(file)
    other = pd.read_csv(io.StringIO(harness("table", "--format", "csv").out))
    assert list(one.columns) == list(other.columns)
    for name in ("mean", "std", "n"):
        assert one[name].tolist() == pytest.approx(other[name].tolist(), nan_ok=True)


def test_equal_means_share_the_first_place_and_nobody_is_second(harness, written):
    written(*({"method": name, "i2t": value} for name, value in (("a", 0.5), ("b", 0.5), ("c", 0.4))))
    shown = harness("table", "--metric", "i2t/map", "--columns", "noise", "--format", "github").out
    assert shown.count("**0.500**") == 2
    assert "<u>" not in shown.split("Mean")[0].split("One run")[0]


def test_equal_runners_up_are_both_marked(harness, written):
    written(*({"method": name, "i2t": value} for name, value in (("a", 0.5), ("b", 0.4), ("c", 0.4), ("d", 0.1))))
    shown = harness("table", "--metric", "i2t/map", "--columns", "noise", "--format", "github").out
    assert shown.count("**0.500**") == 1
    assert shown.count("<u>0.400</u>") == 2


def test_lower_is_better_for_costs(harness, written):
    timings = {"a": 3.0, "b": 1.0, "c": 2.0}
    written(*({"method": name, "timings": {"training": value}, "i2t": 0.5} for name, value in timings.items()))
    shown = harness("table", "--metric", "timings/training", "--columns", "noise", "--format", "plain").out
    rows = {line.split()[0]: line.split()[1] for line in shown.splitlines() if line[:1] in timings}
    assert rows == {"a": "3", "b": "1¹", "c": "2²"}


def test_an_oracle_is_never_the_best_and_the_table_says_so(harness, written):
    written(
        {"method": "good", "i2t": 0.4},
        {"method": "worse", "i2t": 0.3},
        {"method": "told", "i2t": 0.9, "granted": ["noise-mask"]},
    )
    shown = harness("table", "--metric", "i2t/map", "--columns", "noise", "--format", "github").out
    assert "**0.400**" in shown
    assert "<u>0.300</u>" in shown
    assert "0.900 |" in shown
    assert "told<sup>†</sup>" in shown
    assert "† told was granted noise-mask: not unsupervised, never marked as best." in shown


def test_a_row_alone_is_not_the_best_of_anything(harness, written):
    written({"i2t": 0.4})
    shown = harness("table", "--metric", "i2t/map", "--columns", "noise", "--format", "github").out
    assert "**0.400**" not in shown
    assert "One run in each cell, so there is no deviation." in shown


def test_robustness_is_the_trapezoid_of_the_means(harness, written):
    values = {0.0: (0.8, 0.6), 0.2: (0.7, 0.5), 0.6: (0.3, 0.1)}
    written(
        *(
            {"noise": noise, "seed": seed, "i2t": value, "t2i": value / 2}
            for noise, pair in values.items()
            for seed, value in enumerate(pair)
        )
    )
    shown = harness("table", "--preset", "robustness", "--format", "csv").out
    cells = pd.read_csv(io.StringIO(shown)).set_index(["direction", "metric"])["mean"]
    means = [sum(pair) / 2 for pair in values.values()]
    area = ((means[0] + means[1]) / 2 * 0.2 + (means[1] + means[2]) / 2 * 0.4) / 0.6
    assert math.isclose(cells["i2t", "map area"], area)
    assert math.isclose(cells["t2i", "map area"], area / 2)
    assert math.isclose(cells["i2t", "map drop"], means[0] - means[2])
    assert math.isclose(cells["i2t", "map relative"], (means[0] - means[2]) / means[0])


def test_curves_over_different_rates_are_not_ranked(harness, written):
    runs = [{"method": "a", "noise": noise, "i2t": 0.5 - noise} for noise in (0.0, 0.2, 0.4)]
    runs += [{"method": "b", "noise": noise, "i2t": 0.6 - noise} for noise in (0.0, 0.2)]
    written(*runs)
    shown = harness("table", "--preset", "robustness", "--metric", "i2t/map", "--format", "github").out
    assert "**" not in shown.partition("|")[2].rpartition("|")[0]
    assert "no best is marked in area, drop, relative drop" in shown
    assert "noise rates 0, 0.2, 0.4" in shown


def test_ten_thousand_records_are_tabulated_in_time(record):
    """Always on, with a wide margin; tests/benchmarks measures whole commands, with the folder and the index."""
    one = records_frame([record()])
    grid = [
        (method, noise, bits, seed)
        for method in range(10)
        for noise in range(10)
        for bits in range(10)
        for seed in range(10)
    ]
    frame = pd.concat([one] * len(grid), ignore_index=True)
    for place, name in enumerate(("row", "noise", "bits", "seed")):
        frame[name] = [
            f"m{point[0]}" if name == "row" else point[place] / (10 if name == "noise" else 1) for point in grid
        ]
    frame["i2t/map"] = [(hash(point) % 1000) / 1000 for point in grid]
    start = time.process_time()
    tables = comparison_tables(frame, "map")
    assert time.process_time() - start < 3
    assert len(tables) == 10
    assert all(cell.n == 10 for table in tables for (_, column), cell in table.cells.items() if column[0] == "i2t")


def test_notes_of_grants_go_to_their_own_rows(harness, written):
    written(
        *(
            {"method": name, "i2t": 0.5, "granted": [grant]}
            for name, grant in (("a", "noise-mask"), ("b", "class-labels"))
        )
    )
    out = harness("table", "--metric", "i2t/map", "--columns", "noise", "--format", "csv").out
    notes = pd.read_csv(io.StringIO(out)).set_index("method")["notes"]
    assert notes["a"].startswith("a was granted noise-mask")
    assert "b was granted" not in notes["a"]
    assert notes["b"].startswith("b was granted class-labels")


def test_a_single_direction_is_named_where_no_axis_says_it(harness, written):
    written({"i2t": 0.5})
    words = ("--metric", "i2t/map", "--columns", "noise", "--by", "dataset")
    assert harness("table", *words).out.startswith("i2t/map on small")
    assert pd.read_csv(io.StringIO(harness("table", *words, "--format", "csv").out))["direction"].tolist() == ["i2t"]
