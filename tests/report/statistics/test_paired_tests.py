"""Sign-flip tests: against scipy, against going through all patterns by hand, and how often they are wrong."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from harness.report.statistics.paired_tests import EXACT_UNITS, sign_flip, smallest_p


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_exact_p_equals_scipys_and_an_enumeration(n):
    values = np.random.default_rng(n).normal(0.3, size=n)
    found = sign_flip(values)
    assert (found.exact, found.n) == (True, n)
    totals = [abs(np.dot(signs, values)) for signs in itertools.product((-1, 1), repeat=n)]
    assert found.p == pytest.approx(np.mean(np.array(totals) >= abs(values.sum()) - 1e-12))
    if n > 1:  # scipy wants two
        theirs = stats.permutation_test((values,), np.sum, permutation_type="samples", n_resamples=np.inf)
        assert found.p == pytest.approx(theirs.pvalue)


def test_smallest_p_is_reached_where_all_units_agree():
    for n, p in ((1, 1.0), (2, 0.5), (5, 0.0625), (6, 0.03125), (10, 2 / 1024)):
        assert smallest_p(n) == p
        assert sign_flip(np.arange(1.0, n + 1)).p == sign_flip(-np.arange(1.0, n + 1)).p == p


def test_drawn_patterns_estimate_the_exact_p(monkeypatch):
    values = np.random.default_rng(0).normal(0.4, size=18)
    exact = sign_flip(values)
    monkeypatch.setattr("harness.report.statistics.paired_tests.EXACT_UNITS", 10)
    drawn = sign_flip(values, flips=50_000)
    assert not drawn.exact
    assert drawn.p == pytest.approx(exact.p, abs=0.005)
    monkeypatch.setattr("harness.report.statistics.paired_tests._AT_A_TIME", 1 << 12)
    assert sign_flip(values, flips=50_000).p == pytest.approx(exact.p, abs=0.005)


def test_drawn_patterns_never_claim_more_than_was_drawn():
    found = sign_flip(np.ones(100), flips=999)
    assert found.p == found.smallest_p == 0.001
    assert sign_flip(np.ones(100), flips=999, seed=4) == found


def test_many_units_agree_with_scipys_wilcoxon_like_permutation():
    values = np.random.default_rng(3).normal(0.12, size=150)
    theirs = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(0)
    )
    assert sign_flip(values).p == pytest.approx(theirs.pvalue, abs=0.02)


def test_nothing_and_no_difference_are_no_evidence():
    assert sign_flip(np.zeros(0)).p == 1.0
    assert sign_flip(np.zeros(5)).p == 1.0
    assert sign_flip(np.zeros(100)).p == 1.0


def test_totals_that_differ_by_rounding_alone_count_as_equal():
    # 0.1 + 0.2 - 0.3 is not 0 in floating point; of the 8 patterns with 1.0 positive, 5 reach a total of 1.
    for order in itertools.permutations((0.1, 0.2, -0.3, 1.0)):
        assert sign_flip(np.array(order)).p == 5 / 8


@pytest.mark.parametrize("n", [8, EXACT_UNITS + 10])
def test_wrong_alarms_are_as_rare_as_the_level_says(n):
    random = np.random.default_rng(1)
    p = np.array([sign_flip(random.standard_t(3, size=n), flips=400, seed=at).p for at in range(600)])
    for alpha in (0.05, 0.2):
        assert (p <= alpha).mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 600)
    assert (p <= 0.2).mean() > 0.12, "a test that never rejects would pass the lines above"
