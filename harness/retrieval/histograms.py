"""From codes and labels to distance histograms, which is all that the metrics need.

For K-bit codes there are only K+1 distances, so a ranking is K+1 bins of items that are tied. Per query, the number of
items and of relevant items in each bin determine the expectation of every metric over random order within ties; nothing
is sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.retrieval.codes import words

CHUNK = 1 << 22
"""Distances held at a time: bounds memory to some tens of megabytes whatever the sizes."""


@dataclass(frozen=True)
class DistanceHistogram:
    """Items and relevant items by Hamming distance, for each query.

    Attributes:
        items: (n_query, n_bits + 1) int64, database items at each distance.
        relevant: (n_query, n_bits + 1) int64, relevant ones among them.
    """

    items: NDArray[np.int64]
    relevant: NDArray[np.int64]

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
    def items_before(self) -> NDArray[np.int64]:
        """(n_query, bins) items in nearer bins, N in the formulas."""
        return np.cumsum(self.items, axis=1) - self.items

    @cached_property
    def relevant_before(self) -> NDArray[np.int64]:
        """(n_query, bins) relevant items in nearer bins, N+ in the formulas."""
        return np.cumsum(self.relevant, axis=1) - self.relevant

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
        largest = int(self.total_items.max(initial=0))
        return np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, largest + 1))])

    @cached_property
    def log_factorial(self) -> NDArray[np.float64]:
        """log 0!, log 1!, ..., log (largest database size)!."""
        largest = int(self.total_items.max(initial=0))
        return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, largest + 1)))])

    def bin_containing(self, rank: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n_query,) the bin in which rank 1, 2, ... of each query lies; ranks beyond the end give the last bin."""
        last = self.items_before + self.items
        return np.minimum((last < rank[:, None]).sum(axis=1), self.items.shape[1] - 1)

    def bin_of_relevant(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n_query,) the bin that holds the index-th (from 1) relevant item; indices beyond R give the last bin."""
        last = self.relevant_before + self.relevant
        return np.minimum((last < index[:, None]).sum(axis=1), self.items.shape[1] - 1)

    def at(self, values: NDArray, bins: NDArray[np.int64]) -> NDArray:
        """(n_query,) the entry of each row of ``values``, (n_query, bins), at the bin given for it."""
        return np.take_along_axis(values, bins[:, None], axis=1)[:, 0]


def relevance(query_labels: NDArray, database_labels: NDArray) -> NDArray[np.bool_]:
    """Which items are relevant to which query: the same class, or at least one label shared.

    Args:
        query_labels: (n_query,) integers, or (n_query, n_classes) 0/1.
        database_labels: As ``query_labels``.

    Returns:
        (n_query, n_database) bool.
    """
    if query_labels.ndim == 1:
        return query_labels[:, None] == database_labels[None, :]
    return (query_labels.astype(np.float32) @ database_labels.astype(np.float32).T) > 0


def distance_histogram(
    query_codes: NDArray[np.uint8],
    database_codes: NDArray[np.uint8],
    n_bits: int,
    query_labels: NDArray,
    database_labels: NDArray,
) -> DistanceHistogram:
    """Count items and relevant items at each Hamming distance.

    Args:
        query_codes: (n_query, bytes) packed codes.
        database_codes: (n_database, bytes) packed codes.
        n_bits: Code length.
        query_labels: (n_query,) integers or (n_query, n_classes) 0/1.
        database_labels: As ``query_labels``.

    Returns:
        The histograms.
    """
    query, database = words(query_codes), words(database_codes)
    n_query, n_database, bins = len(query), len(database), n_bits + 1
    items = np.zeros((n_query, bins), dtype=np.int64)
    relevant = np.zeros((n_query, bins), dtype=np.int64)
    database_rows = max(1, min(n_database, CHUNK))
    query_rows = max(1, CHUNK // database_rows)
    for start in range(0, n_query, query_rows):
        part = slice(start, start + query_rows)
        offset = np.arange(len(query[part]), dtype=np.int64)[:, None] * bins
        size = len(query[part]) * bins
        for at in range(0, n_database, database_rows):
            block = slice(at, at + database_rows)
            slot = np.broadcast_to(offset, (len(query[part]), len(database[block]))).copy()
            for word in range(query.shape[1]):
                slot += np.bitwise_count(query[part, None, word] ^ database[None, block, word])
            hits = relevance(query_labels[part], database_labels[block])
            items[part] += np.bincount(slot.ravel(), minlength=size).reshape(-1, bins)
            relevant[part] += np.bincount(slot[hits], minlength=size).reshape(-1, bins)
    return DistanceHistogram(items, relevant)
