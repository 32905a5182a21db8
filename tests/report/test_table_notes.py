"""Footnotes: what differs between cells of one table, and why some are empty."""

from __future__ import annotations

import pytest

from harness.report.tables.remarks import _letter


@pytest.fixture
def github(harness):
    """``github(...)``: a table in Markdown: its lines of cells by first column, and its footnotes."""

    def show(*words):
        shown = harness("table", *words, "--format", "github")
        assert shown.code == 0, shown.err
        lines = shown.out.splitlines()
        rows = {}
        for line in lines:
            if line.startswith("|") and not set(line) <= set("|-"):
                first, *rest = [cell.strip() for cell in line.strip("|").split("|")]
                rows[first] = rest
        return rows, [line.rstrip("\\") for line in lines if line and not line.startswith(("|", "**"))]

    return show


ONE = ("--metric", "i2t/map", "--columns", "noise")


@pytest.mark.parametrize("status", ["failed", "timeout", "oom", "invalid"])
def test_a_cell_whose_run_did_not_finish_says_why(written, github, status):
    written({"noise": 0.0, "i2t": 0.5}, {"noise": 0.4, "status": status, "error": "memory of the GPU is full."})
    rows, notes = github(*ONE)
    assert rows["cca-itq"] == ["0.500", "-<sup>a</sup>"]
    assert notes[0] == f"a no value: {status}, memory of the GPU is full"


def test_a_cell_that_was_not_run_and_one_without_value_say_so(written, github):
    written(
        {"method": "a", "noise": 0.0, "i2t": 0.5},
        {"method": "a", "noise": 0.4, "i2t": 0.5},
        {"method": "b", "noise": 0.0, "i2t": None},
    )
    rows, notes = github(*ONE)
    assert rows["b"] == ["-<sup>a</sup>", "-<sup>b</sup>"]
    assert notes[:2] == ["a no value: the metric has no value", "b no value: not run"]


def test_finished_runs_without_a_value_say_more_than_one_that_failed(written, github):
    written(
        {"method": "a", "i2t": 0.5},
        *({"method": "b", "seed": seed, "i2t": None} for seed in range(3)),
        {"method": "b", "seed": 3, "status": "failed", "error": "it broke"},
    )
    _, notes = github(*ONE)
    assert notes[0] == "a no value: the metric has no value; 1 failed"


def test_a_row_of_failures_alone_is_shown(written, github):
    written({"method": "a", "i2t": 0.5}, {"method": "b", "status": "failed", "error": "no trusted pair"})
    rows, _ = github(*ONE)
    assert rows["b"] == ["-<sup>a</sup>"]


def test_detectors_say_why_they_have_no_score(written, github):
    reason = "no untrusted pair is wrong"
    written(
        {"scores": {"auroc": None, "reason": reason}, "noise": 0.0, "i2t": 0.5},
        {"scores": {"auroc": 0.8}, "noise": 0.4, "i2t": 0.5},
    )
    rows, notes = github("--metric", "auroc", "--columns", "noise")
    assert rows["cca-itq"] == ["-<sup>a</sup>", "0.800"]
    assert notes[0] == f"a no value: {reason}"


def test_a_combination_that_is_refused_says_so(written, github):
    written(
        {"method": "a", "hasher": "cca-itq", "detector": "none", "i2t": 0.5},
        {"method": "b", "hasher": "contrastive", "detector": "none", "i2t": 0.5},
        {"method": "c", "hasher": "contrastive", "detector": "loss-gmm", "i2t": 0.5},
        {"method": "d", "hasher": "random-codes", "detector": "structure", "i2t": 0.5},
    )
    rows, notes = github("--metric", "i2t/map", "--rows", "hasher", "--columns", "detector", "--by", "dataset,noise")
    assert rows["cca-itq"][1].startswith("-")
    assert any(
        "refused, detector 'loss-gmm' watches a training in epochs, and hasher 'cca-itq' is fitted in one step" in note
        for note in notes
    )
    assert any(note.endswith("no value: not run") for note in notes)


def test_fewer_seeds_are_marked_with_what_became_of_the_others(written, github):
    written(
        *({"method": "a", "seed": seed, "i2t": 0.5} for seed in range(3)),
        {"method": "b", "seed": 0, "i2t": 0.5},
        {"method": "b", "seed": 1, "i2t": 0.6},
        {"method": "b", "seed": 2, "status": "oom"},
    )
    rows, notes = github(*ONE)
    assert "a" in rows
    assert "b<sup>a</sup>" in rows
    assert notes[0] == "a 2 of 3 runs (1 oom)"


def test_other_seeds_are_marked(written, github):
    written(
        *({"method": "a", "seed": seed, "i2t": 0.5} for seed in range(4)),
        *({"method": "b", "seed": seed, "i2t": 0.5} for seed in (5, 6)),
    )
    _, notes = github(*ONE)
    assert notes[0] == "a seeds 5, 6, where others have seeds 0-3"


def test_data_sets_side_by_side_keep_their_settings_apart_in_footnotes(written, github):
    written(
        {"dataset": "one", "data": "x", "trusted": 0.3, "i2t": 0.5},
        {"dataset": "two", "data": "y", "trusted": 0.2, "i2t": 0.4},
    )
    rows, notes = github("--metric", "i2t/map", "--columns", "dataset,noise")
    assert rows["method"] == ["one 0.4<sup>a</sup>", "two 0.4<sup>b</sup>"]
    assert notes[:2] == ["a trusted 0.3", "b trusted 0.2"]


def test_two_shares_of_one_data_set_are_two_tables(harness, written):
    written({"trusted": 0.3, "i2t": 0.5}, {"trusted": 0.2, "i2t": 0.4})
    shown = harness("table", *ONE, "--format", "github")
    assert shown.out.count("| cca-itq") == 2
    assert "note: tables of their own for what is not comparable (trusted 0.2, 0.3)" in shown.err


def test_realised_noise_is_told_where_it_is_not_what_was_asked_for(written, github):
    written(
        {"noise": 0.2, "i2t": 0.5, "noise_shares": {"realised_index": 0.2, "realised_class": 0.19}},
        {"noise": 0.4, "i2t": 0.4, "noise_shares": {"realised_index": 0.32, "realised_class": 0.32}},
    )
    rows, notes = github(*ONE)
    assert rows["method"] == ["0.2", "0.4<sup>a</sup>"]
    assert notes[0] == "a realised noise 0.32 of the untrusted pairs"
    assert notes[1].endswith("another class, as a share of the untrusted pairs: 0.190 at 0.2, 0.320 at 0.4")


def test_hard_selection_of_pairs_is_told(written, github):
    note = "hasher cca-itq cannot weigh pairs: it was fitted on the 5 of 10 pairs with a weight above 0.5"
    written({"method": "a", "i2t": 0.5, "notes": [note]}, {"method": "b", "i2t": 0.5})
    rows, notes = github(*ONE)
    assert "a<sup>a</sup>" in rows
    assert notes[0] == "a the hasher cannot weigh pairs: fitted on those with a weight above 0.5"


def test_closed_forms_beside_another_precision_are_told(written, github):
    written(
        {"method": "net", "i2t": 0.5, "precision": "bf16", "precisions": ("fp32", "bf16")},
        {"method": "closed", "i2t": 0.4},
    )
    rows, notes = github(*ONE)
    assert "closed<sup>a</sup>" in rows
    assert notes[0] == "a computed in fp32, the only precision of the method"


def test_contradicting_runs_are_named(written, github):
    written({"i2t": 0.5, "hash": "a" * 12}, {"i2t": 0.25, "hash": "b" * 12})
    rows, notes = github(*ONE)
    assert rows["cca-itq"] == ["0.250"]
    (said,) = [note for note in notes if note.startswith("contradiction")]
    assert "aaaaaaaaaaaa 0.5, bbbbbbbbbbbb 0.25" in said
    assert "noise 0.4, seed 0, data seed 0 differ in i2t/map" in said


def test_equal_repeats_are_no_contradiction(written, github):
    written({"i2t": 0.5, "hash": "a" * 12}, {"i2t": 0.5, "hash": "b" * 12})
    _, notes = github(*ONE)
    assert not any(note.startswith("contradiction") for note in notes)
    assert "left out: 1 earlier run of the same name and seeds." in notes


def test_costs_of_different_machines_are_not_ranked(written, github):
    written(
        {"method": "a", "i2t": 0.5, "timings": {"training": 1.0}, "device": "cpu"},
        {"method": "b", "i2t": 0.5, "timings": {"training": 2.0}, "device": "cuda"},
    )
    rows, notes = github("--metric", "timings/training", "--columns", "noise")
    assert rows["a<sup>a</sup>"] == ["1"]
    assert notes[:2] == ["a measured on cpu of h", "b measured on cuda of h"]
    assert any(note.startswith("no best is marked in training time (s)") for note in notes)


def test_different_noise_plans_are_told(written, github):
    written({"method": "a", "i2t": 0.5, "plan_hash": "p"}, {"method": "b", "i2t": 0.4, "plan_hash": "q"})
    _, notes = github(*ONE)
    assert any(note.startswith("noise plans differ between runs of the same data seed (1 setting)") for note in notes)


def test_a_remark_about_all_cells_is_a_sentence_without_mark(written, github):
    note = "hasher cca-itq cannot weigh pairs: it was fitted on a few"
    written({"method": "a", "i2t": 0.5, "notes": [note]}, {"method": "b", "i2t": 0.5, "notes": [note]})
    rows, notes = github(*ONE)
    assert {"a", "b"} <= set(rows)
    assert "the hasher cannot weigh pairs: fitted on those with a weight above 0.5" in notes


def test_marks_go_on_after_z():
    assert [_letter(number) for number in (0, 25, 26, 27, 52)] == ["a", "z", "aa", "ab", "ba"]


def test_significance_is_marked_and_both_tests_are_named(harness, features):
    words = ("--features", features(n=240), "--noise", "0,0.4", "--bits", "16", "--seed", "0-5")
    assert harness("run", "--method", "cca-itq,random-codes", *words).code == 0
    shown = harness("table", "--format", "github", "--significance", "both").out
    assert "exact sign flips over seeds; Holm over 4 comparisons): 0" in shown  # 0.03125 x 4
    assert "sign flips over blocks of queries; Holm over 4 comparisons): 4" in shown
    assert shown.count("**°") == 4
    seeds = harness(
        "table", "--format", "github", "--significance", "seeds", "--where", "noise=0", "--metric", "i2t/map"
    )
    assert "**\\*" in seeds.out or "***" in seeds.out
    assert "°" not in seeds.out


def test_one_grant_is_told_once_however_many_rows_have_it(written, github):
    written(
        {"method": "told", "i2t": 0.5, "t2i": 0.4, "granted": ["noise-mask"]}, {"method": "a", "i2t": 0.3, "t2i": 0.2}
    )
    _, notes = github("--rows", "direction,method", "--columns", "noise")
    assert [note for note in notes if note.startswith("†")] == [
        "† told was granted noise-mask: not unsupervised, never marked as best."
    ]
