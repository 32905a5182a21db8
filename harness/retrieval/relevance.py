"""Which items are relevant to which query, prepared once for all directions.

With one class per item, the database is sorted by class: the relevant items of a query are then one contiguous range,
and counting them needs no comparison per item. With several labels per item, labels are packed into 64-bit words: an
item is relevant where the AND of its words with the query's is not 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.retrieval.codes import words

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

PACKED_ROWS = 1 << 16
"""Items whose labels are packed at a time, so that a large label matrix is never copied as a whole."""


@dataclass(frozen=True)
class Relevance:
    """Relevance of a database to some queries, in an order of both that makes counting fast.

    Attributes:
        query_order: (n_query,) the query at each place.
        database_order: (n_database,) the item at each place; None where the order is the given one.
        first: (n_query,) with ``last`` the range of places that hold the relevant items; of the query at each place.
        last: (n_query,).
        query_labels: (label words, n_query) uint64; no words with one class per item.
        database_labels: (label words, n_database) uint64; no words with one class per item.
    """

    query_order: Ints
    database_order: Ints | None
    first: Ints
    last: Ints
    query_labels: Words
    database_labels: Words

    @classmethod
    def of(cls, query_labels: NDArray, database_labels: NDArray) -> Relevance:
        """Prepare labels: the same class, or at least one label shared.

        Args:
            query_labels: (n_query,) integers, or (n_query, n_classes) 0/1.
            database_labels: As ``query_labels``.
        """
        if query_labels.ndim == 1:
            return cls._of_classes(query_labels, database_labels)
        nowhere = np.zeros(len(query_labels), dtype=np.int64)
        packed = _label_words(query_labels), _label_words(database_labels)
        return cls(np.arange(len(query_labels)), None, nowhere, nowhere, *packed)

    @classmethod
    def _of_classes(cls, query_classes: NDArray, database_classes: NDArray) -> Relevance:
        signed_and_unsigned = {query_classes.dtype.kind, database_classes.dtype.kind} == {"i", "u"}
        if signed_and_unsigned and np.result_type(query_classes, database_classes).kind == "f":
            # numpy would search uint64 among int64 as float64, which merges neighbours above 2**53: Python's are exact
            query_classes, database_classes = query_classes.astype(object), database_classes.astype(object)
        order = np.argsort(_narrow(database_classes), kind="stable")
        database_classes = database_classes[order]
        query_order = np.argsort(query_classes, kind="stable")  # queries of one class share its range
        query_classes = query_classes[query_order]
        first = np.searchsorted(database_classes, query_classes, side="left").astype(np.int64)
        last = np.searchsorted(database_classes, query_classes, side="right").astype(np.int64)
        nothing = np.zeros((0, len(query_classes)), np.uint64), np.zeros((0, len(database_classes)), np.uint64)
        return cls(query_order, order, first, last, *nothing)

    @property
    def multi_label(self) -> bool:
        """Whether items have several labels each."""
        return len(self.query_labels) > 0

    def query_words(self, codes: NDArray[np.uint8]) -> Words:
        """Packed codes of the queries, (n_query, bytes), as (words, n_query) in the order of this object."""
        return _planes(codes, self.query_order)

    def database_words(self, codes: NDArray[np.uint8]) -> Words:
        """Packed codes of the database, (n_database, bytes), as (words, n_database) in the order of this object."""
        return _planes(codes, self.database_order)

    def runs(self, queries: slice, items: slice) -> Iterator[tuple[slice, Any]]:
        """Runs of queries within ``queries`` and the index of their relevant pairs in a (run, ``items``) matrix.

        With one class per item a run is the queries of one class, and the index a range of columns; otherwise there is
        one run, and the index is (queries, items) bool.
        """
        if self.multi_label:
            shared = self.query_labels[:, queries, None] & self.database_labels[:, None, items]
            yield queries, shared.any(axis=0)
            return
        first, last = self.first[queries], self.last[queries]
        changes = np.flatnonzero((np.diff(first) != 0) | (np.diff(last) != 0)) + 1
        for start, stop in pairwise([0, *changes.tolist(), len(first)]):
            low, high = max(int(first[start]), items.start), min(int(last[start]), items.stop)
            if low < high:
                columns = slice(low - items.start, high - items.start)
                yield slice(queries.start + start, queries.start + stop), (slice(None), columns)


def _narrow(classes: NDArray) -> NDArray:
    """The same order in 16 bits where the values allow it: numpy sorts those by radix, in linear time."""
    if classes.dtype.kind not in "iu" or not len(classes):
        return classes
    lowest = int(classes.min())
    if int(classes.max()) - lowest > np.iinfo(np.uint16).max:
        return classes
    wide = classes if classes.dtype.kind == "u" else classes.astype(np.int64, copy=False)  # int8: -128..127 is too wide
    return (wide - wide.dtype.type(lowest)).astype(np.uint16)


def _planes(codes: NDArray[np.uint8], order: Ints | None) -> Words:
    """(n, bytes) to (words, n): word k of all items stands together, so that a kernel reads it as one stream."""
    rows = words(codes)
    if order is None:
        return np.ascontiguousarray(rows.T)
    planes = np.empty(rows.shape[::-1], dtype=np.uint64)
    for word, plane in enumerate(planes):
        np.take(rows[:, word], order, out=plane)
    return planes


def _label_words(labels: NDArray) -> Words:
    """(n, n_classes) 0/1 to (words, n) uint64, at least one word."""
    planes = np.empty((max(1, -(-labels.shape[1] // 64)), len(labels)), dtype=np.uint64)
    for start in range(0, len(labels), PACKED_ROWS):
        packed = np.packbits(labels[start : start + PACKED_ROWS] != 0, axis=1, bitorder="little")
        packed_words = words(packed).T
        planes[:, start : start + PACKED_ROWS] = packed_words if len(packed_words) else 0
    return planes
