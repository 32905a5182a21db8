"""The terms of a ranking that stay random when a cut falls inside a tie.

Everything here concerns one bin per query: the one that holds the cut. Probabilities come from logarithms of
factorials, so bins of millions of items neither overflow nor underflow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.retrieval.histograms import DistanceHistogram

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WIDTH_BUDGET = 1 << 22
"""Probabilities held at a time."""


def _log_binomial(log_factorial: Floats, n: Ints, k: Ints) -> Floats:
    """log C(n, k), minus infinity outside 0 <= k <= n."""
    valid = (k >= 0) & (k <= n) & (n >= 0)
    top = np.maximum(n, 0)
    low = np.clip(k, 0, top)
    value = log_factorial[top] - log_factorial[low] - log_factorial[top - low]
    return np.where(valid, value, -np.inf)


def _hypergeometric(log_factorial: Floats, total: Ints, marked: Ints, drawn: Ints, hits: Ints) -> Floats:
    """P(hits marked items among ``drawn`` of ``total``, ``marked`` of them marked)."""
    with np.errstate(invalid="ignore"):
        logarithm = (
            _log_binomial(log_factorial, marked, hits)
            + _log_binomial(log_factorial, total - marked, drawn - hits)
            - _log_binomial(log_factorial, total, drawn)
        )
    return np.exp(np.where(np.isnan(logarithm), -np.inf, logarithm))


def expected_hits_precision(histogram: DistanceHistogram, whole: Floats, cutoff: int) -> Floats:
    """Expected (sum of precision at the hits of the first K ranks) / (number of those hits), 0 without a hit.

    Only the number h of hits among the J items that the bin at the cut contributes is random:
    sum_h P(h) [A + S(J, h)] / (N+ + h), A the sum of the bins before, S the expected sum of a bin of J items with h
    hits.

    Args:
        histogram: The histograms.
        whole: (n_query, bins) expected sums of precision of whole bins.
        cutoff: K.

    Returns:
        (n_query,) expectations.
    """
    rank = np.minimum(cutoff, histogram.total_items)
    at = histogram.bin_containing(np.maximum(rank, 1))
    n, n_plus = histogram.at(histogram.items, at), histogram.at(histogram.relevant, at)
    before, plus_before = histogram.at(histogram.items_before, at), histogram.at(histogram.relevant_before, at)
    earlier = np.where(np.arange(whole.shape[1])[None, :] < at[:, None], whole, 0.0).sum(axis=1)
    above = rank - before
    hits = np.arange(cutoff + 1, dtype=np.int64)[None, :]
    n, n_plus, before, plus_before, above = (value[:, None] for value in (n, n_plus, before, plus_before, above))
    chance = _hypergeometric(histogram.log_factorial, n, n_plus, above, hits)
    reciprocal = histogram.harmonic[before + above] - histogram.harmonic[before]
    q = np.where(above > 1, (hits - 1) / np.maximum(above - 1, 1), 0.0)
    share = np.where(above > 0, hits / np.maximum(above, 1), 0.0)
    inside = share * ((plus_before + 1) * reciprocal + q * (above - (before + 1) * reciprocal))
    found = plus_before + hits
    value = np.where(found > 0, (earlier[:, None] + inside) / np.maximum(found, 1), 0.0)
    return (chance * value).sum(axis=1)


def expected_prefix_of_relevant(histogram: DistanceHistogram, bins: Ints, count: Ints, whole: Floats) -> Floats:
    """Expected sum of precision at the first ``count`` relevant items of one bin.

    The item at place j of the bin is relevant with probability n+/n, and then X of the j - 1 items before it are
    relevant, X hypergeometric over the other n - 1 items. So the sum is
    sum_j (n+/n) / (N + j) E[(N+ + X + 1) 1(X <= count - 1)],
    and both E[1(X <= c)] and E[X 1(X <= c)] follow for all j from one running sum each: drawing one item more lowers
    P(X <= c) by P(X = c) times the chance that the item is relevant.

    Args:
        histogram: The histograms.
        bins: (n_query,) the bin of each query.
        count: (n_query,) relevant items of that bin that count; at most n+.
        whole: (n_query,) the value where the whole bin counts, known in closed form.

    Returns:
        (n_query,) expectations; 0 where ``count`` is 0.
    """
    n, n_plus = histogram.at(histogram.items, bins), histogram.at(histogram.relevant, bins)
    result = np.where(count >= n_plus, whole, 0.0)
    rest = np.flatnonzero((count > 0) & (count < n_plus))
    rest = rest[np.argsort(n[rest], kind="stable")]  # rows of like width share a block
    before, plus_before = histogram.at(histogram.items_before, bins), histogram.at(histogram.relevant_before, bins)
    start = 0
    while start < len(rest):
        width = int(n[rest[start]])
        stop = start + 1
        while stop < len(rest) and (stop - start + 1) * int(n[rest[stop]]) <= WIDTH_BUDGET:
            width = int(n[rest[stop]])
            stop += 1
        block = rest[start:stop]
        result[block] = _prefix_block(
            histogram.log_factorial, n[block], n_plus[block], before[block], plus_before[block], count[block], width
        )
        start = stop
    return result


def _prefix_block(
    log_factorial: Floats, n: Ints, n_plus: Ints, before: Ints, plus_before: Ints, count: Ints, width: int
) -> Floats:
    """:func:`expected_prefix_of_relevant` for rows whose bins hold at most ``width`` items."""
    n, n_plus, before, plus_before, count = (value[:, None] for value in (n, n_plus, before, plus_before, count))
    drawn = np.arange(width, dtype=np.int64)[None, :]  # j - 1
    others, marked, most = n - 1, n_plus - 1, count - 1
    at_most = _at_most(log_factorial, others, marked, drawn, most)
    # E[X 1(X <= c)] = E[X] P(X' <= c - 1), X' over one item and one marked item less
    mean = drawn * marked / np.maximum(others, 1)
    partial_mean = mean * np.where(drawn > 0, _at_most(log_factorial, others - 1, marked - 1, drawn - 1, most - 1), 0.0)
    terms = ((plus_before + 1) * at_most + partial_mean) / (before + drawn + 1)
    return np.where(drawn < n, terms, 0.0).sum(axis=1) * (n_plus / n)[:, 0]


def _at_most(log_factorial: Floats, total: Ints, marked: Ints, drawn: Ints, most: Ints) -> Floats:
    """P(X <= most) for X hypergeometric, for columns ``drawn`` = d, d + 1, ... starting at -1 or 0."""
    at = _hypergeometric(log_factorial, total, marked, drawn, most)  # P(X = most) after ``drawn`` draws
    leave = np.where(total > drawn, (marked - most) / np.maximum(total - drawn, 1), 0.0)
    lost = np.cumsum(at * leave, axis=1)
    result = np.ones_like(at)
    result[:, 1:] -= lost[:, :-1]
    return np.where(most < 0, 0.0, np.clip(result, 0.0, 1.0))
