"""Comparison tables: means and deviations, what stands together, and what is left out."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from harness.records.schema import Failure
from harness.records.store import RunStore
from harness.report import load_records, records_frame
from harness.report.tables import comparison_tables, render


@pytest.fixture
def run(record):
    """``run(0.5, seed=1, noise=0.2, ...)``: a record with map ``0.5`` for i2t and half of it for t2i."""
    counter = iter(range(10**6))

    def make(value, *, code="c", data="d", plan=None, finished=None, metric="map", metrics=None, **cell):
        changed = {key: cell.pop(key) for key in ("status", "error") if key in cell}
        number = next(counter)
        identity = {"data": data, "plan": plan, "sources": {"hasher": code}, "versions": {}, "protocol_version": 1}
        shown = {"i2t": {metric: value}, "t2i": {metric: None if value is None else value / 2}}
        name = cell.pop("row", cell.get("method", "cca-itq"))
        return record(
            cell={"row": name, **cell},
            hash=f"{number:012x}",
            identity={**identity, "parameters": cell.get("parameters", {})},
            metrics=metrics or shown,
            finished=finished or f"2026-01-01T00:00:{number % 60:02d}+00:00",
            **changed,
        )

    return make


def tables(records, metric="map", **options):
    return comparison_tables(records_frame(records), metric, **options)


def header(table) -> list[str]:
    """Columns as the terminal shows them."""
    return [" ".join(table.column_label(column)) for column in table.columns]


def cells(table) -> dict[str, dict[str, str]]:
    """Row name (with the mark of grants) to column to text without other marks, and the number of runs."""
    return {
        " ".join([*table.row_label(row), *(mark for mark in table.row_marks.get(row, []) if mark == "†")]): {
            **{
                name: table.cells[row, column].text() for name, column in zip(header(table), table.columns, strict=True)
            },
            "runs": table.runs(row),
        }
        for row in table.rows
    }


def notes(table) -> list[str]:
    return [f"{note.mark} {note.text}".strip() for note in table.notes]


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_mean_and_deviation_over_seeds_agree_with_pandas(run, n):
    values = np.random.default_rng(n).random((2, n))
    records = [
        run(value, seed=seed, noise=noise)
        for noise, line in zip((0.2, 0.4), values, strict=True)
        for seed, value in enumerate(line)
    ]
    (table,) = tables(records)
    shown = cells(table)["cca-itq"]
    for noise, line in zip((0.2, 0.4), values, strict=True):
        series = pd.Series(line)
        assert shown[f"i2t {noise:g}"] == f"{series.mean():.3f} ± {series.std():.3f}"
        assert shown[f"t2i {noise:g}"] == f"{line.mean() / 2:.3f} ± {line.std(ddof=1) / 2:.3f}"
    assert shown["runs"] == str(n)


def test_one_run_has_no_deviation(run):
    (table,) = tables([run(0.12345)])
    assert cells(table)["cca-itq"] == {"i2t 0.4": "0.123", "t2i 0.4": "0.062", "runs": "1"}


def test_training_seeds_and_data_seeds_are_both_averaged(run):
    (table,) = tables(
        [run(value, seed=value_at // 2, data_seed=value_at % 2) for value_at, value in enumerate([0.1, 0.2, 0.3, 0.4])]
    )
    assert cells(table)["cca-itq"]["i2t 0.4"].startswith("0.250")
    assert cells(table)["cca-itq"]["runs"] == "4"


def test_missing_values_are_shown_as_such_and_counted(run):
    (table,) = tables(
        [run(0.5, noise=0.2), run(0.3, noise=0.2, seed=1), run(0.7, noise=0.4), run(0.9, method="chnr", noise=0.4)]
    )
    assert header(table) == ["i2t 0.2", "i2t 0.4", "t2i 0.2", "t2i 0.4"]
    assert cells(table)["cca-itq"]["runs"] == "1-2"
    assert cells(table)["chnr"] == {"i2t 0.2": "-", "i2t 0.4": "0.900", "t2i 0.2": "-", "t2i 0.4": "0.450", "runs": "1"}


def test_direction_that_was_not_computed_is_a_dash(run):
    (table,) = tables([run(0.5, metrics={"i2t": {"map": 0.5}})])
    assert cells(table)["cca-itq"] == {"i2t 0.4": "0.500", "t2i 0.4": "-", "runs": "1"}


def test_noise_rates_stand_in_order_with_natural_noise_first(run):
    (table,) = tables([run(0.5, noise=rate, method=str(rate)) for rate in (0.8, None, 0.0, 0.25)])
    assert header(table)[:4] == ["i2t as given", "i2t 0", "i2t 0.25", "i2t 0.8"]
    assert cells(table)["None"]["i2t as given"] == "0.500"


def test_rows_stand_in_the_order_in_which_they_were_first_run(run):
    (table,) = tables([run(0.5, method=name) for name in ("zeta", "alpha", "mid", "alpha")])
    assert list(cells(table)) == ["zeta", "alpha", "mid"]


def test_variants_of_a_method_are_never_averaged(run):
    (table,) = tables([run(0.2), run(0.8, row="cca-itq [hasher.ridge=2.0]", parameters={"hasher.ridge": 2.0})])
    assert cells(table)["cca-itq"]["i2t 0.4"] == "0.200"
    assert cells(table)["cca-itq [hasher.ridge=2.0]"]["i2t 0.4"] == "0.800"


NOT_COMPARABLE = {
    "data set": {"dataset": "other"},
    "data of the same name": {"data": "other"},
    "protocol": {"protocol": "cross-class"},
    "trusted share": {"trusted": 0.3},
    "code length": {"bits": 32},
    "standardisation": {"standardise": "none"},
    "image backbone": {"backbones": {"image": {"name": "resnet"}, "text": {"name": "given"}}},
    "weights of a backbone": {"backbones": {"image": {"name": "given", "weights": "w"}, "text": {"name": "given"}}},
    "parameters of a backbone": {
        "backbones": {"image": {"name": "given"}, "text": {"name": "given", "parameters": {"d": 8}}}
    },
    "imported noise plan": {"plan": "p"},
}


@pytest.mark.parametrize("what", NOT_COMPARABLE)
def test_runs_that_are_not_comparable_stand_in_tables_of_their_own(run, what):
    found = tables([run(0.5), run(0.9, **NOT_COMPARABLE[what])])
    assert sorted(cells(table)["cca-itq"]["i2t 0.4"] for table in found) == ["0.500", "0.900"]
    assert all(cells(table)["cca-itq"]["runs"] == "1" for table in found)


@pytest.mark.parametrize(
    "what",
    [
        "data set",
        "protocol",
        "trusted share",
        "code length",
        "standardisation",
        "image backbone",
        "imported noise plan",
        "weights of a backbone",
        "data of the same name",
    ],
)
def test_titles_say_what_sets_two_tables_apart(run, what):
    # once: tables that differ in the data behind one name, or in the weights of a backbone, have the same title.
    titles = [table.title for table in tables([run(0.5), run(0.9, **NOT_COMPARABLE[what])])]
    assert len(set(titles)) == 2


def test_limited_runs_are_left_out_unless_asked_for_and_then_stand_apart(run):
    records = [run(0.5), run(0.9, limit=30)]
    (table,) = tables(records)
    assert cells(table)["cca-itq"]["i2t 0.4"] == "0.500"
    apart = tables(records, limited=True)
    assert len(apart) == 2
    assert [("LIMITED to 30 images" in table.title) for table in apart].count(True) == 1
    assert tables(records[1:]) == []


@pytest.mark.parametrize("status", ["failed", "oom", "timeout", "invalid"])
def test_runs_that_did_not_finish_are_left_out(run, status):
    failure = Failure(kind="E", message="m", traceback=[])
    (table,) = tables([run(0.5), run(0.9, seed=1, status=status, error=failure)])
    assert cells(table)["cca-itq"] == {"i2t 0.4": "0.500", "t2i 0.4": "0.250", "runs": "1"}


def test_rows_that_were_granted_something_are_marked_and_explained(run):
    (table,) = tables([run(0.5), run(0.9, row="chnr [detector=oracle]", granted=["noise-mask", "class-labels"])])
    assert list(cells(table)) == ["cca-itq", "chnr [detector=oracle] †"]
    (note,) = [note for note in notes(table) if note.startswith("†")]
    assert "noise-mask, class-labels" in note
    assert "not unsupervised, never marked as best" in note
    assert note in render(table)


def test_source_order_is_marked_but_tells_nothing_of_what_is_right(run):
    (table,) = tables([run(0.9, row="duch-noisy [preset=released]", granted=["source-order"])])
    assert notes(table) == ["† duch-noisy [preset=released] was granted source-order."]


def test_runs_by_earlier_code_are_left_out_with_a_note(run):
    (table,) = tables(
        [run(0.1, code="old"), run(0.3, code="old", seed=1), run(0.8, code="new"), run(0.5, method="chnr", code="old")]
    )
    assert cells(table)["cca-itq"] == {"i2t 0.4": "0.800", "t2i 0.4": "0.400", "runs": "1"}
    assert cells(table)["chnr"]["i2t 0.4"] == "0.500"
    assert notes(table) == ["left out: 2 runs made by earlier code or other defaults of the method."]


def test_of_runs_that_finished_in_the_same_second_one_code_is_kept(run):
    second = "2026-01-01T00:00:00+00:00"
    (table,) = tables([run(0.1, code="a", finished=second), run(0.9, code="b", finished=second)])
    assert cells(table)["cca-itq"]["runs"] == "1"


def test_runs_of_one_row_with_other_parameters_are_not_averaged(run):
    # once: when a plugin's defaults or recipe change, and its components do not, both runs bear the method's name and
    # are averaged as if they were two seeds.
    (table,) = tables([run(0.2, parameters={"phase.noisy.epochs": 5}), run(0.8, parameters={"phase.noisy.epochs": 9})])
    assert cells(table)["cca-itq"] == {"i2t 0.4": "0.800", "t2i 0.4": "0.400", "runs": "1"}
    assert notes(table) == ["left out: 1 run made by earlier code or other defaults of the method."]


def test_metric_that_no_run_has_gives_no_table(run):
    assert tables([run(0.5)], "p@10") == []
    assert tables([]) == []
    assert tables([run(0.5), run(0.7, metric="p@10", seed=1)], "p@10") != []


def test_frame_has_a_row_for_each_record_and_a_column_for_each_metric(run):
    frame = records_frame(
        [run(0.5), run(0.25, seed=1, metrics={"i2t": {"map": 0.25}, "detector": {"auroc": 0.9, "reason": "r"}})]
    )
    assert list(frame["i2t/map"]) == [0.5, 0.25]
    assert frame["detector/auroc"].isna().tolist() == [True, False]
    assert "detector/reason" not in frame
    assert list(frame["seed"]) == [0, 1]


@pytest.fixture
def results(run, tmp_path):
    store = RunStore(tmp_path / "results")
    store.check_writable()
    for seed, value in enumerate([0.4, 0.6]):
        store.write(run(value, seed=seed))
    store.write(run(0.9, seed=2, limit=30))
    store.write(run(0.9, seed=3, status="failed", error=Failure(kind="E", message="m", traceback=[])))
    return store.results


def test_load_records_reads_a_results_folder(results, tmp_path):
    assert sorted(load_records(results)["seed"]) == [0, 1, 2, 3]
    assert load_records(tmp_path / "nothing").empty


@pytest.mark.parametrize(
    ("style", "sign"),
    [
        ("simple", "-------"),
        ("github", "|"),
        ("plain", "cca-itq"),
        ("latex_booktabs", r"\toprule"),
        ("html", "<table"),
        ("latex", r"\toprule"),
        ("tsv", "\t"),
    ],
)
def test_table_in_every_format(harness, results, style, sign):
    result = harness("table", "--results", results, "--format", style)
    assert result.code == 0
    assert sign in result.out
    assert "0.500" in result.out
    assert "0.141" in result.out


def test_what_is_left_out_is_told_on_standard_error(harness, results):
    result = harness("table", "--results", results)
    assert "left out: 1 run that failed;" in result.err
    assert "left out: 1 run on a limited number of images;" in result.err
    assert "note" not in result.out


def test_table_is_made_without_torch(results):
    program = (
        "import json, sys\nfrom harness.cli import main\n"
        f"sys.argv = ['harness', 'table', '--results', {str(results)!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print(json.dumps([name for name in ('torch', 'sklearn', 'transformers') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "0.500 ± 0.141" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == []
