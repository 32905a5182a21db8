"""``harness compare`` and ``harness rank``: what is printed, what is refused, and that numbers are those of Python."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from itertools import count

import numpy as np
import pytest
from scipy import stats

from harness.records.store import RunStore


@pytest.fixture
def add(results, record):
    """``add("a", 0.5, dataset="ucm", seed=1)``: a finished run with 20 queries whose mean is the value."""
    store, numbers = RunStore(results), count()
    store.check_writable()

    def write(row, value, *, per_query=True, code="", **cell):
        number = next(numbers)
        values = value + 0.02 * np.random.default_rng(number).normal(size=20)
        values += value - values.mean()
        arrays = {f"per_query_{d}_map": values for d in ("i2t", "t2i")}
        arrays.update(query_ids=np.arange(20), query_blocks=np.arange(20) // 2)
        changed = {key: cell.pop(key) for key in ("status",) if key in cell}
        made = record(
            hash=f"{number:012x}",
            cell={"row": row, "method": row.partition(" ")[0], **cell},
            identity={"data": cell.get("dataset", "small"), "sources": {"hasher": row + code}},
            metrics={"i2t": {"map": float(values.mean())}, "t2i": {"map": float(values.mean())}},
            finished=f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}+00:00",
            **changed,
        )
        store.write(made, arrays if per_query else None)
        return made

    return write


def pairs(add, seeds=6, gain=0.05, **cell):
    for seed in range(seeds):
        add("chnr", 0.5 + gain + 0.01 * seed, seed=seed, **cell)
        add("cca-itq", 0.5, seed=seed, **cell)


def json_of(result):
    assert result.code == 0, result.err

    def refuse(name):
        raise ValueError(f"{name} is no JSON")

    return json.loads(result.out, parse_constant=refuse)


# --- compare ---


def test_compare_prints_effect_interval_and_both_tests(harness, add):
    pairs(add)
    result = harness("compare", "chnr", "cca-itq")
    assert result.code == 0, result.err
    for text in (
        "map of A = chnr and B = cca-itq", "95 % interval", "p queries", "p seeds", "Holm queries", "Holm seeds",
        "smallest p", "+0.0750", "0.0312", "all runs have one data seed (0)",
    ):  # fmt: skip
        assert text in result.out
    assert "too few seeds" not in result.out


def test_compare_gives_programs_everything(harness, add):
    pairs(add)
    pairs(add, noise=0.2, gain=-0.02)
    found = json_of(harness("compare", "chnr", "cca-itq", "--format", "json"))
    assert [(line["noise"], line["direction"]) for line in found["lines"]] == [
        (0.2, "i2t"), (0.2, "t2i"), (0.4, "i2t"), (0.4, "t2i"),
    ]  # fmt: skip
    for line in found["lines"]:
        gain = -0.02 if line["noise"] == 0.2 else 0.05
        differences = gain + 0.01 * np.arange(6)
        assert line["effect"] == pytest.approx(differences.mean())
        expected = stats.permutation_test(
            (differences.round(12),), np.sum, permutation_type="samples", n_resamples=np.inf
        ).pvalue
        assert line["p_seeds"] == pytest.approx(expected)
        assert line["n_blocks"] == 10
        assert line["low"] < line["effect"] < line["high"]
    p_values = [line["p_seeds"] for line in found["lines"]]
    smallest = min(range(4), key=p_values.__getitem__)
    assert found["lines"][smallest]["p_seeds_holm"] == pytest.approx(4 * p_values[smallest])


def test_compare_says_when_there_are_too_few_seeds_and_which_do_not_match(harness, add):
    pairs(add, seeds=3)
    add("chnr", 0.6, seed=9)
    out = harness("compare", "chnr", "cca-itq").out
    assert "too few seeds: with 3 the test over seeds cannot give a p below 0.25" in out
    assert "left out: 1 run without a partner of the same data seed and seed." in out


def test_compare_takes_rows_that_are_more_than_methods(harness, add):
    pairs(add)
    add("chnr [epochs=9]", 0.4)
    result = harness("compare", "chnr [epochs=9]", "chnr")
    assert result.code == 0, result.err
    assert "A = chnr [epochs=9] and B = chnr" in result.out
    add("jdsh [a=1]", 0.4), add("jdsh [a=2]", 0.4)
    result = harness("compare", "jdsh", "chnr")
    assert (result.code, result.out) == (2, "")
    assert "method 'jdsh' has 2 rows: name one of 'jdsh [a=1]', 'jdsh [a=2]'" in result.err


REFUSED = {
    "unknown row": (["chnr", "cca-iqt"], "did you mean 'cca-itq'"),
    "itself": (["chnr", "chnr"], "both names mean the row 'chnr'"),
    "metric": (["chnr", "cca-itq", "--metric", "mapp"], "did you mean 'map'"),
    "format": (["chnr", "cca-itq", "--format", "gitub"], "did you mean 'github'"),
    "direction": (["chnr", "cca-itq", "--direction", "it2"], "or 'i2t'?"),
    "by": (["chnr", "cca-itq", "--by", "nois"], "did you mean 'noise'"),
    "where nothing": (["chnr", "cca-itq", "--where", "noise=0.7"], "no record in"),
    "where nonsense": (["chnr", "cca-itq", "--where", "nose=0.7"], "did you mean 'noise'"),
    "failed": (["chnr", "djsrh"], "'djsrh' has no finished run"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_compare_refuses_in_one_sentence(harness, add, case):
    pairs(add, seeds=1)
    add("djsrh", 0.5, status="failed")
    words, message = REFUSED[case]
    result = harness("compare", *words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Error: ")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_rows_without_a_common_setting_are_refused_with_the_difference(harness, add):
    add("chnr", 0.5, protocol="derangement", bits=16)
    add("cca-itq", 0.5, protocol="chnr-released", bits=16)
    result = harness("compare", "chnr", "cca-itq")
    assert result.code == 2
    assert "the nearest differ in: protocol derangement and chnr-released." in result.err


def test_settings_of_one_row_alone_are_counted(harness, add):
    pairs(add)
    add("chnr", 0.5, noise=0.8)
    assert "left out: 1 setting of chnr alone." in harness("compare", "chnr", "cca-itq").out


def test_rows_that_differ_in_precision_by_choice_alone_stand_beside_each_other(harness, add):
    add("chnr", 0.6, precision="bf16", precisions=("fp32", "bf16"))
    add("cca-itq", 0.5, precision="fp32")
    result = harness("compare", "chnr", "cca-itq")
    assert result.code == 0, result.err


def test_earlier_code_and_failures_are_left_out_and_counted(harness, add):
    add("chnr", 0.9, code="old", seed=0)
    pairs(add, seeds=2)
    add("chnr", 0.9, seed=5, status="failed")
    out = harness("compare", "chnr", "cca-itq").out
    assert "left out: 1 run made by earlier code or other defaults of the method." in out
    assert "left out: 1 run that did not finish" in out
    assert "+0.0550" in out


def test_runs_that_contradict_each_other_are_named_as_in_tables(harness, add):
    pairs(add, seeds=2)
    add("chnr", 0.9, seed=1)
    compared, ranked = harness("compare", "chnr", "cca-itq").out, harness("rank").out
    for out in (compared, ranked):
        assert "contradiction: 2 runs of chnr on small, noise 0.4, seed 1, data seed 0 differ in i2t/map" in out
        assert "the latest counts." in out
        assert "left out: 1 run that a later run of the same name and seeds replaces." in out


def test_later_code_counts_although_it_has_learnt_another_precision(harness, add):
    add("chnr", 0.9, code="old", precision="fp32")
    add("chnr", 0.6, precision="bf16", precisions=("fp32", "bf16"))
    add("cca-itq", 0.5, precision="fp32")
    result = harness("compare", "chnr", "cca-itq", "--format", "json")
    assert result.code == 0, result.err
    assert {line["mean_a"] for line in json_of(result)["lines"]} == {0.6}


def test_natural_noise_and_grants_are_told(harness, add):
    for seed in range(2):
        add("oracle", 0.6, noise=None, protocol=None, seed=seed, granted=["noise-mask"])
        add("cca-itq", 0.5, noise=None, protocol=None, seed=seed)
    out = harness("compare", "oracle", "cca-itq").out
    assert "as given" in out
    assert "oracle was granted noise-mask." in out


def test_compare_without_records(harness, results):
    result = harness("compare", "a", "b")
    assert result.code == 2
    assert "no records in" in result.err
    assert "no records in" in harness("rank").err


@pytest.mark.parametrize("words", [("compare", "chnr", "cca-itq"), ("rank",)])
def test_folder_in_which_nothing_ever_finished(harness, add, words):
    add("chnr", 0.5, status="failed"), add("cca-itq", 0.5, status="oom")
    result = harness(*words)
    assert (result.code, result.out) == (2, "")
    assert "no run finished; `harness table --runs` lists them" in result.err
    assert result.err.count("\n") == 1


def test_folder_of_failed_runs_alone(harness, add):
    add("chnr", 0.5)
    assert harness("results", "list").code == 0  # an index that knows the metric
    add("chnr", 0.5, status="failed", seed=1)
    result = harness("rank", "--where", "status=failed")
    assert result.code == 2
    assert "nothing to compare" in result.err
    assert "left out: 1 run that did not finish" in result.err


@pytest.mark.parametrize("style", ["github", "latex", "simple"])
def test_compare_formats(harness, add, style):
    pairs(add)
    out = harness("compare", "chnr", "cca-itq", "--format", style).out
    assert {"github": "|---", "latex": r"\toprule", "simple": "-----  "}[style] in out


def test_compare_csv_has_notes_beside_it(harness, add):
    pairs(add, seeds=2)
    result = harness("compare", "chnr", "cca-itq", "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(result.out)))
    assert [float(line["effect"]) for line in lines] == pytest.approx([0.055, 0.055])
    assert "note: too few seeds" in result.err


def test_equal_seeds_give_equal_numbers(harness, add):
    pairs(add)
    once, again, other = (
        harness("compare", "chnr", "cca-itq", "--format", "json", "--random-seed", seed).out for seed in (1, 1, 2)
    )
    assert once == again != other


# --- rank ---


def blocks(add, names=("ucm", "rsicd", "rsitmd", "nwpu"), noises=(0.2, 0.4)):
    for number, dataset in enumerate(names):
        for noise in noises:
            for row, value in (("chnr", 0.6), ("cca-itq", 0.5), ("random-codes", 0.1)):
                add(row, value - noise / 10 + 0.01 * number, dataset=dataset, noise=noise, per_query=False)


def test_rank_counts_each_data_set_once(harness, add):
    blocks(add)
    found = json_of(harness("rank", "--format", "json"))
    (one,) = found["rankings"]
    assert one["rows"] == ["chnr", "cca-itq", "random-codes"]
    assert one["average_ranks"] == [1.0, 2.0, 3.0]
    assert sorted(one["blocks"]) == ["nwpu", "rsicd", "rsitmd", "ucm"]
    at = one["blocks"].index("ucm")
    assert one["scores"]["chnr"][at] == pytest.approx((0.58 + 0.56) / 2, abs=0.02)
    theirs = stats.friedmanchisquare(*np.array([one["scores"][row] for row in one["rows"]]))
    assert (one["friedman"], one["friedman_p"]) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert any("4 blocks: Friedman's test" in note for note in one["notes"])
    assert any("a block's score is the mean over noise 0.2, 0.4; direction i2t, t2i." in note for note in one["notes"])


def test_rank_warns_of_blocks_that_are_not_independent(harness, add):
    blocks(add, names=("ucm", "rsicd"))
    out = harness("rank", "--blocks", "dataset,noise").out
    assert "the 4 blocks come from 2 data sets" in out
    assert "ucm, noise 0.2" in out
    assert "come from" not in harness("rank").out


def test_rank_names_unknown_values_and_grants(harness, add):
    for row, granted in (("oracle", ["noise-mask"]), ("cca-itq", [])):
        add(row, 0.5, noise=None, protocol=None, granted=granted)
        add(row, 0.6, noise=0.4, granted=granted)
    out = harness("rank").out
    assert "protocol derangement, none" in out
    assert "noise 0.4, as given" in out
    assert "oracle was granted noise-mask." in out
    assert "cca-itq was granted" not in out


def test_rank_by_noise_gives_a_ranking_each(harness, add):
    blocks(add)
    found = json_of(harness("rank", "--by", "noise,direction", "--format", "json"))
    assert [one["part"] for one in found["rankings"]] == [
        "noise 0.2, i2t", "noise 0.2, t2i", "noise 0.4, i2t", "noise 0.4, t2i",
    ]  # fmt: skip


def test_settings_that_a_row_lacks_are_left_out_and_named(harness, add):
    blocks(add)
    add("chnr", 0.5, dataset="sydney", per_query=False)
    add("cca-itq", 0.6, dataset="sydney", per_query=False)
    out = harness("rank").out
    assert "left out: 2 of 18 settings, where there is no run of random-codes." in out
    assert "sydney" in harness("rank", "chnr", "cca-itq").out


def test_rank_without_a_common_setting_says_who_lacks_what(harness, add):
    add("chnr", 0.5, dataset="ucm"), add("cca-itq", 0.5, dataset="rsicd")
    result = harness("rank")
    assert result.code == 2
    assert "no setting has all 2 rows; settings by row: cca-itq (2 of 4), chnr (2 of 4)" in result.err


def test_lower_is_better_for_calibration(harness, add, results, record):
    store = RunStore(results)
    for number, (row, brier) in enumerate((("sure", 0.1), ("unsure", 0.3))):
        store.write(
            record(
                hash=f"abc{number:09x}", cell={"row": row, "method": row}, metrics={"detector": {"brier": brier}},
                identity={"data": "d", "sources": {"hasher": row}},
            )
        )  # fmt: skip
    for name in ("detector/brier", "brier"):
        (one,) = json_of(harness("rank", "--metric", name, "--format", "json"))["rankings"]
        assert one["rows"] == ["sure", "unsure"]


def test_rank_draws_the_diagram(harness, add, tmp_path):
    pytest.importorskip("matplotlib")
    blocks(add)
    path = tmp_path / "ranks.svg"
    result = harness("rank", "--figure", path)
    assert result.code == 0, result.err
    assert path.read_bytes().startswith(b"<?xml")
    result = harness("rank", "--figure", tmp_path / "other.svg", "--by", "noise")
    assert result.code == 2
    assert "--figure holds one ranking, and --by makes 2" in result.err
    assert not (tmp_path / "other.svg").exists()


RANK_REFUSED = {
    "blocks": (["--blocks", "datset"], "did you mean 'dataset'"),
    "by": (["--by", "nois"], "did you mean 'noise'"),
    "post-hoc": (["--post-hoc", "nemeny"], "did you mean 'nemenyi'"),
    "figure": (["--figure", "ranks.gif"], "ending of --figure '.gif'"),
    "row": (["chnrr", "cca-itq"], "did you mean 'chnr'"),
    "one row": (["chnr"], "a ranking needs two rows"),
}


@pytest.mark.parametrize("case", RANK_REFUSED)
def test_rank_refuses_in_one_sentence(harness, add, case):
    blocks(add)
    words, message = RANK_REFUSED[case]
    result = harness("rank", *words)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("style", ["simple", "github", "latex", "csv"])
def test_rank_formats(harness, add, style):
    blocks(add)
    result = harness("rank", "--format", style, "--post-hoc", "wilcoxon-holm")
    assert result.code == 0, result.err
    shown = result.out if style != "csv" else result.err
    assert "Friedman's test" in shown
    assert {"github": "|---", "latex": r"\toprule", "simple": "-----  ", "csv": "average_rank"}[style] in result.out


def test_neither_verb_imports_torch(add, results):
    pairs(add)
    program = (
        "import sys\nfrom harness.cli import cli\n"
        f"cli.main(['compare', 'chnr', 'cca-itq', '--results', {str(results)!r}], standalone_mode=False)\n"
        f"cli.main(['rank', '--results', {str(results)!r}], standalone_mode=False)\n"
        "assert not {'torch', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=120)
