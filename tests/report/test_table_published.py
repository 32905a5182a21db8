"""``harness table --published``: a paper's numbers beside ours, and everything that keeps them apart."""

from __future__ import annotations

import csv
import io

import pytest

BACKBONES = {"image": {"name": "torchvision/squeezenet1_1"}, "text": {"name": "transformers"}}
UCM = {"dataset": "ucm", "metric": "map_relevant@20", "bits": 64, "protocol": "chnr-released", "trusted": 0.3,
       "backbones": BACKBONES}  # fmt: skip
RELEASED = {"method": "chnr", "row": "chnr [preset=released]", "preset": "released"}


@pytest.fixture
def shown(harness, written):
    """Lines of ``--preset paper --published`` for some records, and the notes."""

    def show(*runs, options=("--preset", "paper", "--significance", "none"), style="plain"):
        results = written(*runs)
        return harness("table", *options, "--published", "--format", style, "--results", results)

    return show


@pytest.fixture
def cells(harness, written):
    """The same as rows of the long frame, by direction, method, line and noise."""

    def show(*runs, options=("--preset", "paper", "--significance", "none")):
        results = written(*runs)
        result = harness("table", *options, "--published", "--format", "csv", "--results", results)
        assert result.code == 0, result.err
        return {
            (row["direction"], row["method"], row["numbers"], float(row["noise"])): row
            for row in csv.DictReader(io.StringIO(result.out))
        }

    return show


def test_published_ours_and_the_difference_stand_below_each_other(cells):
    runs = [
        {**UCM, **RELEASED, "noise": 0.4, "seed": seed, "i2t": i2t, "t2i": 0.9} for seed, i2t in ((0, 0.9), (1, 0.92))
    ]
    found = cells(*runs)
    published = found["i2t", "CHNR (normal weights)", "published", 0.4]
    ours = found["i2t", "chnr [preset=released]", "ours", 0.4]
    difference = found["i2t", "chnr [preset=released]", "difference", 0.4]
    assert float(published["mean"]) == 0.7941
    assert float(ours["mean"]) == pytest.approx(0.91)
    assert ours["n"] == "2"
    assert (published["comparable"], ours["comparable"], difference["comparable"]) == ("False", "", "False")
    assert found["i2t", "chnr [preset=released]", "difference", 0.1]["comparable"] == "", "there is none of ours"
    assert float(difference["mean"]) == pytest.approx(0.91 - 0.7941)
    assert float(found["t2i", "CHNR (normal weights)", "published", 0.4]["mean"]) == 0.8557


def test_the_whole_table_of_the_paper_is_there_in_its_order(cells):
    found = cells(
        {**UCM, **RELEASED, "noise": 0.4, "i2t": 0.9, "t2i": 0.9}, {**UCM, "noise": 0.4, "i2t": 0.8, "t2i": 0.8}
    )
    names = list(dict.fromkeys(method for direction, method, numbers, _ in found if numbers == "published"))
    assert names == [
        "CHNR (normal weights)", "CHNR (cubed weights)", "CHNR (discrete weights)", "DUCH, pre-trained on clean",
        "DUCH", "JDSH", "DJSRH",
    ]  # fmt: skip
    assert {noise for *_, noise in found} == {0.05, 0.1, 0.2, 0.3, 0.4, 0.5}
    assert float(found["t2i", "JDSH", "published", 0.05]["mean"]) == 0.8823
    assert found["i2t", "duch-noisy [preset=released]", "ours", 0.4]["mean"] == ""
    assert ("i2t", "cca-itq", "ours", 0.4) in found, "ours without a published number come last"
    assert [key[1] for key in found if key[0] == "i2t"][-1] == "cca-itq"


def test_a_method_without_any_record_has_a_dash(shown):
    out = shown({**UCM, **RELEASED, "noise": 0.4, "i2t": 0.9, "t2i": 0.9}).out
    lines = [line.split() for line in out.splitlines()]
    assert lines.count(["jdsh", "[preset=released]", "ours", *["-"] * 6]) == 2, out


def test_empty_cells_beside_published_numbers_have_their_reason(cells, shown):
    runs = [{**UCM, **RELEASED, "noise": 0.4, "i2t": 0.9, "t2i": 0.9}, {**UCM, "noise": 0.0, "i2t": 0.8, "t2i": 0.8}]
    found = cells(*runs)
    assert found["i2t", "jdsh [preset=released]", "ours", 0.4]["reason"] == "not run"
    assert found["i2t", "cca-itq", "ours", 0.1]["reason"] == "not run"
    assert found["i2t", "JDSH", "published", 0.0]["reason"] == "not printed"
    assert found["i2t", "JDSH", "published", 0.4]["reason"] == ""
    assert "- without a mark: not run here, or not printed there." in shown().out


def test_differing_features_are_told_once_and_are_grey_in_each_format(shown):
    runs = [{**UCM, **RELEASED, "noise": 0.4, "i2t": 0.9, "t2i": 0.9}]
    plain = shown(*runs).out
    assert "(0.7941)" in plain
    assert "(+0.106)" in plain
    assert plain.count("not comparable: features ResNet-18") == 1
    assert "torchvision/squeezenet1_1 + transformers here" in plain
    assert "published: Mikriukov" in plain
    assert "plots/plots_table_*.csv" in plain
    latex = shown(style="latex").out
    assert r"\textcolor{gray}{0.7941}" in latex
    assert "xcolor" in latex
    html = shown(style="html").out
    assert '<span style="color: #767676">0.7941</span>' in html
    assert '<span style="color: #767676">+0.106</span>' in html


PLUGIN = """
from pathlib import Path
from harness import hookimpl

@hookimpl
def register_published(register):
    register("mine", Path(__file__).parent / "mine.toml", summary="s")
"""

NUMBERS = """
[paper]
title = "Mine"
address = "https://example.org"

[methods]
"Canonical" = {{ corresponds_to = "cca-itq" }}

[[table]]
source = "Table 7"
dataset = "ucm"
metric = "{metric}"
bits = {bits}
protocol = "{protocol}"
trusted = {trusted}
split = "{split}"
features = "SqueezeNet and a sentence encoder"
backbones = {{ image = "torchvision/squeezenet1_1", text = "{text}" }}
columns = "noise"
values = [0.4]

[table.i2t]
"Canonical" = "0.850"
"""

EQUAL = {"metric": "map_relevant@20", "bits": 64, "protocol": "chnr-released", "trusted": 0.3, "split": "paper",
         "text": "transformers"}  # fmt: skip


@pytest.fixture
def beside_mine(harness, written, tmp_path):
    """The table of one record of ``cca-itq`` beside numbers of a plugin's own."""

    def show(changed, **record):
        (tmp_path / "mine.toml").write_text(NUMBERS.format(**{**EQUAL, **changed}))
        (tmp_path / "mine.py").write_text(PLUGIN)
        results = written({**UCM, "noise": 0.4, "i2t": 0.8, "t2i": 0.7, **record})
        words = ("--metric", record.get("metric", UCM["metric"]), "--rows", "method", "--columns", "noise")
        result = harness(
            "table", *words, "--published", "--plugin", tmp_path / "mine.py", "--format", "plain", "--results", results
        )
        assert result.code == 0, result.err
        return result.out

    return show


def test_equal_protocol_features_and_metric_are_not_grey(beside_mine):
    out = beside_mine({})
    i2t = out.partition("t2i")[0]
    assert " 0.850" in i2t
    assert "-0.050" in i2t
    (line,) = [line.split() for line in i2t.splitlines() if "0.850" in line]
    assert line[0] == "Canonical"
    (letter,) = [word.strip("()") for word in line if word.startswith("(")]
    assert f"{letter} published: Mine, Table 7" in i2t, "its only footnote is its source"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"protocol": "cross-class"}, "noise protocol cross-class there, chnr-released here"),
        ({"trusted": 0.2}, "trusted share 0.2 there, 0.3 here"),
        ({"split": "stratified"}, "split stratified there, paper here"),
        ({"metric": "map@20"}, "metric map@20 there, map_relevant@20 here"),
        ({"bits": 32}, "bits 32 there, 64 here"),
        ({"text": "tfidf-svd"}, "features SqueezeNet and a sentence encoder there, torchvision/squeezenet1_1"),
    ],
)
def test_each_fact_that_differs_makes_a_number_grey_and_is_told(beside_mine, changed, told):
    out = beside_mine(changed)
    assert "(0.850)" in out
    assert "(-0.050)" in out
    assert out.count(f"not comparable: {told}") == 1


def test_relevance_and_validation_of_ours_are_told_too(beside_mine):
    out = beside_mine({}, relevance="instance", validation=0.1)
    assert "not comparable: relevance label there, instance here." in out
    assert "not comparable: queries the real ones there, of --validation here." in out


def test_another_preset_of_the_method_is_beside_it_and_told(shown):
    out = shown({**UCM, "method": "chnr", "noise": 0.4, "i2t": 0.9, "t2i": 0.9}).out
    assert "not comparable: method chnr [preset=released] there, chnr here." in out
    lines = [line.split() for line in out.splitlines()]
    assert any("chnr" in line and "ours" in line and any("0.900" in word for word in line) for line in lines)


def test_without_noise_protocol_and_trusted_share_make_no_difference(cells):
    run = {"dataset": "mirflickr25k", "metric": "map", "bits": 64, "noise": 0.0, "protocol": "derangement",
           "trusted": 0.2, "split": "protocol", "backbones": BACKBONES, "i2t": 0.7, "t2i": 0.7}  # fmt: skip
    found = cells(run, options=("--rows", "direction,method", "--columns", "noise"))
    row = found["i2t", "UCCH", "published", 0.0]
    assert float(row["mean"]) == 0.754
    assert "trusted" not in row["notes"]
    assert "protocol derangement" not in row["notes"]


def test_code_lengths_as_columns_show_the_lengths_of_the_paper(harness, written):
    results = written(
        {
            "dataset": "mirflickr25k",
            "metric": "map",
            "bits": 64,
            "noise": 0.0,
            "split": "protocol",
            "i2t": 0.7,
            "t2i": 0.7,
        }
    )
    words = ("table", "--metric", "map", "--rows", "method", "--columns", "bits", "--by", "direction")
    out = harness(*words, "--published", "--format", "plain", "--results", results).out
    assert "16 bits" in out
    assert "0.739" in out
    assert "0.760" in out


def test_nothing_published_is_said_and_the_table_stays_as_it_is(harness, written):
    results = written({"dataset": "toy", "i2t": 0.5, "t2i": 0.5})
    plain = harness("table", "--results", results)
    beside = harness("table", "--published", "--results", results)
    assert beside.out == plain.out
    assert "no published number is of these methods" in beside.err


def test_methods_must_be_rows(harness, written):
    results = written({**UCM, "noise": 0.4, "i2t": 0.5, "t2i": 0.5})
    result = harness("table", "--metric", UCM["metric"], "--rows", "noise", "--columns", "method", "--published",
                     "--results", results)  # fmt: skip
    assert result.code == 2
    assert "--published puts numbers below methods" in result.err


def test_a_broken_file_is_told_and_the_others_are_shown(harness, written, tmp_path):
    (tmp_path / "mine.toml").write_text("[paper")
    (tmp_path / "mine.py").write_text(PLUGIN)
    results = written({**UCM, **RELEASED, "noise": 0.4, "i2t": 0.9, "t2i": 0.9})
    result = harness("table", "--preset", "paper", "--significance", "none", "--published", "--format", "plain",
                     "--plugin", tmp_path / "mine.py", "--results", results)  # fmt: skip
    assert result.code == 0
    assert "note: left out: " in result.err
    assert "mine.toml" in result.err
    assert "0.7941" in result.out


def test_the_best_of_ours_stays_marked_and_published_numbers_do_not_compete(cells):
    found = cells(
        {**UCM, **RELEASED, "noise": 0.4, "i2t": 0.6, "t2i": 0.6}, {**UCM, "noise": 0.4, "i2t": 0.5, "t2i": 0.5}
    )
    assert found["i2t", "chnr [preset=released]", "ours", 0.4]["place"] == "best"
    assert {row["place"] for key, row in found.items() if key[2] != "ours"} == {""}
