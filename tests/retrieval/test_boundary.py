"""The terms at a cut inside a tie: compiled code, plain numpy, and exact sums term by term."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import hypergeom

from harness.retrieval import boundary, metrics
from harness.retrieval.boundary import expected_prefix_of_relevant, places_reached
from harness.retrieval.histograms import DistanceHistogram

FORMULAS = [metrics.average_precision_hits, metrics.average_precision_relevant]


def fast_and_plain(monkeypatch, compute):
    """What ``compute`` gives in compiled code and in numpy."""
    pytest.importorskip("numba")
    found = []
    for wish in ("1", "0"):
        monkeypatch.setenv("HARNESS_NUMBA", wish)
        found.append(compute())
    return found


def prefix(items, relevant, before, plus_before, count):
    """:func:`expected_prefix_of_relevant` of single bins after one nearer bin; whole bins are not asked for."""
    nearer = np.array([before, plus_before]).T
    histogram = DistanceHistogram(np.stack([nearer[:, 0], items], axis=1), np.stack([nearer[:, 1], relevant], axis=1))
    return expected_prefix_of_relevant(
        histogram, np.ones(len(items), dtype=np.int64), np.asarray(count), np.full(len(items), np.nan)
    )


def exact_prefix(n, n_plus, before, plus_before, count):
    """In rational numbers: the i-th relevant item stands at place t with a negative hypergeometric probability."""
    total = Fraction(0)
    for i in range(1, count + 1):
        for t in range(i, n - n_plus + i + 1):
            chance = Fraction(math.comb(t - 1, i - 1) * math.comb(n - t, n_plus - i), math.comb(n, n_plus))
            total += chance * Fraction(plus_before + i, before + t)
    return float(total)


def test_small_bins_against_rational_numbers(monkeypatch):
    cases = [
        (n, n_plus, before, plus_before, count)
        for n, n_plus in ((2, 2), (3, 2), (9, 4), (14, 13), (30, 3), (18, 9))
        for before, plus_before in ((0, 0), (5, 2), (1000, 1))
        for count in range(1, n_plus)
    ]
    reference = [exact_prefix(*case) for case in cases]
    for found in fast_and_plain(monkeypatch, lambda: prefix(*np.array(cases).T)):
        np.testing.assert_allclose(found, reference, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("n", "n_plus", "count"),
    [
        (5_000, 250, 20),
        (50_000, 2_500, 100),
        (50_000, 30_000, 99),
        (50_000, 49_999, 50),
        (100_000, 101, 100),  # starts at a probability of 1e-337, below what a float64 holds
        (1_000_000, 2_000, 5),
    ],
)
def test_large_bins_against_the_places_of_each_relevant_item(n, n_plus, count, monkeypatch):
    before, plus_before = 7, 3
    found = fast_and_plain(monkeypatch, lambda: prefix(*np.array([[n, n_plus, before, plus_before, count]]).T)[0])
    assert found[0] == pytest.approx(found[1], abs=1e-12 * count)
    reference = 0.0
    logarithm = gammaln(np.arange(n + 2) + 1.0)  # of k!
    for i in range(1, count + 1):
        place = np.arange(i, n - n_plus + i + 1)
        chance = logarithm[place - 1] - logarithm[place - i]
        chance += logarithm[n - place] - logarithm[n - place - n_plus + i]
        chance = np.exp(chance - chance.max())
        reference += (chance / (before + place)).sum() / chance.sum() * (plus_before + i)
    assert found[0] == pytest.approx(reference, abs=1e-9 * count)  # logarithms of factorials lose digits


def test_places_left_out_hold_next_to_nothing():
    items, relevant = np.array([100_000, 100_000, 3_000_000]), np.array([5_000, 50_000, 2_000])
    for count in (1, 5, 100):
        places = places_reached(items, relevant, np.full(3, count))
        assert (places < items).all()
        missed = hypergeom.cdf(count - 1, items - 1, relevant - 1, places)
        assert (missed * count < 1e-17).all()


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("cutoff", [1, 5, 20, 100])
def test_compiled_and_plain_metrics_are_equal_on_histograms_of_every_kind(formula, cutoff, monkeypatch):
    random = np.random.default_rng(cutoff)
    items = np.concatenate([random.integers(0, size, (40, 9)) for size in (2, 9, 150, 4_000)])
    items[::7] = 0
    items[::7, 4] = 500  # all at one distance
    share = random.choice([0.0, 0.02, 0.5, 1.0], size=(len(items), 1))
    relevant = random.binomial(items, share)
    fast, plain = fast_and_plain(monkeypatch, lambda: formula(DistanceHistogram(items, relevant), cutoff))
    assert np.isfinite(plain).all()
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-12)


def test_blocks_of_any_size_give_equal_sums(monkeypatch):
    items = np.array([40, 3, 900, 77])
    arguments = items, items // 2 + 1, items, items // 3, np.minimum(items // 2, 9)
    monkeypatch.setenv("HARNESS_NUMBA", "0")
    reference = prefix(*arguments)
    for budget in (1, 100, 1000):
        monkeypatch.setattr(boundary, "WIDTH_BUDGET", budget)
        np.testing.assert_allclose(prefix(*arguments), reference, rtol=0, atol=1e-14)
