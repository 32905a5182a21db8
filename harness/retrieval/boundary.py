"""The terms of a ranking that stay random when a cut falls inside a tie.

Everything here concerns one bin per query: the one that holds the cut. Probabilities are hypergeometric. They come from
products of ratios of neighbours, summed up as logarithms, so that bins of millions of items neither overflow nor
underflow nor lose digits to logarithms of large factorials.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.retrieval.counting import compiled_code
from harness.retrieval.histograms import Cut, DistanceHistogram

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WIDTH_BUDGET = 1 << 17
"""Probabilities held at a time."""

NEGLIGIBLE = 42.0
"""exp(-42) is below 1e-18: places that only so improbable an order of a tie reaches are left out."""


def expected_hits_precision(harmonic: Floats, cut: Cut, earlier: Floats) -> Floats:
    """Expected (sum of precision at the hits of the first K ranks) / (number of those hits), 0 without a hit.

    Only the number h of hits among the J items that the bin at the cut contributes is random:
    sum_h P(h) [A + S(J, h)] / (N+ + h), A the sum of the bins before, S the expected sum of a bin of J items with h
    hits. Only h from max(0, J - (n - n+)) to min(J, n+) can be.

    Args:
        harmonic: H(0), H(1), ...
        cut: The bins at rank K.
        earlier: (n_query,) A.

    Returns:
        (n_query,) expectations.
    """
    others = cut.items - cut.relevant
    fewest = np.maximum(cut.above - others, 0)
    most = np.minimum(cut.above, cut.relevant)
    columns = np.arange(int((most - fewest).max(initial=0)) + 1)[None, :]
    relevant, others, above, plus_before = (
        value[:, None] for value in (cut.relevant, others, cut.above, cut.relevant_before)
    )
    hits = fewest[:, None] + columns
    possible = hits <= most[:, None]
    # P(h) / P(h - 1); the first column is the start, and all are divided by their sum
    over = np.maximum(relevant - hits + 1, 0) * np.maximum(above - hits + 1, 0)
    under = hits * np.maximum(others - above + hits, 1)
    ratio = np.where(possible & (columns > 0), over / np.maximum(under, 1), 1.0)
    logarithm = np.cumsum(np.log(ratio), axis=1)
    chance = np.where(possible, np.exp(logarithm - logarithm.max(axis=1, keepdims=True)), 0.0)
    chance /= chance.sum(axis=1, keepdims=True)
    before = cut.items_before[:, None]
    reciprocal = harmonic[before + above] - harmonic[before]
    every_place = (before + 1) * reciprocal
    inside = hits * ((plus_before + 1) * reciprocal + (hits - 1) / np.maximum(above - 1, 1) * (above - every_place))
    plus_after = plus_before + hits
    value = np.where(
        plus_after > 0, (earlier[:, None] + inside / np.maximum(above, 1)) / np.maximum(plus_after, 1), 0.0
    )
    return (chance * value).sum(axis=1)


def expected_prefix_of_relevant(histogram: DistanceHistogram, bins: Ints, count: Ints, whole: Floats) -> Floats:
    """Expected sum of precision at the first ``count`` relevant items of one bin.

    The item at place j of the bin is relevant with probability n+/n, and then X of the j - 1 items before it are
    relevant, X hypergeometric over the other n - 1 items. So the sum is
    sum_j (n+/n) / (N + j) E[(N+ + X + 1) 1(X <= count - 1)],
    and both E[1(X <= c)] and E[X 1(X <= c)] follow for all j from P(X = c): drawing one item more lowers P(X <= c) by
    P(X = c) times the chance that the item is relevant.

    Args:
        histogram: The histograms.
        bins: (n_query,) the bin of each query.
        count: (n_query,) relevant items of that bin that count; at most n+.
        whole: (n_query,) the value where the whole bin counts, known in closed form.

    Returns:
        (n_query,) expectations; 0 where ``count`` is 0.
    """
    relevant = histogram.at(histogram.relevant, bins)
    result = np.where(count >= relevant, whole, 0.0)
    rest = np.flatnonzero((count > 0) & (count < relevant))
    if not len(rest):
        return result
    arrays = (histogram.items, histogram.relevant, histogram.items_before, histogram.relevant_before)
    rows = [*(values[rest, bins[rest]] for values in arrays), count[rest]]
    places = places_reached(rows[0], rows[1], rows[4])
    compiled = compiled_code("compiled_prefix", histogram.large)
    if compiled is None:
        result[rest] = _prefix_in_blocks(rows, places)
    else:
        result[rest] = compiled.prefix_of_relevant(*rows, places)
    return result


def places_reached(items: Ints, relevant: Ints, count: Ints) -> Ints:
    """(n,) places of each bin that can still matter for its first ``count`` relevant items.

    After j draws the number X of relevant items has the mean m = j n+ / n, and P(X < count) <= exp(-(m - count)^2 /
    2m) (Chernoff's bound, which holds without replacement: Hoeffding 1963, section 6). The items beyond place j add at
    most count P(X < count), so they are left out where that is below exp(-NEGLIGIBLE).
    """
    exponent = NEGLIGIBLE + np.log(count)
    mean = count + exponent + np.sqrt(exponent * exponent + 2 * count * exponent)
    return np.minimum(items, np.ceil(mean * items / relevant).astype(np.int64) + 2)


def _prefix_in_blocks(rows: list[Ints], places: Ints) -> Floats:
    """:func:`_prefix` for blocks of rows of like width."""
    order = np.argsort(places, kind="stable")
    result = np.empty(len(order))
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop - start + 1) * int(places[order[stop]]) <= WIDTH_BUDGET:
            stop += 1
        block = order[start:stop]
        result[block] = _prefix(*[value[block] for value in rows], width=int(places[order[stop - 1]]))
        start = stop
    return result


def _prefix(items: Ints, relevant: Ints, before: Ints, plus_before: Ints, count: Ints, *, width: int) -> Floats:
    """:func:`expected_prefix_of_relevant` over the first ``width`` places of bins with more than ``count`` relevant."""
    share = relevant / items
    items, relevant, before, plus_before, count = (
        value[:, None] for value in (items, relevant, before, plus_before, count)
    )
    drawn = np.arange(width, dtype=np.int64)[None, :]  # j - 1
    total, marked, most = items - 1, relevant - 1, count - 1
    left = np.maximum(total - drawn, 1)
    factor = np.arange(int(most.max()), dtype=np.int64)[None, :]
    used = factor < most
    start = np.log(np.where(used, marked - factor, 1) / np.where(used, total - factor, 1)).sum(axis=1, keepdims=True)
    # P(X = most) after d draws over that after d - 1, for d > most; it starts with ``most`` draws that all are marked
    over, under = drawn * np.maximum(total - marked - (drawn - 1 - most), 0), (drawn - most) * (left + 1)
    with np.errstate(divide="ignore"):
        ratio = np.log(np.where(drawn > most, over / np.maximum(under, 1), 1.0))
    exactly = np.where(drawn >= most, np.exp(start + np.cumsum(ratio, axis=1)), 0.0)
    lost = exactly * ((marked - most) / left)
    at_most = np.clip(1.0 - (np.cumsum(lost, axis=1) - lost), 0.0, 1.0)
    # E[X 1(X <= c)] = E[X] P(X' <= c - 1), X' over one item and one marked item less and after one draw less
    mean = drawn * (marked / np.maximum(total, 1))
    lost_of_one_less = np.where(mean > 0, lost * most / np.where(mean > 0, mean, 1.0), 0.0)
    one_less = np.clip(1.0 - (np.cumsum(lost_of_one_less, axis=1) - lost_of_one_less), 0.0, 1.0)
    partial_mean = np.where(most > 0, mean * one_less, 0.0)
    terms = ((plus_before + 1) * at_most + partial_mean) / (before + drawn + 1)
    return np.where(drawn < items, terms, 0.0).sum(axis=1) * share
