"""Retrieval metrics as exact expectations over random order within ties.

Each function takes the distance histograms of some queries and returns one float64 per query, NaN where the query has
no relevant item and the metric leaves it out. Symbols as in McSherry and Najork (ECIR 2008): a bin holds n items, n+ of
them relevant, after N items and N+ relevant ones in nearer bins; R relevant items in all, M items in all; J items of a
bin lie above the cut.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.retrieval.boundary import expected_hits_precision, expected_prefix_of_relevant
from harness.retrieval.histograms import DistanceHistogram

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PLACES = 128
"""Places of a bin for which the chance of the first relevant item is worked out at once; more where K asks for it."""


def _left_out(values: Floats, histogram: DistanceHistogram) -> Floats:
    """NaN for queries without relevant items."""
    return np.where(histogram.total_relevant > 0, values, np.nan)


def precision_sums(
    harmonic: Floats, items: Ints, relevant: Ints, before: Ints, plus_before: Ints, above: Ints
) -> Floats:
    """Expected sum of precision at the relevant items among the first J of a bin; arrays of any one shape.

    (n+/n) {(N+ + 1)(H(N+J) - H(N)) + q [J - (N+1)(H(N+J) - H(N))]} with q = (n+ - 1)/(n - 1): the closed form of
    McSherry and Najork's expected average precision.
    """
    reciprocal = harmonic[before + above] - harmonic[before]
    q = np.where(items > 1, (relevant - 1) / np.maximum(items - 1, 1), 0.0)
    inner = (plus_before + 1) * reciprocal + q * (above - (before + 1) * reciprocal)
    return relevant / np.maximum(items, 1) * inner


def _whole(histogram: DistanceHistogram) -> Floats:
    """(n_query, bins) expected sums of precision of whole bins."""

    def make() -> Floats:
        items = histogram.items
        before, plus_before = histogram.items_before, histogram.relevant_before
        return precision_sums(histogram.harmonic, items, histogram.relevant, before, plus_before, items)

    return histogram.once("precision sums", make)


def _earlier(histogram: DistanceHistogram, bins: Ints) -> Floats:
    """(n_query,) expected sum of precision in all bins before the given one."""
    within = histogram.once("precision sums within", lambda: np.cumsum(_whole(histogram), axis=1))
    return np.where(bins > 0, histogram.at(within, np.maximum(bins - 1, 0)), 0.0)


def average_precision(histogram: DistanceHistogram, cutoff: int | None = None) -> Floats:
    """Expected AP@K = sum of precision at the relevant items of the first K ranks / min(K, R);
    K None: the whole ranking.
    """
    if cutoff is None:
        total, divisor = _whole(histogram).sum(axis=1), histogram.total_relevant
    else:
        cut = histogram.cut(cutoff)
        inside = precision_sums(
            histogram.harmonic, cut.items, cut.relevant, cut.items_before, cut.relevant_before, cut.above
        )
        total, divisor = _earlier(histogram, cut.bins) + inside, np.minimum(cutoff, histogram.total_relevant)
    return _left_out(total / np.maximum(divisor, 1), histogram)


def average_precision_optimistic(histogram: DistanceHistogram) -> Floats:
    """AP with the relevant items first in every tie: the largest AP that any order of the ties gives."""
    return _bound(histogram, histogram.items_before)


def average_precision_pessimistic(histogram: DistanceHistogram) -> Floats:
    """AP with the relevant items last in every tie: the smallest AP that any order of the ties gives."""
    return _bound(histogram, histogram.items_within - histogram.relevant)


def _bound(histogram: DistanceHistogram, before: NDArray[np.int64]) -> Floats:
    """AP if the relevant items of a bin stand together, after ``before`` items: sum_m (N+ + m)/(before + m)."""
    n_plus, harmonic = histogram.relevant, histogram.harmonic
    total = n_plus + (histogram.relevant_before - before) * (harmonic[before + n_plus] - harmonic[before])
    return _left_out(total.sum(axis=1) / np.maximum(histogram.total_relevant, 1), histogram)


def average_precision_hits(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected sum of precision at the hits of the first K ranks / number of hits there; 0 without a hit, or if R = 0.

    The form of the DJSRH line of code ("calculate_top_map"). Only the bin that contains the cut is random.
    """
    cut = histogram.cut(cutoff)
    return expected_hits_precision(histogram.harmonic, cut, _earlier(histogram, cut.bins))


def average_precision_relevant(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected mean precision at the first min(K, R) relevant items, wherever they rank; 0 if R = 0.

    The "mAP@20" of CHNR and DUCH (Mikriukov et al., ICIP 2022, ICASSP 2022).
    """
    counted = np.minimum(cutoff, histogram.total_relevant)
    last = histogram.bin_of_relevant(np.maximum(counted, 1))
    within = counted - histogram.at(histogram.relevant_before, last)
    total = _earlier(histogram, last)
    total += expected_prefix_of_relevant(histogram, last, within, histogram.at(_whole(histogram), last))
    return np.where(counted > 0, total / np.maximum(counted, 1), 0.0)


def _expected_hits(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """(n_query,) expected number of relevant items in the first K ranks."""
    cut = histogram.cut(cutoff)
    return cut.relevant_before + cut.above * cut.relevant / np.maximum(cut.items, 1)


def precision(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected share of relevant items among the first K ranks; the divisor is K also where the database is smaller."""
    return _left_out(_expected_hits(histogram, cutoff) / cutoff, histogram)


def recall(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected share of the R relevant items that are found in the first K ranks."""
    return _left_out(_expected_hits(histogram, cutoff) / np.maximum(histogram.total_relevant, 1), histogram)


def hit(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Probability that the first K ranks hold a relevant item (the "Recall@K" of caption retrieval)."""
    return _left_out(_within_first(histogram, cutoff, "chance"), histogram)


def reciprocal_rank(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected 1 / rank of the first relevant item, 0 where that rank is beyond K."""
    return _left_out(_within_first(histogram, cutoff, "reciprocal"), histogram)


def _within_first(histogram: DistanceHistogram, cutoff: int, what: str) -> Floats:
    """(n_query,) over the places of the first relevant item within K: the sum of their chances, or of chance / rank."""
    places = max(PLACES, cutoff)
    before, sums = histogram.once(("first relevant", places), lambda: _first_relevant(histogram, places))
    allowed = np.clip(cutoff - before, 0, places)
    return np.where(allowed > 0, histogram.at(sums[what], np.maximum(allowed - 1, 0)), 0.0)


def _first_relevant(histogram: DistanceHistogram, places: int) -> tuple[Ints, dict[str, Floats]]:
    """N of the bin with the first relevant item, and running sums over its places: of the chance that the first
    relevant item stands there, and of chance / rank; each (n_query, places).

    It stands at place j if none of the j - 1 items before it is relevant and it is: a product of shares
    n+ / (n - j + 1), exact where logarithms of factorials would not be.
    """
    first = histogram.bin_of_relevant(np.ones(len(histogram), dtype=np.int64))
    before = histogram.at(histogram.items_before, first)
    items, relevant = (histogram.at(values, first)[:, None] for values in (histogram.items, histogram.relevant))
    place = np.arange(places)
    share = np.minimum(relevant / np.maximum(items - place, 1), 1.0)
    share[place >= items] = 0.0
    chance = share.copy()
    chance[:, 1:] *= np.cumprod(1.0 - share[:, :-1], axis=1)
    reciprocal = chance / (before[:, None] + place + 1)
    return before, {"chance": np.cumsum(chance, axis=1), "reciprocal": np.cumsum(reciprocal, axis=1)}


def ndcg(histogram: DistanceHistogram, cutoff: int) -> Floats:
    """Expected DCG@K with gains 0 and 1 and discount 1 / log2(rank + 1), over the best DCG@K possible."""
    discounts = discount_sums(cutoff)
    columns = slice(0, int(histogram.cut(cutoff).bins.max(initial=0)) + 1)  # later bins lie beyond rank K
    items, relevant = histogram.items[:, columns], histogram.relevant[:, columns]
    before = np.minimum(histogram.items_before[:, columns], cutoff)
    within = np.minimum(histogram.items_within[:, columns], cutoff)
    gained = (relevant / np.maximum(items, 1) * (discounts[within] - discounts[before])).sum(axis=1)
    best = discounts[np.minimum(cutoff, histogram.total_relevant)]
    return _left_out(gained / np.where(best > 0, best, 1.0), histogram)


def precision_in_radius(histogram: DistanceHistogram, radius: int) -> Floats:
    """Share of relevant items within Hamming distance ``radius``; 0 where the ball is empty."""
    last = min(radius, histogram.items.shape[1] - 1)
    items, relevant = histogram.items_within[:, last], histogram.relevant_within[:, last]
    return _left_out(relevant / np.maximum(items, 1), histogram)


def precision_recall_by_radius(histogram: DistanceHistogram) -> tuple[Floats, Floats, Floats]:
    """Precision and recall for each Hamming radius, averaged over queries that have relevant items.

    Args:
        histogram: The histograms.

    Returns:
        Mean precision (empty balls count 0), mean recall, and the share of empty balls; each (n_bits + 1,), NaN where
        no query has a relevant item.
    """
    answerable = int((histogram.total_relevant > 0).sum())
    sums = np.zeros((3, histogram.items.shape[1]))
    for part in histogram.parts():
        known = part.total_relevant > 0
        items, relevant = part.items_within[known], part.relevant_within[known]
        sums[0] += (relevant / np.maximum(items, 1)).sum(axis=0)
        sums[1] += (relevant / part.total_relevant[known, None]).sum(axis=0)
        sums[2] += np.count_nonzero(items == 0, axis=0)
    precisions, recalls, empty = sums / answerable if answerable else np.full_like(sums, np.nan)
    return precisions, recalls, empty


@lru_cache(maxsize=16)
def discount_sums(cutoff: int) -> NDArray[np.float64]:
    """Sums of 1 / log2(rank + 1) over the first 0, 1, ..., ``cutoff`` ranks, read-only."""
    table = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, cutoff + 2)))])
    table.flags.writeable = False
    return table
