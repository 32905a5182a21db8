"""Scores of codes in Python are those of records, and a mistake in them is one sentence."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch

from harness.api.evaluating import evaluate
from harness.errors import HarnessError
from harness.retrieval.codes import pack, unpack

BITS = 12


@pytest.fixture
def given():
    """Signs of 9 queries and 7 items, of 3 classes."""
    draws = np.random.default_rng(4)
    return {
        "query": draws.choice([-1, 1], size=(9, BITS)), "database": draws.choice([-1, 1], size=(7, BITS)),
        "query_labels": np.arange(9) % 3, "database_labels": np.array([0, 1, 2, 2, 1, 0, 1]), "bits": BITS,
    }  # fmt: skip


def slow_map(given):
    """Average precision in the mean over all orders of items at equal distance, one order after the other."""
    means = []
    for code, label in zip(given["query"], given["query_labels"], strict=True):
        distance = (given["database"] != code).sum(axis=1)
        relevant = given["database_labels"] == label
        orders = [order for order in itertools.permutations(range(7)) if (np.diff(distance[list(order)]) >= 0).all()]
        values = []
        for order in orders:
            hits = relevant[list(order)]
            values.append((np.cumsum(hits) / np.arange(1, 8))[hits].mean())
        means.append(np.mean(values))
    return np.array(means)


def test_it_is_what_a_slow_reference_says(given):
    found, slow = evaluate(**given, metrics="map"), slow_map(given)
    assert found == {"map": pytest.approx(slow.mean(), abs=1e-12)}
    assert found.per_query["map"] == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize(
    "written",
    [
        pack, lambda signs: (signs > 0).astype(np.uint8), lambda signs: signs > 0, lambda signs: 0.3 * signs,
        torch.from_numpy, lambda signs: signs.tolist(), lambda signs: torch.from_numpy(pack(signs)),
    ],
    ids=["packed", "0/1", "bool", "reals", "tensor", "list", "packed tensor"],
)  # fmt: skip
def test_codes_of_any_kind_are_the_same(given, written):
    expected = evaluate(**given)
    labels = {name: torch.from_numpy(given[name]) for name in ("query_labels", "database_labels")}
    codes = {name: written(given[name]) for name in ("query", "database")}
    assert evaluate(**codes, **labels, bits=BITS) == expected


@pytest.mark.parametrize("direction", ["i2t", "t2i", "i2i", "t2t"])
def test_it_is_what_the_record_of_a_run_holds(cell, direction):
    made = cell("cca-itq")
    names, arrays = {"i": "image", "t": "text"}, made.arrays
    of_run = {
        "query": arrays[f"query_{names[direction[0]]}_codes"],
        "database": unpack(arrays[f"database_{names[direction[2]]}_codes"], 12),
        **{name: arrays[name] for name in ("query_labels", "database_labels", "query_ids", "database_ids")},
        "bits": 12, "direction": direction,
    }  # fmt: skip
    found = evaluate(**of_run)
    assert found == made.stored.record.metrics[direction]
    assert found.definitions == made.stored.record.metric_definitions
    assert np.array_equal(found.per_query["map"], arrays[f"per_query_{direction}_map"])
    assert found.queries == made.stored.record.queries


def test_all_metrics_or_those_asked_for_with_any_cutoff(given):
    everything = evaluate(**given)
    assert {"map", "map@50", "p_radius@2", "ndcg@10"} <= everything.keys()
    some = evaluate(**given, metrics=["p@3", "map", "p@3"])
    assert list(some) == list(some.definitions) == list(some.per_query) == ["p@3", "map"]
    assert some["map"] == everything["map"]
    assert all(values.shape == (9,) for values in everything.per_query.values())


def test_queries_without_relevant_items_are_counted_and_left_out(given):
    lost = evaluate(**{**given, "query_labels": np.full(9, 8)}, metrics=["map", "p@5"])
    assert lost["map"] is None
    assert lost.queries == {"total": 9, "without_relevant": 9}
    assert np.isnan(lost.per_query["map"]).all()
    assert lost.to_frame()["value"].isna()[0]
    assert "<td>map</td><td></td>" in lost._repr_html_()


def test_constant_bits_are_a_note(given):
    given["query"][:, 3] = given["database"][:, 3] = 1
    found = evaluate(**given, direction="i2i", metrics="map")
    assert len(found.notes) == 1
    assert "bit" in found.notes[0]
    assert found.notes[0] in found._repr_html_()


def test_as_a_frame_and_as_html(given):
    found = evaluate(**given, metrics=["map", "p@5"])
    frame = found.to_frame()
    assert frame.columns.tolist() == ["metric", "value", "definition"]
    assert dict(zip(frame["metric"], frame["value"], strict=True)) == found
    assert found._repr_html_().count("<tr") == 3
    assert f"<td>{found['map']:.4f}</td>" in found._repr_html_()


PLUGIN = """
import random
import numpy as np, torch
from harness import hookimpl

def seventh(histogram):
    np.random.seed(1), random.seed(1), torch.manual_seed(1), torch.set_num_threads(3)
    return np.full(len(histogram), 1 / 7)

def broken(histogram):
    raise ValueError("out of order")

def above(histogram):
    return np.full(len(histogram), 1.5)

@hookimpl
def register_metrics(register):
    facts = {"summary": "s", "empty_query": "left out"}
    register("seventh", seventh, definition="One seventh.", **facts)
    register("broken", broken, definition="<b>Nothing.</b>", **facts)
    register("above", above, definition="Too much.", bounds=(0, 1), **facts)
"""


@pytest.fixture
def own_metrics(tmp_path):
    file = tmp_path / "metrics.py"
    file.write_text(PLUGIN)
    return file


def test_metrics_of_ones_own_and_one_that_fails(given, own_metrics):
    found = evaluate(**given, plugins=[own_metrics], metrics=["seventh", "broken"])
    assert found == {"seventh": pytest.approx(1 / 7), "broken": None}
    assert found.notes == ["metric broken has no value, because its function failed: ValueError: out of order"]
    assert "&lt;b&gt;" in found._repr_html_()


def test_what_cannot_be_is_a_warning(given, own_metrics):
    with pytest.warns(UserWarning, match="these are no results: .*above"):
        found = evaluate(**given, plugins=[own_metrics], metrics=["above"])
    assert len(found.notes) == 1


def test_the_process_is_afterwards_as_it_was(given, own_metrics):
    def state():
        return (
            torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(),  # noqa: NPY002 - the global state
            random.getstate(), torch.get_num_threads(),
        )  # fmt: skip

    before = state()
    copies = {name: np.copy(value) for name, value in given.items()}
    evaluate(**given, plugins=[own_metrics], metrics=["seventh", "map"])
    assert state() == before
    assert all(np.array_equal(given[name], value) for name, value in copies.items())


def with_nan(codes):
    codes = codes.astype(float)
    codes[2, 1] = np.nan
    return codes


MISTAKES = {
    "labels missing": (
        lambda given: {"query_labels": None},
        "harness.evaluate: query_labels is missing: give the class of each query, (n,) integers or (n, n_classes) of "
        "0/1.",
    ),
    "labels of the database missing": (
        lambda given: {"database_labels": None},
        "harness.evaluate: database_labels is missing: give the class of each item of the database, (n,) integers or "
        "(n, n_classes) of 0/1.",
    ),
    "codes missing": (
        lambda given: {"database": None}, "harness.evaluate: database is missing: give the codes of the database."
    ),
    "code length missing": (lambda given: {"bits": None}, "harness.evaluate: bits is missing: give the code length."),
    "ids in both parts": (
        lambda given: {"query_ids": np.arange(9), "database_ids": np.arange(7) + 7},
        "harness.evaluate: 2 ids are both query and database, the first is 7; queries must not be in the database.",
    ),
    "ids of another number": (
        lambda given: {"query_ids": np.arange(3)},
        "harness.evaluate: query_ids must be (9,) integers, not int64 (3,).",
    ),
    "vector": (
        lambda given: {"query": given["query"][0]},
        "harness.evaluate: query must be a matrix of numbers (items, bits), not int64 (12,).",
    ),
    "NaN": (
        lambda given: {"query": with_nan(given["query"])},
        "harness.evaluate: query: 1 of 9 items have NaN or infinite outputs.",
    ),
    "another code length": (
        lambda given: {"database": given["database"][:, :8]}, "harness.evaluate: database has 8 bits, and bits is 12."
    ),
    "bits in the padding": (
        lambda given: {"query": np.full((9, 2), 255, dtype=np.uint8)},
        "harness.evaluate: query has bits set beyond bits = 12; pack with bitorder='little' and zero padding.",
    ),
    "no bits": (lambda given: {"bits": 0}, "bits 0: expected at least 1."),
    "half a bit": (
        lambda given: {"bits": 1.5}, "harness.evaluate: bits must be one whole number, not float64 ()."
    ),
    "labels of another number": (
        lambda given: {"database_labels": np.arange(6)},
        "harness.evaluate: database_labels must be (7,) integers or (7, n_classes) of 0/1, not int64 (6,).",
    ),
    "labels of two kinds": (
        lambda given: {"query_labels": np.eye(3)[given["query_labels"]]},
        "harness.evaluate: query_labels and database_labels must both be (n,) classes, or (n, n_classes) with as many "
        "classes.",
    ),
    "NaN in labels": (
        lambda given: {"query_labels": np.full(9, np.nan)},
        "harness.evaluate: query_labels must be whole numbers, one class for each item.",
    ),
    "unknown metric": (
        lambda given: {"metrics": "mpa"}, "unknown metric 'mpa': did you mean 'map' or 'map@5' or 'map@1'?"
    ),
    "no metric": (
        lambda given: {"metrics": []},
        "harness.evaluate: metrics names none; leave it out for all that are registered.",
    ),
    "unknown direction": (
        lambda given: {"direction": "i2x"}, "unknown direction 'i2x': did you mean 'i2t' or 'i2i'?"
    ),
    "unknown argument": (
        lambda given: {"labels": 1},
        "unknown argument of harness.evaluate 'labels': did you mean 'query_labels' or 'database_labels'?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_sentence(given, what):
    change, sentence = MISTAKES[what]
    with pytest.raises(HarnessError) as mistake:
        evaluate(**{**given, **change(given)})
    assert str(mistake.value) == sentence
