"""The precision of the first relevant items of a tie in compiled code. Imports numba: imported only where it pays."""

from __future__ import annotations

import numpy as np

from harness.retrieval.compiled import compile_cached

SMALL = 1e-200
"""A probability is held as p SMALL^k, so that the start of a long tie does not underflow."""

NEGLIGIBLE = 1e-18
"""What all further places together may add where the sum ends."""


@compile_cached
def prefix_of_relevant(items, relevant, before, plus_before, count, places):
    """:func:`harness.retrieval.boundary.expected_prefix_of_relevant` for bins with more than ``count`` relevant items.

    With X relevant items among the first d of the other n - 1, three numbers go from one place to the next:
    p = P(X = c), F = P(X <= c) and G = E[X 1(X <= c)], c = count - 1. Drawing one of the t left, m marked in all,
    F loses p (m - c) / t, and G gains (m F - G - (c + 1)(m - c) p) / t.

    Args:
        items: (n,) int64 n.
        relevant: (n,) int64 n+.
        before: (n,) int64 N.
        plus_before: (n,) int64 N+.
        count: (n,) int64, between 1 and n+ - 1.
        places: (n,) int64 places to go through.

    Returns:
        (n,) float64 expectations.
    """
    result = np.empty(len(items))
    for row in range(len(items)):
        total, marked, most = items[row] - 1, relevant[row] - 1, count[row] - 1
        exactly, scaled = 1.0, 0
        for k in range(most):
            exactly *= (marked - k) / (total - k)
            if exactly < SMALL:
                exactly /= SMALL
                scaled += 1
        at_most, partial_mean, added = 1.0, 0.0, 0.0
        first = plus_before[row] + 1.0
        for drawn in range(min(places[row], items[row])):
            added += (first * at_most + partial_mean) / (before[row] + drawn + 1.0)
            left = float(total - drawn)
            if left <= 0.0 or at_most * count[row] < NEGLIGIBLE:
                break
            lost = 0.0
            if drawn >= most:
                if scaled == 0:
                    lost = exactly * (marked - most) / left
                exactly *= (drawn + 1.0) * (total - marked - (drawn - most)) / ((drawn + 1.0 - most) * left)
                if scaled and exactly > 1.0:
                    exactly *= SMALL
                    scaled -= 1
            partial_mean += (marked * at_most - partial_mean) / left - count[row] * lost
            at_most = max(at_most - lost, 0.0)
            partial_mean = min(max(partial_mean, 0.0), most * at_most)
        result[row] = added * relevant[row] / items[row]
    return result
