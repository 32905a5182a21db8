"""How fast codes are evaluated: ``pytest tests/benchmarks --benchmark-only``; figures in docs/benchmarks-evaluation.md.

Each figure comes with its ratio to an obvious sort-based mAP, one metric in one direction, measured in the same run.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from benchmarks.sorted_map import sorted_average_precision

from harness.plugin.loading import load_registry
from harness.retrieval.codes import CodeTable, pack, unpack
from harness.retrieval.evaluate import evaluate, values_per_query
from harness.retrieval.histograms import DistanceHistogram, distance_histogram

N_BITS, N_DATABASE, N_QUERY = 64, 100_000, 512
N_CLASSES = 21
SPREADS = {"trained": 1.0, "random": 100.0}
"""Noise added to the class centres before the sign: codes as of a trained method, and codes that know nothing."""


def drawn(n_query, n_database, spread, n_classes=N_CLASSES):
    """Query codes, database codes, query labels, database labels."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(n_classes, N_BITS))
    parts = []
    for n in (n_query, n_database):
        labels = random.integers(0, n_classes, n)
        parts.append((pack(centres[labels] + spread * random.normal(size=(n, N_BITS))), labels))
    (query, query_labels), (database, labels) = parts
    return query, database, query_labels, labels


def best_of(function, times=5):
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def report(benchmark, n_query, codes, threads):
    """Queries a second (best round) and the ratio to the obvious mAP, measured now."""
    query, database, query_labels, labels = codes
    few = 4
    bits = [np.where(unpack(part, N_BITS), 1.0, -1.0).astype(np.float32) for part in (query[:few], database)]
    slow = best_of(lambda: sorted_average_precision(*bits, query_labels[:few], labels), 3) / few
    rate = n_query / benchmark.stats.stats.min
    benchmark.extra_info.update(
        queries_per_second=round(rate), ratio_to_sorted_map=round(rate * slow, 1), threads=threads,
        sorted_map_queries_per_second=round(1 / slow, 1), items=len(database), bits=N_BITS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def functions():
    declared = load_registry(environment={}).all("metric")
    return {
        metric_id: (declaration.load(), cutoff)
        for declaration in declared
        for metric_id, cutoff in zip(declaration.ids, declaration.cutoffs, strict=True)
    }


@pytest.fixture(autouse=True)
def one_thread(monkeypatch, set_threads):
    set_threads(1)
    monkeypatch.setenv("HARNESS_NUMBA", "1")


@pytest.fixture
def set_threads(monkeypatch):
    def limit(number):
        monkeypatch.setenv("OMP_NUM_THREADS", str(number))
        monkeypatch.setenv("NUMBA_NUM_THREADS", str(number))

    return limit


def at_the_cut(metric_id):
    return metric_id.startswith(("map_hits", "map_relevant"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("spread", SPREADS)
def test_histograms(benchmark, spread, threads, set_threads):
    set_threads(threads)
    codes = drawn(N_QUERY, N_DATABASE, SPREADS[spread])
    query, database, *labels = codes
    benchmark.pedantic(
        distance_histogram, args=(query, database, N_BITS, *labels), rounds=9, iterations=1, warmup_rounds=1
    )
    report(benchmark, N_QUERY, codes, threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("spread", SPREADS)
def test_histograms_and_all_metrics_without_terms_at_the_cut(benchmark, functions, spread, threads, set_threads):
    set_threads(threads)
    codes = drawn(N_QUERY, N_DATABASE, SPREADS[spread])
    query, database, *labels = codes
    chosen = {metric_id: found for metric_id, found in functions.items() if not at_the_cut(metric_id)}

    def score():
        values_per_query(distance_histogram(query, database, N_BITS, *labels), chosen)

    benchmark.pedantic(score, rounds=9, iterations=1, warmup_rounds=1)
    report(benchmark, N_QUERY, codes, threads)


@pytest.mark.parametrize("name", ["map_hits", "map_relevant"])
@pytest.mark.parametrize("spread", SPREADS)
def test_metrics_with_terms_at_the_cut(benchmark, functions, spread, name):
    codes = drawn(N_QUERY, N_DATABASE, SPREADS[spread])
    query, database, *labels = codes
    histogram = distance_histogram(query, database, N_BITS, *labels)
    chosen = {metric_id: found for metric_id, found in functions.items() if metric_id.startswith(name + "@")}

    def score():
        values_per_query(DistanceHistogram(histogram.items, histogram.relevant, large=True), chosen)

    benchmark.pedantic(score, rounds=9, iterations=1, warmup_rounds=1)
    report(benchmark, N_QUERY, codes, 1)


def test_four_directions_with_all_metrics(benchmark):
    declared = load_registry(environment={}).all("metric")
    query, database, query_labels, labels = codes = drawn(N_QUERY, N_DATABASE, SPREADS["trained"])
    of_text = {"query": drawn(N_QUERY, N_DATABASE, 1.5)[0], "database": drawn(N_QUERY, N_DATABASE, 1.5)[1]}
    table = CodeTable(
        N_BITS, {"image": query, "text": of_text["query"]}, {"image": database, "text": of_text["database"]},
        query_labels, labels, np.arange(N_QUERY), np.arange(N_DATABASE),
    )  # fmt: skip
    benchmark.pedantic(evaluate, args=(table, declared), rounds=5, iterations=1, warmup_rounds=1)
    report(benchmark, 4 * N_QUERY, codes, 1)


def test_plain_numpy_histograms(benchmark, monkeypatch):
    monkeypatch.setenv("HARNESS_NUMBA", "0")
    query, database, query_labels, labels = codes = drawn(64, N_DATABASE, SPREADS["trained"])
    benchmark.pedantic(distance_histogram, args=(query, database, N_BITS, query_labels, labels), rounds=3, iterations=1)
    report(benchmark, 64, codes, 1)


def test_cost_is_linear_in_queries_times_items(benchmark, functions):
    """Nanoseconds a pair over sizes that differ by a factor of a thousand; the spread is in ``extra_info``."""
    sizes = [
        (64, 10_000),
        (256, 10_000),
        (64, 100_000),
        (256, 100_000),
        (1024, 100_000),
        (64, 1_000_000),
        (640, 1_000_000),
    ]
    found = []
    for n_query, n_database in sizes:
        query, database, *labels = drawn(n_query, n_database, SPREADS["random"])
        seconds = best_of(lambda: distance_histogram(query, database, N_BITS, *labels), 3)  # noqa: B023
        found.append({
            "queries": n_query, "items": n_database, "seconds": round(seconds, 5),
            "nanoseconds_a_pair": round(seconds / n_query / n_database * 1e9, 4),
        })  # fmt: skip
    benchmark.extra_info["sizes"] = found
    query, database, *labels = drawn(256, 100_000, SPREADS["random"])
    benchmark.pedantic(distance_histogram, args=(query, database, N_BITS, *labels), rounds=3, iterations=1)
