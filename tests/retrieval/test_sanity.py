"""Invariants of every record: each violation is found, and sound evaluations raise no alarm."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.plugin.loading import load_registry
from harness.retrieval import evaluate as evaluate_module
from harness.retrieval import self_check
from harness.retrieval.codes import CodeTable, pack
from harness.retrieval.evaluate import evaluate
from harness.retrieval.histograms import DistanceHistogram
from harness.retrieval.metrics import average_precision, average_precision_optimistic, average_precision_pessimistic
from harness.retrieval.partners import partners
from harness.retrieval.sanity import PER_ITEM, TOLERANCE, constant_bits, means_not_finite, random_order_moments
from harness.retrieval.self_check import tolerance

MODALITIES = ("image", "text")


@pytest.fixture(scope="module")
def declared():
    return load_registry(environment={}).all("metric")


def table(seed=0, queries=9, items=30, n_bits=12, classes=3, multi=False):
    random = np.random.default_rng(seed)

    def codes(n):
        return {m: self_check._random_codes(random, n, n_bits) for m in MODALITIES}

    def labels(n):
        return (random.random((n, classes)) < 0.3).astype(np.int8) if multi else random.integers(0, classes, n)

    return CodeTable(
        n_bits, codes(queries), codes(items), labels(queries), labels(items), np.arange(queries), np.arange(items)
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), queries=st.integers(1, 12), items=st.integers(1, 60),
    n_bits=st.integers(1, 70), classes=st.integers(1, 40), multi=st.booleans(),
)  # fmt: skip
def test_sound_evaluations_raise_no_alarm(seed, queries, items, n_bits, classes, multi):
    declared = load_registry(environment={}).all("metric")
    assert evaluate(table(seed, queries, items, n_bits, classes, multi), declared).violations == []


@pytest.mark.parametrize("same", ["query", "database", "both"])
def test_codes_that_are_all_equal_raise_no_alarm(declared, same):
    codes = table(3)
    for part in MODALITIES:
        if same in ("query", "both"):
            codes.query[part][:] = codes.query[part][0]
        if same in ("database", "both"):
            codes.database[part][:] = codes.database[part][0]
    assert evaluate(codes, declared).violations == []


def test_no_relevant_items_at_all_raise_no_alarm(declared):
    codes = replace(table(), query_labels=np.full(9, 77))
    found = evaluate(codes, declared)
    assert found.violations == []
    assert found.metrics["i2t"]["map"] is None
    assert found.metrics["i2t"]["map_hits@5"] == 0


def test_relevance_by_instance_raises_no_alarm(declared):
    codes = table(1, queries=6, items=18)
    pairs = partners(np.arange(18) // 3, [f"words {at % 7}" for at in range(18)])
    codes = replace(
        codes,
        query={"image": codes.query["image"], "text": codes.database["text"]},
        database={"image": codes.query["image"], "text": codes.database["text"]},
        partners=pairs,
    )
    assert evaluate(codes, declared).violations == []


def broken(declared, name, change):
    """The metrics, with one function replaced by another."""
    return [
        replace(metric, target=_changed(metric.load(), change)) if metric.name == name else metric
        for metric in declared
    ]


def _changed(inner, change):
    return lambda *arguments: change(inner(*arguments).copy())


def at_three(value):
    def change(values):
        values[3] = value
        return values

    return change


WITH_ALL = {"classes": 2, "items": 60}
"""Every query has relevant items, and none is right at the first place for sure."""


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("hit", 0.123, "i2t: hit@1 of query 3 is 0.123 and p@1 is"),
        ("mrr", 0.123, "i2t: mrr@1 of query 3 is 0.123 and p@1 is"),
        ("map_hits", 0.123, "i2t: map_hits@1 of query 3 is 0.123 and p@1 is"),
        ("ndcg", 0.123, "i2t: ndcg@1 of query 3 is 0.123 and p@1 is"),
        ("map_optimistic", 0.001, "i2t: map of query 3 is"),
        ("map_pessimistic", 0.999, "i2t: map_pessimistic of query 3 is 0.999, more than map, which is"),
        ("r", 1.2, "i2t: r@1 of query 3 is 1.2, outside of 0 to 1"),
        ("r", -0.1, "i2t: r@1 of query 3 is -0.1, outside of 0 to 1"),
        ("p_radius", np.nan, "i2t: p_radius@0 of query 3 is not a number, and the query has"),
        ("p_radius", np.inf, "i2t: p_radius@0 of query 3 is infinite"),
    ],
)
def test_each_violation_is_told_with_direction_metric_and_query(declared, name, value, sentence):
    found = evaluate(table(**WITH_ALL), broken(declared, name, at_three(value)))
    assert any(told.startswith(sentence) for told in found.violations), found.violations
    assert found.metrics["t2i"]["map"] is not None, "the numbers are kept"


def test_a_query_without_relevant_items_may_lack_a_value_only_where_it_is_left_out(declared):
    codes = table(**WITH_ALL)
    codes.query_labels[3] = 77
    assert evaluate(codes, declared).violations == []
    found = evaluate(codes, broken(declared, "map_relevant", at_three(np.nan)))
    assert "i2t: map_relevant@1 of query 3 is not a number; without relevant items it counts 0" in found.violations


def test_more_queries_of_one_violation_are_counted_not_listed(declared):
    found = evaluate(table(**WITH_ALL), broken(declared, "map_relevant", lambda values: values + 2))
    told = [one for one in found.violations if one.startswith("i2t: map_relevant@5 ")]
    assert len(told) == 1
    assert told[0].endswith(", outside of 0 to 1 (and 8 more queries)")


def test_metrics_of_plugins_may_have_any_range_unless_they_declare_it(declared):
    def mine(histogram):
        values = histogram.total_relevant * -3.5
        values[2] = np.nan
        return values

    metric = replace(declared[0], name="mine", target=mine, cutoffs=(None,), bounds=None)
    assert evaluate(table(**WITH_ALL), [*declared, metric]).violations == []
    found = evaluate(table(**WITH_ALL), [*declared, replace(metric, bounds=(-1000.0, 0.0))]).violations
    assert [one.partition(" query")[0] for one in found] == [f"{d}: mine of" for d in ("i2t", "t2i", "i2i", "t2t")]
    assert "is not a number" in found[0]


def test_a_metric_that_failed_is_no_violation(declared):
    def fails(histogram):
        raise ZeroDivisionError

    metric = replace(declared[0], name="mine", target=fails, cutoffs=(None,), bounds=(0.0, 1.0))
    found = evaluate(table(), [*declared, metric])
    assert found.violations == []
    assert "mine" in found.failed


def corrupted(monkeypatch, change):
    """Histograms as they are counted, then changed."""
    counted = evaluate_module._histograms

    def wrong(*arguments):
        for direction, histogram in counted(*arguments):
            items, relevant = histogram.items.copy(), histogram.relevant.copy()
            change(items, relevant)
            yield direction, DistanceHistogram(items, relevant)

    monkeypatch.setattr(evaluate_module, "_histograms", wrong)


def test_a_lost_item_is_found_in_any_query(declared, monkeypatch):
    def lose(items, relevant):
        at = int(np.flatnonzero(items[5] > relevant[5])[0])
        items[5, at] -= 1

    corrupted(monkeypatch, lose)
    assert evaluate(table(**WITH_ALL), declared).violations[0] == (
        "i2t: 59 distances were counted for query 5, and there are 60 items"
    )


@pytest.mark.parametrize("multi", [False, True])
def test_items_at_a_wrong_distance_are_found_by_counting_again(declared, monkeypatch, multi):
    def move(items, relevant):
        at = int(np.flatnonzero(items[0] > relevant[0])[0])
        items[0, at] -= 1
        items[0, at + 1] += 1

    corrupted(monkeypatch, move)
    (told,) = {one.partition(": ")[2] for one in evaluate(table(multi=multi), declared).violations if "i2t" in one}
    assert " items were counted at distance " in told
    assert " of query 0, and there are " in told


def test_relevance_to_the_wrong_items_is_found_by_counting_again(declared, monkeypatch):
    def forget(items, relevant):
        at = int(np.flatnonzero(relevant[-1])[0])
        relevant[-1, at] -= 1

    corrupted(monkeypatch, forget)
    assert "relevant items were counted at distance" in evaluate(table(**WITH_ALL), declared).violations[0]


@pytest.mark.parametrize("size", [(50, 300, 16, 4), (20, 60, 12, 2)])
def test_an_order_of_ties_that_leaks_relevance_is_found_by_random_codes(declared, size):
    # What a stable sort of a database in class order does in the worst case: relevant items first among ties.
    queries, items, n_bits, classes = size
    codes = table(7, queries, items, n_bits, classes)
    assert evaluate(codes, declared).violations == []
    leaking = [
        replace(metric, target=average_precision_optimistic, cutoffs=(None,)) if metric.name == "map" else metric
        for metric in declared
    ]
    (told,) = [one for one in evaluate(codes, leaking).violations if "random codes" in one]
    assert told.startswith("i2t: map of random codes is 0.")
    assert "chance moves it by" in told


@pytest.mark.parametrize("n_items", range(1, 8))
def test_moments_of_a_random_order_equal_enumeration(n_items):
    for relevant in range(1, n_items + 1):
        values = [
            np.mean([(at + 1) / rank for at, rank in enumerate(ranks)])
            for ranks in itertools.combinations(range(1, n_items + 1), relevant)
        ]
        mean, variance = random_order_moments(n_items, [relevant])
        assert mean[0] == pytest.approx(np.mean(values), abs=1e-12)
        assert variance[0] == pytest.approx(np.var(values), abs=1e-12)


@pytest.mark.parametrize(("items", "relevant"), [(840, 40), (100_000, 3_000), (1_000_000, 1)])
def test_moments_of_large_databases_are_those_of_one_bin(items, relevant):
    # All items tied: the evaluator's own closed form, derived in another way.
    histogram = DistanceHistogram(np.array([[items]]), np.array([[relevant]]))
    mean, variance = random_order_moments(items, [relevant])
    assert average_precision(histogram)[0] == pytest.approx(mean[0], rel=1e-9)
    assert 0 < variance[0] < mean[0]


@pytest.mark.parametrize("n_bits", [1, 4, 16, 64])
@pytest.mark.parametrize("items", [5, 100])
def test_random_codes_stay_far_within_the_tolerance(n_bits, items):
    random, labels = np.random.default_rng([n_bits, items]), np.arange(items) % 5
    for _ in range(40):
        drawn = random.integers(0, items, 256)
        codes = self_check._random_codes(random, 256, n_bits), self_check._random_codes(random, items, n_bits)
        histogram = self_check.distance_histogram(*codes, n_bits, labels[drawn], labels)
        mean, variance = random_order_moments(items, histogram.total_relevant)
        away = abs(average_precision(histogram).mean() - mean.mean())
        assert away < 0.5 * tolerance(variance.mean(), 256, n_bits, databases=1)


def test_rounding_at_a_million_items_is_far_below_the_tolerance():
    random = np.random.default_rng(0)
    items = random.multinomial(1_000_000, np.ones(129) / 129, size=5)
    # One relevant item in each bin that holds but one: all three bounds are equal, whatever rounding does.
    items[:, 0], items[:, 1], items[:, 64], items[:, 128] = 1, 1, 1, 1
    relevant = np.zeros_like(items)
    relevant[:, [0, 64, 128]] = 1
    histogram = DistanceHistogram(items, relevant)
    low, middle, high = (
        f(histogram) for f in (average_precision_pessimistic, average_precision, average_precision_optimistic)
    )
    allowed = TOLERANCE + 1_000_000 * PER_ITEM
    assert np.abs(low - high).max() < allowed / 20
    assert np.abs(low - middle).max() < allowed / 20
    dense = DistanceHistogram(items, random.binomial(items, 0.4))
    low, middle, high = (
        f(dense) for f in (average_precision_pessimistic, average_precision, average_precision_optimistic)
    )
    assert (low <= middle).all()
    assert (middle <= high).all()


def test_means_that_are_no_numbers_are_told():
    metrics = {"i2t": {"map": 0.5, "other": None}, "detector": {"auroc": float("nan"), "reason": "x"}, "notes": "y"}
    assert means_not_finite(metrics) == ["detector: auroc is nan, which is no finite number"]


def test_evaluations_on_a_device_are_checked_too(declared, monkeypatch):
    seen = []
    real = self_check.distance_histogram
    monkeypatch.setattr(self_check, "distance_histogram", lambda *a: seen.append(a[-1]) or real(*a[:-1], None))
    monkeypatch.setattr(evaluate_module.DistanceHistogram, "counted", _counted_on_processor)
    assert evaluate(table(), declared, "cuda:0").violations == []
    assert set(seen) == {"cuda:0"}


def _counted_on_processor(relevance, queries, database, n_bits, device=None):
    from harness.retrieval.counting import counts

    return DistanceHistogram(*counts(relevance, queries, database, n_bits + 1))


# --- bits that never change ---


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full((9, 12), 0.3), "all 9 image codes are equal, so that they rank nothing: every output is above 0, so"),
        (np.full((9, 12), -0.3), "all 9 image codes are equal, so that they rank nothing: no output is above 0"),
        (np.tile([1.0, -1, 1], (9, 4)), "all 9 image codes are equal, so that they rank nothing"),
        (np.c_[np.eye(9), np.ones((9, 3))], "3 of 12 bits are the same in all 9 image codes"),
        (np.eye(9, 9), ""),
        (np.ones((1, 12)), ""),
    ],
)
def test_bits_that_never_change_are_counted(values, said):
    """Over both parts together, and without the unused bits of the last byte."""
    packed = pack(values)
    for cut in range(len(values)):
        found = constant_bits("image", [packed[:cut], packed[cut:]][not cut :], values.shape[1])
        assert len(found) == bool(said)
        assert not said or found[0].startswith(said)


def test_an_evaluation_tells_of_codes_that_collapsed(declared):
    equal, varied = np.full((9, 1), 3, dtype=np.uint8), np.arange(9, dtype=np.uint8)[:, None]
    codes, labels = {"image": equal, "text": varied}, np.arange(9) % 3
    found = evaluate(CodeTable(8, codes, codes, labels, labels, np.arange(9), np.arange(9)), declared)
    assert found.remarks == [
        "all 18 image codes are equal, so that they rank nothing", "4 of 8 bits are the same in all 18 text codes",
    ]  # fmt: skip
    assert found.violations == []
