"""``harness list``: what is registered."""

from __future__ import annotations

import re

import pytest

EXPECTED = {
    "methods": {"chnr", "chnr-cubed", "chnr-discrete", "duch-noisy", "duch-ptc", "cca-itq", "random-codes"},
    "detectors": {"adversarial", "none", "oracle"},
    "hashers": {"contrastive", "cca-itq", "random-codes"},
    "objectives": {"nt-xent"},
    "backbones": {"torchvision/MODEL", "transformers"},
    "datasets": {"toy", "ucm"},
    "metrics": {
        "map",
        "map@20",
        "map_hits@50",
        "map_relevant@20",
        "p@1",
        "r@100",
        "hit@5",
        "mrr@10",
        "ndcg@100",
        "p_radius@2",
    },
    "protocols": {"derangement", "cross-class", "shuffle", "chnr-released", "given"},
    "plugins": {"chnr", "cca-itq"},
}


@pytest.mark.parametrize("what", EXPECTED)
def test_kind_is_listed_by_name_with_a_summary(harness, what):
    result = harness("list", what)
    assert result.code == 0
    assert result.err == ""
    names = {line.split()[0] for line in result.out.splitlines()}
    assert EXPECTED[what] <= names
    rows = harness("list", what, "--json").json
    assert [row["name"] for row in rows] == [line.split()[0] for line in result.out.splitlines()]
    if what != "plugins":
        assert all(row["summary"] for row in rows)
        assert all(row["plugin"] for row in rows)


@pytest.mark.parametrize("what", EXPECTED)
def test_names_come_once_and_sorted_by_what_registered_them(harness, what):
    names = [row["name"] for row in harness("list", what, "--json").json]
    assert len(set(names)) == len(names)
    if what not in ("metrics", "plugins"):
        assert names == sorted(names)


def test_needs_are_shown_beside_the_name(harness):
    line = next(line for line in harness("list", "detectors").out.splitlines() if line.startswith("oracle"))
    assert line.endswith("noise-mask")


def test_plugin_file_adds_its_names(harness, moody):
    assert "moody" not in harness("list", "methods").out
    assert "moody" in harness("list", "methods", "--plugin", moody).out


def test_every_metric_carries_its_definition(harness):
    rows = harness("list", "metrics", "--json").json
    assert all(len(row["definition"]) > 20 for row in rows)


def test_plugins_show_state_and_file(harness):
    rows = {row["name"]: row for row in harness("list", "plugins", "--json").json}
    assert rows["chnr"]["state"] == "loaded"
    assert rows["chnr"]["file"].endswith("__init__.py")
    assert rows["chnr"]["origin"].startswith("noisy-hashing-harness ")


def test_without_a_word_the_choices_are_named(harness):
    result = harness("list")
    assert result.code == 2
    assert result.err.startswith("Error: name what to list, for example `harness list methods`; known: methods, ")
    assert "plugins." in result.err


def test_letters_of_cutoffs_are_defined_where_metrics_are_listed(harness):
    for row in harness("list", "metrics", "--json").json:
        for letter in set(re.findall(r"\b[KR]\b", row["summary"])):
            assert f"@{letter}" in row["summary"], row
        if "CHNR paper" in row["summary"]:
            assert "@20 is the CHNR paper's mAP@20" in row["summary"]
