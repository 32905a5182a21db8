"""The evaluator checks itself with every table of codes: some queries are counted again, item by item, and random codes
must score what a random order of the same items does.

Both are sound for any codes: counting again is exact, and the value of random codes has a mean and a variance that are
known exactly (:func:`harness.retrieval.sanity.random_order_moments`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.retrieval.codes import CodeTable
from harness.retrieval.histograms import DistanceHistogram, distance_histogram
from harness.retrieval.partners import partner_histogram
from harness.retrieval.sanity import random_order_moments

if TYPE_CHECKING:
    import torch

Ints = NDArray[np.int64]

COUNTED_AGAIN = 8
"""Queries of each direction that are counted again, spread over all of them."""

PAIRS = 1 << 22
"""Pairs of random query and item that are compared at least, or an eighth of the pairs of the table if that is more."""

MOST_DRAWS, FEWEST_DRAWS = 2048, 64
"""Random queries."""

DATABASES = 8
"""Random databases that they are divided among."""

FALSE_ALARM = 1e-9
"""Chance that the value of random codes is called wrong and is right."""


class SelfCheck:
    """The checks of one table of codes.

    Args:
        table: The codes.
        device: Where distances are counted.
    """

    def __init__(self, table: CodeTable, device: torch.device | str | None) -> None:
        self._table, self._device = table, device
        self._labels: dict[int, NDArray[np.bool_]] = {}

    def counts(self, direction: str, query: str, database: str, histogram: DistanceHistogram) -> list[str]:
        """What is wrong with the histograms of one direction.

        Args:
            direction: Such as "i2t".
            query: Modality of the queries.
            database: Modality of the items.
            histogram: What was counted.

        Returns:
            At most one sentence.
        """
        table = self._table
        items = table.database[database]
        wrong = np.flatnonzero(histogram.total_items != len(items))
        if len(wrong):
            first = int(wrong[0])
            return [
                f"{direction}: {int(histogram.total_items[first])} distances were counted for query {first}, and there "
                f"are {len(items)} items"
            ]
        last = max(len(histogram) - 1, 0)
        spread = np.unique(np.linspace(0, last, COUNTED_AGAIN).astype(np.int64))[: len(histogram)]
        for number in spread.tolist():
            distance = np.bitwise_count(items ^ table.query[query][number]).sum(axis=1, dtype=np.int64)
            for what, counted, there in (
                ("items", histogram.items[number], distance),
                ("relevant items", histogram.relevant[number], distance[self._relevant(direction, number, len(items))]),
            ):
                again = np.bincount(there, minlength=len(counted))[: len(counted)]
                if not np.array_equal(counted, again):
                    at = int(np.flatnonzero(counted != again)[0])
                    return [
                        f"{direction}: {int(counted[at])} {what} were counted at distance {at} of query {number}, and "
                        f"there are {int(again[at])}"
                    ]
        return []

    def _relevant(self, direction: str, number: int, n_items: int) -> NDArray[np.bool_]:
        """(n_items,) whether each is relevant to a query, straight from the definition."""
        table = self._table
        if table.partners is not None:
            of_query, item = table.partners[direction]
            relevant = np.zeros(n_items, dtype=bool)
            relevant[item[of_query == number]] = True
            return relevant
        if number not in self._labels:
            mine, theirs = table.query_labels[number], table.database_labels
            self._labels[number] = (
                theirs == mine.item() if theirs.ndim == 1 else ((theirs != 0) & (mine != 0)).any(axis=1)
            )
        return self._labels[number]

    def random_codes(
        self, direction: str, query: str, database: str, histogram: DistanceHistogram, metric: Callable
    ) -> list[str]:
        """Whether ``map`` of random codes is that of a random order, up to chance.

        Codes are drawn anew, always the same for the same sizes; queries are drawn with replacement among those that
        have relevant items, and distances counted as they always are. Ties are resolved in expectation, so that a
        query's value has the mean of average precision over random orders and at most its variance V. Queries that
        search one database share its codes: distances of two queries to one random item have, as functions of the item,
        a correlation of at most |1 - 2w/K| (but for the parity of the distance), where w of K bits differ; averaged
        over random queries its first power vanishes, and its square leaves 1/K. rho is twice that. S queries, divided
        among D databases, have a mean of variance at most V (1/S + rho/D). Bernstein's inequality for values in [0, 1]
        gives the distance from the expectation that chance exceeds once in ``1 / FALSE_ALARM``:
        sqrt(2 L V (1/S + rho/D)) + 2 L / (3 S), L = ln(2 / FALSE_ALARM).

        Args:
            direction: Such as "i2t".
            query: Modality of the queries.
            database: Modality of the items.
            histogram: What was counted for the table's own codes.
            metric: The function of ``map``.

        Returns:
            At most one sentence.
        """
        table = self._table
        answerable = np.flatnonzero(histogram.total_relevant > 0)
        if not len(answerable):
            return []
        n_items, n_bits = len(table.database[database]), table.n_bits
        pairs = max(PAIRS, len(histogram) * n_items // 8)
        draws = int(np.clip(pairs // n_items, FEWEST_DRAWS, MOST_DRAWS))
        random = np.random.default_rng([n_bits, n_items, draws])
        drawn = answerable[random.integers(0, len(answerable), draws)]
        histograms = [
            self._histogram(
                direction, some, _random_codes(random, len(some), n_bits), _random_codes(random, n_items, n_bits)
            )
            for some in np.array_split(drawn, DATABASES)
        ]
        values = np.concatenate(
            [np.asarray(metric(part), dtype=np.float64) for one in histograms for part in one.parts()]
        )
        means, variances = random_order_moments(n_items, histogram.total_relevant[drawn])
        value, expected = float(values.mean()), float(means.mean())
        allowed = tolerance(float(variances.mean()), draws, n_bits)
        if abs(value - expected) <= allowed:
            return []
        return [
            f"{direction}: map of random codes is {value:.6g}, and the share of relevant items makes it {expected:.6g} "
            f"(chance moves it by {allowed:.2g} at most)"
        ]

    def _histogram(
        self, direction: str, queries: Ints, codes: NDArray[np.uint8], items: NDArray[np.uint8]
    ) -> DistanceHistogram:
        """The histogram of other codes in place of those of some queries, and of all items, of the table."""
        table = self._table
        if table.partners is None:
            labels = table.query_labels[queries], table.database_labels
            return distance_histogram(codes, items, table.n_bits, *labels, self._device)
        return partner_histogram(
            codes, items, _pairs_of(queries, table.partners[direction]), table.n_bits, self._device
        )


def tolerance(variance: float, draws: int, n_bits: int, databases: int = DATABASES) -> float:
    """How far the mean over random queries may lie from its expectation; see :meth:`SelfCheck.random_codes`.

    Args:
        variance: Of one query.
        draws: Number of queries.
        n_bits: Code length.
        databases: How many databases they are divided among.
    """
    logarithm = math.log(2 / FALSE_ALARM)
    shared = min(1.0, 2 / n_bits) / databases
    return math.sqrt(2 * logarithm * variance * (1 / draws + shared)) + 2 * logarithm / (3 * draws)


def _random_codes(random: np.random.Generator, n: int, n_bits: int) -> NDArray[np.uint8]:
    """(n, bytes) packed codes whose bits are 0 and 1 with equal chance; unused bits are 0."""
    codes = random.integers(0, 256, (n, -(-n_bits // 8)), dtype=np.uint8)
    if n_bits % 8:
        codes[:, -1] &= np.uint8((1 << n_bits % 8) - 1)
    return codes


def _pairs_of(drawn: Ints, pairs: Ints) -> Ints:
    """The relevant pairs of drawn queries: (2, n) places (draw, item)."""
    order = np.argsort(pairs[0], kind="stable")
    query, item = pairs[:, order]
    first, last = np.searchsorted(query, drawn, "left"), np.searchsorted(query, drawn, "right")
    size = last - first
    start = np.repeat(first, size)
    within = np.arange(len(start)) - np.repeat(np.cumsum(size) - size, size)
    return np.stack([np.repeat(np.arange(len(drawn)), size), item[start + within]])
