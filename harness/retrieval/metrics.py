"""Retrieval metrics as exact expectations over random order within ties.

Each function takes the distance histograms of some queries and returns one float64 per query, NaN where the query has
no relevant item and the metric leaves it out. Symbols as in McSherry and Najork (ECIR 2008): a bin holds n items, n+ of
them relevant, after N items and N+ relevant ones in nearer bins; R relevant items in all, M items in all; J items of a
bin lie above the cut.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from harness.retrieval.boundary import expected_hits_precision, expected_prefix_of_relevant
from harness.retrieval.histograms import DistanceHistogram

Floats = NDArray[np.float64]


def _left_out(values: Floats, histogram: DistanceHistogram) -> Floats:
    """NaN for queries without relevant items."""
    return np.where(histogram.total_relevant > 0, values, np.nan)


def _above_cut(histogram: DistanceHistogram, cutoff: int | None) -> NDArray[np.int64]:
    """(n_query, bins) J: items of each bin that lie within the first ``cutoff`` ranks."""
    if cutoff is None:
        return histogram.items
    return np.clip(cutoff - histogram.items_before, 0, histogram.items)


def precision_sums(histogram: DistanceHistogram, above: NDArray[np.int64]) -> Floats:
    """(n_query, bins) expected sum of precision at the relevant items among the first J of each bin.

    (n+/n) {(N+ + 1)(H(N+J) - H(N)) + q [J - (N+1)(H(N+J) - H(N))]} with q = (n+ - 1)/(n - 1): the closed form of
    McSherry and Najork's expected average precision.
    """
    n, n_plus = histogram.items, histogram.relevant
    before, plus_before, harmonic = histogram.items_before, histogram.relevant_before, histogram.harmonic
    reciprocal = harmonic[before + above] - harmonic[before]
    q = np.where(n > 1, (n_plus - 1) / np.maximum(n - 1, 1), 0.0)
    inner = (plus_before + 1) * reciprocal + q * (above - (before + 1) * reciprocal)
    return np.where(n > 0, n_plus / np.maximum(n, 1), 0.0) * inner


def average_precision(histogram: DistanceHistogram, cutoff: int | None = None) -> Floats:
    """Expected AP@K = sum of precision at the relevant items of the first K ranks / min(K, R);
    K None: the whole ranking.
    """
    total = precision_sums(histogram, _above_cut(histogram, cutoff)).sum(axis=1)
    divisor = histogram.total_relevant if cutoff is None else np.minimum(cutoff, histogram.total_relevant)
    return _left_out(total / np.maximum(divisor, 1), histogram)


def average_precision_optimistic(histogram: DistanceHistogram) -> Floats:
    """AP with the relevant items first in every tie: the largest AP that any order of the ties gives."""
    return _bound(histogram, histogram.items_before)


def average_precision_pessimistic(histogram: DistanceHistogram) -> Floats:
    """AP with the relevant items last in every tie: the smallest AP that any order of the ties gives."""
    return _bound(histogram, histogram.items_before + histogram.items - histogram.relevant)


def _bound(histogram: DistanceHistogram, before: NDArray[np.int64]) -> Floats:
    """AP if the relevant items of a bin stand together, after ``before`` items: sum_m (N+ + m)/(before + m)."""
    n_plus, harmonic = histogram.relevant, histogram.harmonic
    total = n_plus + (histogram.relevant_before - before) * (harmonic[before + n_plus] - harmonic[before])
    return _left_out(total.sum(axis=1) / np.maximum(histogram.total_relevant, 1), histogram)


def average_precision_hits(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected sum of precision at the hits of the first K ranks / number of hits there; 0 without a hit, or if R = 0.

    The form of the DJSRH line of code ("calculate_top_map"). Only the bin that contains the cut is random.
    """
    return expected_hits_precision(histogram, precision_sums(histogram, histogram.items), cutoff)


def average_precision_relevant(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected mean precision at the first min(K, R) relevant items, wherever they rank; 0 if R = 0.

    The "mAP@20" of CHNR and DUCH (Mikriukov et al., ICIP 2022, ICASSP 2022).
    """
    counted = np.minimum(cutoff, histogram.total_relevant)
    last = histogram.bin_of_relevant(np.maximum(counted, 1))
    whole = precision_sums(histogram, histogram.items)
    below = np.arange(whole.shape[1])[None, :] < last[:, None]
    total = np.where(below, whole, 0.0).sum(axis=1)
    within = counted - histogram.at(histogram.relevant_before, last)
    total += expected_prefix_of_relevant(histogram, last, within, histogram.at(whole, last))
    return np.where(counted > 0, total / np.maximum(counted, 1), 0.0)


def _expected_hits(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """(n_query,) expected number of relevant items in the first K ranks."""
    share = np.where(histogram.items > 0, histogram.relevant / np.maximum(histogram.items, 1), 0.0)
    return (share * _above_cut(histogram, cutoff)).sum(axis=1)


def precision(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected share of relevant items among the first K ranks; the divisor is K also where the database is smaller."""
    return _left_out(_expected_hits(histogram, cutoff) / cutoff, histogram)


def recall(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected share of the R relevant items that are found in the first K ranks."""
    return _left_out(_expected_hits(histogram, cutoff) / np.maximum(histogram.total_relevant, 1), histogram)


def hit(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Probability that the first K ranks hold a relevant item (the "Recall@K" of caption retrieval)."""
    return _left_out(sum(chance for chance, _ in _first_relevant(histogram, cutoff)), histogram)


def reciprocal_rank(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected 1 / rank of the first relevant item, 0 where that rank is beyond K."""
    return _left_out(sum(chance / rank for chance, rank in _first_relevant(histogram, cutoff)), histogram)


def _first_relevant(histogram: DistanceHistogram, cutoff: int) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
    """Chance that the first relevant item stands at place 1, 2, ... of its bin, with its rank; 0 beyond rank K.

    It stands at place j if none of the j - 1 items before it is relevant and it is: a product of shares
    n+ / (n - j + 1), exact where logarithms of factorials would not be.
    """
    first = histogram.bin_of_relevant(np.ones(len(histogram), dtype=np.int64))
    before = histogram.at(histogram.items_before, first)
    n, n_plus = histogram.at(histogram.items, first), histogram.at(histogram.relevant, first)
    none_yet = np.ones(len(histogram))
    for place in range(1, cutoff + 1):
        left = n - place + 1
        share = np.where(left > 0, np.minimum(n_plus / np.maximum(left, 1), 1.0), 0.0)
        yield np.where(before + place <= cutoff, none_yet * share, 0.0), before + place
        none_yet = none_yet * (1.0 - share)


def ndcg(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected DCG@K with gains 0 and 1 and discount 1 / log2(rank + 1), over the best DCG@K possible."""
    largest = max(int(histogram.total_items.max(initial=0)), cutoff)
    discounts = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, largest + 2)))])
    share = np.where(histogram.items > 0, histogram.relevant / np.maximum(histogram.items, 1), 0.0)
    before, above = histogram.items_before, _above_cut(histogram, cutoff)
    gained = (share * (discounts[before + above] - discounts[before])).sum(axis=1)
    best = discounts[np.minimum(cutoff, histogram.total_relevant)]
    return _left_out(gained / np.where(best > 0, best, 1.0), histogram)


def precision_in_radius(histogram: DistanceHistogram, radius: int) -> Floats:
    """Share of relevant items within Hamming distance ``radius``; 0 where the ball is empty."""
    inside = slice(0, radius + 1)
    items, relevant = histogram.items[:, inside].sum(axis=1), histogram.relevant[:, inside].sum(axis=1)
    return _left_out(relevant / np.maximum(items, 1), histogram)


def precision_recall_by_radius(histogram: DistanceHistogram) -> tuple[Floats, Floats, Floats]:
    """Precision and recall for each Hamming radius, averaged over queries that have relevant items.

    Args:
        histogram: The histograms.

    Returns:
        Mean precision (empty balls count 0), mean recall, and the share of empty balls; each (n_bits + 1,), NaN where
        no query has a relevant item.
    """
    items = np.cumsum(histogram.items, axis=1)
    relevant = np.cumsum(histogram.relevant, axis=1)
    answerable = histogram.total_relevant > 0
    if not answerable.any():
        nothing = np.full(items.shape[1], np.nan)
        return nothing, nothing, nothing
    empty = (items == 0)[answerable].mean(axis=0)
    precisions = (relevant / np.maximum(items, 1))[answerable].mean(axis=0)
    recalls = (relevant[answerable] / histogram.total_relevant[answerable, None]).mean(axis=0)
    return precisions, recalls, empty
