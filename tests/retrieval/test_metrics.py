"""Every metric formula against brute force over all orders of ties.

The reference below knows nothing of closed forms: it writes down every distinct arrangement of relevant and irrelevant
items inside each bin, applies the plain definition of each metric to every complete ranking, and takes the mean.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.retrieval import boundary, metrics
from harness.retrieval.histograms import DistanceHistogram, distance_histogram

EXACT = 1e-12
# Probabilities come from logarithms of factorials, about 10**6 for bins of 10**5 items: as many digits are lost.
TOLERANCE = {4369: 1e-10, 100_000: 1e-8, 1_000_000: 1e-7}
FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=120)


# --- the definitions, per ranking ---


def precision_sum(ranking, cutoff):
    """Sum over t <= K of r_t P(t), P(t) the share of relevant items among the first t."""
    precision = np.cumsum(ranking, axis=1) / np.arange(1, ranking.shape[1] + 1)
    return (ranking * precision)[:, :cutoff].sum(axis=1)


def plain_ap(ranking, cutoff=None):
    total = int(ranking[0].sum())
    return precision_sum(ranking, cutoff) / (total if cutoff is None else min(cutoff, total))


def plain_hits(ranking, cutoff):
    found = ranking[:, :cutoff].sum(axis=1)
    return np.where(found > 0, precision_sum(ranking, cutoff) / np.maximum(found, 1), 0.0)


def plain_relevant(ranking, cutoff):
    """(1/G) sum over i <= G of i / t_i, G = min(K, R), t_i the rank of the i-th relevant item wherever it is."""
    total = int(ranking[0].sum())
    counted = min(cutoff, total)
    ranks = np.nonzero(ranking)[1].reshape(len(ranking), total) + 1
    return (np.arange(1, counted + 1) / ranks[:, :counted]).mean(axis=1)


def plain_p(ranking, cutoff):
    return ranking[:, :cutoff].sum(axis=1) / cutoff


def plain_r(ranking, cutoff):
    return ranking[:, :cutoff].sum(axis=1) / ranking[0].sum()


def plain_hit(ranking, cutoff):
    return ranking[:, :cutoff].any(axis=1).astype(float)


def plain_mrr(ranking, cutoff):
    first = ranking.argmax(axis=1) + 1
    return np.where(first <= cutoff, 1 / first, 0.0)


def plain_ndcg(ranking, cutoff):
    discount = 1 / np.log2(np.arange(2, ranking.shape[1] + 2))
    best = discount[: min(cutoff, int(ranking[0].sum()))].sum()
    return (ranking * discount)[:, :cutoff].sum(axis=1) / best


WITH_CUTOFF = {
    "map": (metrics.average_precision, plain_ap),
    "map_hits": (metrics.average_precision_hits, plain_hits),
    "map_relevant": (metrics.average_precision_relevant, plain_relevant),
    "p": (metrics.precision, plain_p),
    "r": (metrics.recall, plain_r),
    "hit": (metrics.hit, plain_hit),
    "mrr": (metrics.reciprocal_rank, plain_mrr),
    "ndcg": (metrics.ndcg, plain_ndcg),
}
COUNTS_ZERO = ("map_hits", "map_relevant")  # without relevant items; all others are left out of means


def arrangements(bins):
    """(count, M) 0/1: every distinct complete ranking that the bins [(n, n+), ...] allow."""
    choices = []
    for n, n_plus in bins:
        places = itertools.combinations(range(n), n_plus)
        choices.append([np.isin(np.arange(n), chosen).astype(np.int64) for chosen in places])
    return np.array([np.concatenate(parts) for parts in itertools.product(*choices)])


def histogram_of(queries):
    """Queries, each a list of (n, n+), to a histogram; all with as many bins."""
    return DistanceHistogram(
        np.array([[n for n, _ in bins] for bins in queries], dtype=np.int64),
        np.array([[n_plus for _, n_plus in bins] for bins in queries], dtype=np.int64),
    )


def expected(plain, queries, *cutoff, empty=math.nan):
    """(n_query,) mean of a plain metric over every arrangement of each query; ``empty`` without relevant items."""
    values = []
    for bins in queries:
        has_relevant = any(n_plus for _, n_plus in bins)
        values.append(plain(arrangements(bins), *cutoff).mean() if has_relevant else empty)
    return np.array(values)


def one_bin(largest):
    return st.integers(0, largest).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


def some_queries(largest, bins):
    """1 to 3 queries with the same number of bins; empty and full bins and R = 0 come up often."""

    def of_width(width):
        query = st.lists(one_bin(largest), min_size=width, max_size=width)
        return st.lists(query.filter(lambda found: any(n for n, _ in found)), min_size=1, max_size=3)

    return st.integers(1, bins).flatmap(of_width)


def assert_equal(found, reference):
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, reference, rtol=0, atol=EXACT, equal_nan=True)


# --- brute force tests ---


@pytest.mark.parametrize("name", WITH_CUTOFF)
@given(queries=some_queries(largest=4, bins=4), data=st.data())
@FIXED
def test_metric_at_a_cutoff_is_the_mean_over_all_orders_of_several_tied_bins(name, queries, data):
    ours, plain = WITH_CUTOFF[name]
    largest = max(sum(n for n, _ in bins) for bins in queries)
    cutoff = data.draw(st.integers(1, largest + 3), label="K")
    reference = expected(plain, queries, cutoff, empty=0.0 if name in COUNTS_ZERO else math.nan)
    assert_equal(ours(histogram_of(queries), cutoff), reference)


@pytest.mark.parametrize("name", WITH_CUTOFF)
@given(queries=some_queries(largest=8, bins=2), data=st.data())
@settings(FIXED, max_examples=40)
def test_metric_at_a_cutoff_is_the_mean_over_all_orders_of_long_ties(name, queries, data):
    ours, plain = WITH_CUTOFF[name]
    cutoff = data.draw(st.integers(1, 18), label="K")
    reference = expected(plain, queries, cutoff, empty=0.0 if name in COUNTS_ZERO else math.nan)
    assert_equal(ours(histogram_of(queries), cutoff), reference)


@given(queries=some_queries(largest=4, bins=4))
@FIXED
def test_map_is_the_mean_over_all_orders_and_its_bounds_are_their_extremes(queries):
    histogram = histogram_of(queries)
    best = [plain_ap(arrangements(bins)).max() if any(p for _, p in bins) else math.nan for bins in queries]
    worst = [plain_ap(arrangements(bins)).min() if any(p for _, p in bins) else math.nan for bins in queries]
    assert_equal(metrics.average_precision(histogram), expected(plain_ap, queries))
    assert_equal(metrics.average_precision_optimistic(histogram), np.array(best))
    assert_equal(metrics.average_precision_pessimistic(histogram), np.array(worst))


@given(queries=some_queries(largest=6, bins=6), radius=st.integers(0, 7))
@FIXED
def test_precision_in_a_radius_counts_the_ball_inclusively_and_an_empty_ball_as_zero(queries, radius):
    reference = []
    for bins in queries:
        ball = bins[: radius + 1]
        items, relevant = sum(n for n, _ in ball), sum(n_plus for _, n_plus in ball)
        answerable = any(n_plus for _, n_plus in bins)
        reference.append((relevant / items if items else 0.0) if answerable else math.nan)
    assert_equal(metrics.precision_in_radius(histogram_of(queries), radius), np.array(reference))


@pytest.mark.parametrize("name", WITH_CUTOFF)
@pytest.mark.parametrize("cutoff", range(1, 12))
@pytest.mark.parametrize(
    "bins",
    [
        [(3, 1), (4, 2), (2, 1)],  # ends of bins at 3, 7, 9: the cut falls before, inside, at and after each
        [(0, 0), (5, 5), (0, 0), (4, 0)],  # a full bin between empty ones
        [(4, 0), (1, 1), (4, 0)],  # one relevant item, alone
        [(1, 0), (6, 1)],  # one relevant item in a long tie
        [(1, 1)],
        [(9, 4)],
    ],
    ids=str,
)
def test_every_position_of_the_cut_against_the_bins(name, cutoff, bins):
    ours, plain = WITH_CUTOFF[name]
    assert_equal(ours(histogram_of([bins]), cutoff), expected(plain, [bins], cutoff))


# --- identities ---


@given(queries=some_queries(largest=30, bins=6))
@FIXED
def test_bounds_bracket_the_expectation(queries):
    histogram = histogram_of(queries)
    known = histogram.total_relevant > 0
    low = metrics.average_precision_pessimistic(histogram)[known]
    middle = metrics.average_precision(histogram)[known]
    high = metrics.average_precision_optimistic(histogram)[known]
    assert ((low > 0) & (low <= middle + EXACT) & (middle <= high + EXACT) & (high <= 1 + EXACT)).all()


@given(queries=some_queries(largest=30, bins=6))
@FIXED
def test_p_hit_mrr_and_ndcg_agree_at_cutoff_one_for_each_query(queries):
    histogram = histogram_of(queries)
    reference = metrics.precision(histogram, 1)
    for other in (metrics.hit, metrics.reciprocal_rank, metrics.average_precision, metrics.ndcg):
        assert_equal(other(histogram, 1), reference)


@given(queries=some_queries(largest=12, bins=5))
@FIXED
def test_a_cutoff_at_or_beyond_the_database_gives_the_untruncated_map(queries):
    histogram = histogram_of(queries)
    size = int(histogram.total_items.max())
    reference = metrics.average_precision(histogram)
    for cutoff in (size, size + 1, size + 50):
        assert_equal(metrics.average_precision(histogram, cutoff), reference)
        assert_equal(metrics.average_precision_hits(histogram, cutoff), np.nan_to_num(reference))
        assert_equal(metrics.average_precision_relevant(histogram, cutoff), np.nan_to_num(reference))


@given(
    bins=st.lists(one_bin(6), min_size=1, max_size=5).filter(lambda found: any(n_plus for _, n_plus in found)),
    cutoff=st.integers(1, 12),
)
@FIXED
def test_empty_bins_anywhere_change_nothing(bins, cutoff):
    spread = [(0, 0)] + [part for found in bins for part in (found, (0, 0), (0, 0))]
    for ours, _ in WITH_CUTOFF.values():
        assert_equal(ours(histogram_of([spread]), cutoff), ours(histogram_of([bins]), cutoff))


@pytest.mark.parametrize("budget", [1, 60, 1 << 22])
@pytest.mark.parametrize("name", WITH_CUTOFF)
def test_a_query_is_scored_alike_whatever_other_queries_stand_beside_it(name, budget, monkeypatch):
    monkeypatch.setattr(boundary, "WIDTH_BUDGET", budget)  # probabilities in blocks of one query, of a few, of all
    items = np.random.default_rng(0).integers(0, 40, (25, 9))
    relevant = np.random.default_rng(1).binomial(items, 0.2)
    ours, _ = WITH_CUTOFF[name]
    alone = np.concatenate([ours(DistanceHistogram(items[[q]], relevant[[q]]), 7) for q in range(25)])
    assert_equal(ours(DistanceHistogram(items, relevant), 7), alone)


# --- worked by hand ---


def test_ten_relevant_among_hundred_tied_items_have_ap_at_20_of_051_and_any_value_from_0_to_1():
    tied = histogram_of([[(100, 10)]])
    # sum over j of .1 (1 + (j - 1) 9 / 99) / j, over min(20, 10): (H(20) + (20 - H(20)) / 11) / 100
    h20 = 55835135 / 15519504
    assert metrics.average_precision(tied, 20)[0] == pytest.approx((h20 + (20 - h20) / 11) / 100, abs=EXACT)
    assert round(metrics.average_precision(tied, 20)[0], 3) == 0.051
    assert metrics.average_precision(histogram_of([[(10, 10), (90, 0)]]), 20)[0] == 1.0
    assert metrics.average_precision(histogram_of([[(90, 0), (10, 10)]]), 20)[0] == 0.0
    assert metrics.average_precision_optimistic(tied)[0] == pytest.approx(1.0, abs=EXACT)
    assert metrics.average_precision_pessimistic(tied)[0] == pytest.approx(
        sum(m / (90 + m) for m in range(1, 11)) / 10, abs=EXACT
    )


def test_the_three_truncated_forms_differ_as_named_on_one_ranking():
    # relevant at ranks 1, 4 and 9 of 10 items, no ties
    ranking = histogram_of([[(1, int(rank in (1, 4, 9))) for rank in range(1, 11)]])
    assert metrics.average_precision(ranking, 5)[0] == pytest.approx((1 + 2 / 4) / 3, abs=EXACT)
    assert metrics.average_precision(ranking, 2)[0] == pytest.approx(1 / 2, abs=EXACT)
    assert metrics.average_precision_hits(ranking, 5)[0] == pytest.approx((1 + 2 / 4) / 2, abs=EXACT)
    assert metrics.average_precision_hits(ranking, 2)[0] == pytest.approx(1.0, abs=EXACT)
    assert metrics.average_precision_relevant(ranking, 5)[0] == pytest.approx((1 + 2 / 4 + 3 / 9) / 3, abs=EXACT)
    assert metrics.average_precision_relevant(ranking, 2)[0] == pytest.approx((1 + 2 / 4) / 2, abs=EXACT)


@pytest.mark.parametrize(("relevant", "value"), [(1, 1.0), (0, math.nan)])
def test_one_query_and_one_item(relevant, value):
    histogram = histogram_of([[(0, 0), (1, relevant)]])
    for name, (ours, _) in WITH_CUTOFF.items():
        full = 1 / 5 if name == "p" else 1.0  # p@K divides by K, however few items there are
        reference = full if relevant else 0.0 if name in COUNTS_ZERO else math.nan
        assert_equal(ours(histogram, 5), np.array([reference]))
    assert_equal(metrics.average_precision(histogram), np.array([value]))


def test_an_empty_database_leaves_every_query_out_or_counts_zero():
    histogram = DistanceHistogram(np.zeros((2, 5), dtype=np.int64), np.zeros((2, 5), dtype=np.int64))
    for name, (ours, _) in WITH_CUTOFF.items():
        assert_equal(ours(histogram, 3), np.full(2, 0.0 if name in COUNTS_ZERO else math.nan))


# --- no ties ---


@pytest.mark.parametrize("cutoff", [1, 3, 10, 39, 40, 100])
def test_without_ties_every_metric_is_the_textbook_one_of_a_sorted_ranking(cutoff):
    random = np.random.default_rng(cutoff)
    n_items, n_bits = 40, 63
    # an item at distance d from the all-zero query has d ones; distinct distances leave no tie
    distances = random.permutation(n_bits + 1)[:n_items]
    bits = np.arange(n_bits)[None, :] < distances[:, None]
    database = np.packbits(bits, axis=1, bitorder="little")
    labels = random.integers(0, 4, n_items)
    query = np.zeros((4, database.shape[1]), dtype=np.uint8)
    histogram = distance_histogram(query, database, n_bits, np.arange(4), labels)
    order = np.argsort(distances, kind="stable")
    for name, (ours, plain) in WITH_CUTOFF.items():
        for q in range(4):
            ranking = (labels[order] == q).astype(np.int64)[None, :]
            assert ours(histogram, cutoff)[q] == pytest.approx(plain(ranking, cutoff)[0], abs=EXACT), name
    for bound in (metrics.average_precision_optimistic, metrics.average_precision_pessimistic):
        assert_equal(bound(histogram), metrics.average_precision(histogram))


def test_order_of_database_and_queries_does_not_matter():
    random = np.random.default_rng(5)
    query, database = random.integers(0, 4, (9, 2), dtype=np.uint8), random.integers(0, 4, (50, 2), dtype=np.uint8)
    query_labels, labels = random.integers(0, 3, 9), random.integers(0, 3, 50)
    items, queries = random.permutation(50), random.permutation(9)
    one = distance_histogram(query, database, 16, query_labels, labels)
    other = distance_histogram(query[queries], database[items], 16, query_labels[queries], labels[items])
    for ours, _ in WITH_CUTOFF.values():
        np.testing.assert_array_equal(ours(one, 5)[queries], ours(other, 5))


# --- large bins ---


def chance_of_hits(n, n_plus, drawn, hits):
    """Exact: integers as long as they need to be."""
    return float(math.comb(n_plus, hits) * math.comb(n - n_plus, drawn - hits) / math.comb(n, drawn))


def tied_precision_sum(n, n_plus, before, plus_before, above):
    """Expected sum of precision in the first ``above`` places of a tie, term by term."""
    q = (n_plus - 1) / (n - 1) if n > 1 else 0.0
    return math.fsum(n_plus / n * (plus_before + 1 + (j - 1) * q) / (before + j) for j in range(1, above + 1))


def mean_over_first_relevant(n, n_plus, before, plus_before, counted):
    """Expected sum of i / t over the first relevant items of a tie; t - before is negative hypergeometric."""
    total = 0.0
    for i in range(1, counted + 1):
        places = np.arange(i, n - n_plus + i + 1, dtype=np.float64)
        start = math.prod((n_plus - a) / (n - a) for a in range(i))
        growth = places[:-1] / (places[:-1] - i + 1) * (n - places[:-1] - n_plus + i) / (n - places[:-1])
        chance = start * np.concatenate([[1.0], np.cumprod(growth)])
        total += math.fsum(chance * (plus_before + i) / (before + places))
    return total


@pytest.mark.parametrize("nearer", [(0, 0), (7, 3)], ids=["alone", "after a nearer bin"])
@pytest.mark.parametrize("share", [0, 0.03, 0.6, 1])
@pytest.mark.parametrize("n", [4369, 100_000])
def test_large_ties_agree_with_exact_sums(n, share, nearer):
    n_plus, cutoff, (before, plus_before), near = max(1, round(share * n)), 20, nearer, TOLERANCE[n]
    histogram = histogram_of([[nearer, (n, n_plus)]])
    inside = cutoff - before
    first = tied_precision_sum(before, plus_before, 0, 0, before) if before else 0.0
    ap = first + tied_precision_sum(n, n_plus, before, plus_before, n)
    assert metrics.average_precision(histogram)[0] == pytest.approx(ap / (plus_before + n_plus), abs=near)

    at = (first + tied_precision_sum(n, n_plus, before, plus_before, inside)) / min(cutoff, plus_before + n_plus)
    assert metrics.average_precision(histogram, cutoff)[0] == pytest.approx(at, abs=near)

    hits = 0.0
    for h in range(min(inside, n_plus) + 1):
        if plus_before + h:
            value = (first + tied_precision_sum(inside, h, before, plus_before, inside)) / (plus_before + h)
            hits += chance_of_hits(n, n_plus, inside, h) * value
    assert metrics.average_precision_hits(histogram, cutoff)[0] == pytest.approx(hits, abs=near)

    counted = min(cutoff, plus_before + n_plus)
    relevant = (first + mean_over_first_relevant(n, n_plus, before, plus_before, counted - plus_before)) / counted
    assert metrics.average_precision_relevant(histogram, cutoff)[0] == pytest.approx(relevant, abs=near)

    found = 1.0 if plus_before else 1 - chance_of_hits(n, n_plus, inside, 0)
    assert metrics.hit(histogram, cutoff)[0] == pytest.approx(found, abs=near)


def test_a_million_items_at_one_distance_stay_finite_and_between_zero_and_one():
    histogram = histogram_of([[(1_000_000, n_plus)] for n_plus in (1, 1000, 500_000, 999_999)])
    for name, (ours, _) in WITH_CUTOFF.items():
        values = ours(histogram, 50)
        assert np.isfinite(values).all(), name
        assert ((values > 0) & (values <= 1)).all(), name
    first = metrics.precision(histogram, 1)
    for other in (metrics.hit, metrics.reciprocal_rank):
        np.testing.assert_allclose(other(histogram, 1), first, rtol=0, atol=TOLERANCE[1_000_000])
