"""From codes and labels to the metrics of the four directions."""

from __future__ import annotations

import re

import numpy as np
import pytest

from harness.plugin.loading import load_registry
from harness.retrieval.codes import CodeTable, pack
from harness.retrieval.evaluate import definitions, evaluate, failure_notes
from harness.retrieval.histograms import DistanceHistogram, distance_histogram
from harness.retrieval.metrics import average_precision, precision_recall_by_radius

COUNTS_ZERO = re.compile(r"map_(hits|relevant)@\d+")
AT_K = ("map", "map_hits", "map_relevant", "p", "r", "hit", "mrr", "ndcg")
IDS = {"map", "map_optimistic", "map_pessimistic", *(f"p_radius@{radius}" for radius in range(6))}
IDS |= {f"{name}@{k}" for name in AT_K for k in (1, 5, 10, 20, 50, 100)}


@pytest.fixture(scope="module")
def declared():
    return load_registry(environment={}).all("metric")


def small_table(query=("image", "text"), database=("image", "text"), lost=(), n_bits=12):
    """7 queries, 30 items, 3 classes; queries in ``lost`` get a class that the database lacks."""
    random = np.random.default_rng(3)
    query_labels, labels = np.arange(7) % 3, random.integers(0, 3, 30)
    query_labels[list(lost)] = 99
    of_queries, of_database = (
        {modality: pack(random.normal(size=(n, n_bits))) for modality in ("image", "text")} for n in (7, 30)
    )
    return CodeTable(
        n_bits=n_bits,
        query={m: of_queries[m] for m in query},
        database={m: of_database[m] for m in database},
        query_labels=query_labels,
        database_labels=labels,
        query_ids=np.arange(7),
        database_ids=np.arange(7, 37),
    )


def test_all_four_directions_are_scored_each_from_its_own_modalities(declared):
    table = small_table()
    found = evaluate(table, declared)
    assert set(found.metrics) == {"i2t", "t2i", "i2i", "t2t"}
    for direction, query, database in (
        ("i2t", "image", "text"), ("t2i", "text", "image"), ("i2i", "image", "image"), ("t2t", "text", "text"),
    ):  # fmt: skip
        histogram = distance_histogram(
            table.query[query], table.database[database], 12, table.query_labels, table.database_labels
        )
        assert found.metrics[direction]["map"] == pytest.approx(average_precision(histogram).mean(), abs=1e-15)


@pytest.mark.parametrize(
    ("query", "database", "directions"),
    [
        (["image"], ["text"], {"i2t"}),
        (["text"], ["image", "text"], {"t2i", "t2t"}),
        (["image", "text"], ["image"], {"i2i", "t2i"}),
        (["image"], ["image"], {"i2i"}),
    ],
)
def test_a_missing_modality_leaves_its_directions_out(declared, query, database, directions):
    found = evaluate(small_table(query, database), declared)
    assert set(found.metrics) == directions
    assert {key.partition("/")[0] for key in found.curves} == directions
    assert {key.partition("/")[0] for key in found.per_query} == directions


def test_the_metric_ids_are_those_of_the_design(declared):
    found = evaluate(small_table(), declared)
    assert set(found.metrics["i2t"]) >= IDS
    assert all(isinstance(value, float) for value in found.metrics["i2t"].values())


def test_every_id_has_a_definition_that_names_what_becomes_of_empty_queries(declared):
    found = definitions(declared)
    assert set(found) == set(evaluate(small_table(), declared).metrics["i2t"])
    for metric_id, text in found.items():
        assert len(text) > 40
        assert text.endswith("counts 0." if COUNTS_ZERO.fullmatch(metric_id) else "left out."), metric_id


def test_a_definition_says_the_tie_rule_wherever_order_within_ties_matters(declared):
    for metric_id, text in definitions(declared).items():
        if not metric_id.startswith("p_radius"):
            assert re.search("equal (Hamming )?distance", text), metric_id


def test_queries_without_relevant_items_are_counted_and_left_out_of_means(declared):
    all_answerable, two_lost = evaluate(small_table(), declared), evaluate(small_table(lost=(1, 4)), declared)
    assert all_answerable.queries == {"total": 7, "without_relevant": 0}
    assert two_lost.queries == {"total": 7, "without_relevant": 2}
    kept = [0, 2, 3, 5, 6]
    before = all_answerable.per_query["i2t/map"]
    assert np.isnan(two_lost.per_query["i2t/map"][[1, 4]]).all()
    np.testing.assert_array_equal(two_lost.per_query["i2t/map"][kept], before[kept])
    assert two_lost.metrics["i2t"]["map"] == pytest.approx(before[kept].mean(), abs=1e-15)


def test_queries_without_relevant_items_count_zero_in_map_hits_and_map_relevant(declared):
    # the answerable queries alone, as a table of their own, give the mean that the two lost queries dilute by 5 / 7
    table, kept = small_table(lost=(1, 4)), [0, 2, 3, 5, 6]
    alone = CodeTable(
        table.n_bits, {m: codes[kept] for m, codes in table.query.items()}, table.database, table.query_labels[kept],
        table.database_labels, table.query_ids[kept], table.database_ids,
    )  # fmt: skip
    diluted, plain = evaluate(table, declared).metrics["t2i"], evaluate(alone, declared).metrics["t2i"]
    for metric_id, value in plain.items():
        factor = 5 / 7 if COUNTS_ZERO.fullmatch(metric_id) else 1
        assert diluted[metric_id] == pytest.approx(value * factor, abs=1e-14), metric_id


def test_where_no_query_has_a_relevant_item_means_are_none_and_the_papers_forms_zero(declared):
    found = evaluate(small_table(lost=range(7)), declared)
    assert found.queries["without_relevant"] == 7
    for metric_id, value in found.metrics["i2t"].items():
        assert value == 0.0 if COUNTS_ZERO.fullmatch(metric_id) else value is None, metric_id


def test_per_query_values_average_to_the_stored_metric(declared):
    found = evaluate(small_table(lost=(0,)), declared)
    assert {key.partition("/")[2] for key in found.per_query} == {"map", "map_relevant@20"}
    for key, values in found.per_query.items():
        direction, _, metric_id = key.partition("/")
        assert values.shape == (7,)
        assert np.nanmean(values) == pytest.approx(found.metrics[direction][metric_id], abs=1e-15)


def test_curves_have_a_point_for_each_radius_and_end_with_the_whole_database(declared):
    table = small_table()
    curves = evaluate(table, declared).curves
    for direction in ("i2t", "t2i", "i2i", "t2t"):
        names = (f"{direction}/{name}_by_radius" for name in ("precision", "recall", "empty"))
        precision, recall, empty = (curves[name] for name in names)
        assert precision.shape == recall.shape == empty.shape == (13,)
        assert recall[-1] == 1.0
        assert empty[-1] == 0.0
        assert (np.diff(recall) >= 0).all()
        assert (np.diff(empty) <= 0).all()
        relevant = (table.query_labels[:, None] == table.database_labels[None, :]).mean(axis=1)
        assert precision[-1] == pytest.approx(relevant.mean(), abs=1e-15)


def test_radius_metrics_are_the_points_of_the_precision_curve(declared):
    found = evaluate(small_table(lost=(2,)), declared)
    for radius in range(6):
        assert found.metrics["i2t"][f"p_radius@{radius}"] == pytest.approx(
            found.curves["i2t/precision_by_radius"][radius], abs=1e-15
        )


def test_multi_label_tables_count_an_item_with_one_shared_label_as_relevant(declared):
    single = small_table()
    one_hot = np.eye(3, dtype=np.uint8)
    multi = CodeTable(
        single.n_bits, single.query, single.database, one_hot[single.query_labels], one_hot[single.database_labels],
        single.query_ids, single.database_ids,
    )  # fmt: skip
    assert evaluate(multi, declared).metrics == evaluate(single, declared).metrics


def test_mean_precision_and_recall_by_radius_with_one_query_left_out_by_hand():
    items, relevant = [[0, 4, 4], [2, 0, 6], [0, 8, 0]], [[0, 1, 3], [1, 0, 0], [0, 0, 0]]
    histogram = DistanceHistogram(np.array(items), np.array(relevant))
    precisions, recalls, empty = precision_recall_by_radius(histogram)
    np.testing.assert_allclose(precisions, [(0 + 1 / 2) / 2, (1 / 4 + 1 / 2) / 2, (4 / 8 + 1 / 8) / 2], atol=1e-15)
    np.testing.assert_allclose(recalls, [(0 + 1) / 2, (1 / 4 + 1) / 2, 1.0], atol=1e-15)
    np.testing.assert_allclose(empty, [1 / 2, 0, 0], atol=1e-15)


def broken(what):
    from harness.plugin.declarations import MetricDeclaration

    def raising(histogram):
        raise ZeroDivisionError("no such thing\nas a free metric")

    targets = {"raises": raising, "one number": lambda histogram: 0.5, "not there": "nowhere_at_all:metric"}
    return MetricDeclaration("metric", "broken", "s", target=targets[what], definition="d")


@pytest.mark.parametrize(
    ("what", "word"), [("raises", "ZeroDivisionError"), ("one number", "shape ()"), ("not there", "nowhere_at_all")]
)
def test_a_metric_that_fails_has_no_value_and_a_reason_and_costs_the_others_nothing(declared, what, word):
    # once: it failed the whole cell, after its training.
    found = evaluate(small_table(), [*declared, broken(what)])
    alone = evaluate(small_table(), declared)
    for direction, values in alone.metrics.items():
        assert found.metrics[direction] == {**values, "broken": None}
    assert list(found.failed) == ["broken"]
    assert word in found.failed["broken"]
    (note,) = failure_notes(found)
    assert note.startswith("metric broken has no value, because its function failed: ")
    assert "\n" not in note
    assert failure_notes(alone) == []
