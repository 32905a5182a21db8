"""From codes and labels to distance histograms, which is all that the metrics need.

For K-bit codes there are only K+1 distances, so a ranking is K+1 bins of items that are tied. Per query, the number of
items and of relevant items in each bin determine the expectation of every metric over random order within ties; nothing
is sorted by distance.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.retrieval.counting import counts, worth_compiling
from harness.retrieval.relevance import Relevance, Words

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")

PART = 1 << 15
"""Bins that metrics go through at a time: their intermediate arrays stay in the second cache and memory is bounded."""


_harmonic = np.zeros(1)


@dataclass(frozen=True)
class Cut:
    """The bin of each query that holds rank K, or the last rank of a smaller database. All (n_query,) int64.

    Attributes:
        bins: Its number.
        items: n, the items in it.
        relevant: n+, the relevant ones among them.
        items_before: N, items in nearer bins.
        relevant_before: N+, relevant items in nearer bins.
        above: J, items of the bin that lie within the first K ranks.
    """

    bins: NDArray[np.int64]
    items: NDArray[np.int64]
    relevant: NDArray[np.int64]
    items_before: NDArray[np.int64]
    relevant_before: NDArray[np.int64]
    above: NDArray[np.int64]


@dataclass(frozen=True)
class DistanceHistogram:
    """Items and relevant items by Hamming distance, for each query.

    Attributes:
        items: (n_query, n_bits + 1) int64, database items at each distance.
        relevant: (n_query, n_bits + 1) int64, relevant ones among them.
        large: Whether these queries belong to a product of queries and items that is worth compiled code.
    """

    items: NDArray[np.int64]
    relevant: NDArray[np.int64]
    large: bool = False

    def __post_init__(self) -> None:
        if self.items.shape != self.relevant.shape or self.items.ndim != 2:
            raise ValueError(
                f"items {self.items.shape} and relevant {self.relevant.shape} must be equal (n_query, bins)"
            )
        if (self.relevant > self.items).any() or (self.relevant < 0).any():
            raise ValueError("relevant must lie between 0 and items in every bin")

    def __len__(self) -> int:
        return self.items.shape[0]

    @cached_property
    def items_within(self) -> NDArray[np.int64]:
        """(n_query, bins) items up to and including each bin."""
        return np.cumsum(self.items, axis=1)

    @cached_property
    def relevant_within(self) -> NDArray[np.int64]:
        """(n_query, bins) relevant items up to and including each bin."""
        return np.cumsum(self.relevant, axis=1)

    @cached_property
    def items_before(self) -> NDArray[np.int64]:
        """(n_query, bins) items in nearer bins, N in the formulas."""
        return self.items_within - self.items

    @cached_property
    def relevant_before(self) -> NDArray[np.int64]:
        """(n_query, bins) relevant items in nearer bins, N+ in the formulas."""
        return self.relevant_within - self.relevant

    @cached_property
    def total_items(self) -> NDArray[np.int64]:
        """(n_query,) database size."""
        return self.items.sum(axis=1)

    @cached_property
    def total_relevant(self) -> NDArray[np.int64]:
        """(n_query,) relevant items in the whole database, R in the formulas."""
        return self.relevant.sum(axis=1)

    @cached_property
    def harmonic(self) -> NDArray[np.float64]:
        """H(0), H(1), ..., H(largest database size)."""
        return _harmonic_numbers(int(self.total_items.max(initial=0)))

    def bin_containing(self, rank: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n_query,) the bin in which rank 1, 2, ... of each query lies; ranks beyond the end give the last bin."""
        return _first_reaching(self.items_within, rank)

    def bin_of_relevant(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n_query,) the bin that holds the index-th (from 1) relevant item; indices beyond R give the last bin."""
        return _first_reaching(self.relevant_within, index)

    def at(self, values: NDArray, bins: NDArray[np.int64]) -> NDArray:
        """(n_query,) the entry of each row of ``values``, (n_query, bins), at the bin given for it."""
        return values[np.arange(len(values)), bins]

    def cut(self, cutoff: int) -> Cut:
        """The bin that holds rank ``cutoff``, found once for all metrics."""

        def find() -> Cut:
            rank = np.minimum(cutoff, self.total_items)
            bins = self.bin_containing(np.maximum(rank, 1))
            arrays = (self.items, self.relevant, self.items_before, self.relevant_before)
            items, relevant, items_before, relevant_before = (self.at(values, bins) for values in arrays)
            return Cut(bins, items, relevant, items_before, relevant_before, rank - items_before)

        return self.once(("cut", cutoff), find)

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What ``make`` gives, made at the first call with this key: metrics share intermediate arrays through it."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    @cached_property
    def _made(self) -> dict[Hashable, Any]:
        return {}

    def parts(self) -> list[DistanceHistogram]:
        """This histogram as several of some queries each, in order. What they compute is forgotten with them."""
        rows = max(1, PART // max(1, self.items.shape[1]))
        starts = range(0, max(1, len(self)), rows)
        return [
            DistanceHistogram(self.items[at : at + rows], self.relevant[at : at + rows], self.large) for at in starts
        ]

    @classmethod
    def counted(
        cls,
        relevance: Relevance,
        queries: Words,
        database: Words,
        n_bits: int,
        device: torch.device | str | None = None,
    ) -> DistanceHistogram:
        """Histograms of codes in the order of ``relevance``; see :func:`harness.retrieval.counting.counts`."""
        items, relevant = counts(relevance, queries, database, n_bits + 1, device)
        return cls(items, relevant, worth_compiling(queries.shape[1], database.shape[1]))


def _first_reaching(within: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n_query,) the first bin up to which there are ``number`` items, or the last bin."""
    return np.minimum(np.count_nonzero(within < number[:, None], axis=1), within.shape[1] - 1)


def _harmonic_numbers(largest: int) -> NDArray[np.float64]:
    """H(0), H(1), ..., H(largest), read-only: a view of one table that grows as needed."""
    global _harmonic
    table = _harmonic  # another thread may put a longer or shorter one there meanwhile: both are right
    if len(table) <= largest:
        table = np.arange(largest + 1, dtype=np.float64)
        np.divide(1.0, table[1:], out=table[1:])
        np.cumsum(table, out=table)
        table.flags.writeable = False
        _harmonic = table
    return table[: largest + 1]


def distance_histogram(
    query_codes: NDArray[np.uint8],
    database_codes: NDArray[np.uint8],
    n_bits: int,
    query_labels: NDArray,
    database_labels: NDArray,
    device: torch.device | str | None = None,
) -> DistanceHistogram:
    """Count items and relevant items at each Hamming distance.

    Args:
        query_codes: (n_query, bytes) packed codes.
        database_codes: (n_database, bytes) packed codes.
        n_bits: Code length.
        query_labels: (n_query,) integers or (n_query, n_classes) 0/1.
        database_labels: As ``query_labels``.
        device: A CUDA device to count on; otherwise the processor counts.

    Returns:
        The histograms.
    """
    relevance = Relevance.of(query_labels, database_labels)
    queries, database = relevance.query_words(query_codes), relevance.database_words(database_codes)
    return DistanceHistogram.counted(relevance, queries, database, n_bits, device)
