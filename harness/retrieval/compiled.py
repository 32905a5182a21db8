"""Distance histograms in compiled code. Imports numba, so this module is imported only where it pays.

Two queries are counted at a time: with distances a and b of an item, one cell of a table of all pairs (a, b) is
incremented, and the two histograms are the sums of its rows and columns. That halves the increments, which are what
the time goes into (the distances themselves are vectorised: XOR, population count), and an increment rarely waits for
the one before it, because the cells of a pair are spread out where a single histogram has a few hot bins.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numba
import numpy as np
from numba.core import config
from numba.extending import intrinsic

from harness.data.cache import cache_folder

BLOCK = 1024
"""Items whose distances are held at a time: a few kilobytes, in the nearest cache."""

TILE = 32_768
"""Items that all queries of a call go through before the next ones: their words stay in the second cache, and 16-bit
counts cannot overflow."""

LARGEST_TABLE = 1 << 16
"""Cells of a table of pairs, as many as a 16-bit number can address; longer codes are counted one query at a time."""


def compile_cached(function: Callable) -> Callable:
    """Compile without the interpreter's lock, and keep the machine code on disk where a folder can be written.

    It goes where NUMBA_CACHE_DIR says, else into the harness's own cache folder, never beside the source if that can
    be avoided. Without any folder the code is compiled anew in each process.
    """
    settings = vars(config)
    chosen = settings["CACHE_DIR"]
    settings["CACHE_DIR"] = chosen or os.fspath(cache_folder() / "numba")
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except (RuntimeError, OSError):  # numba: "no locator available"
        return numba.njit(nogil=True)(function)
    finally:
        settings["CACHE_DIR"] = chosen


@intrinsic
def _population_count(context, number):
    """Set bits of an integer: the processor's instruction, and its vector form inside a loop."""

    def generate(_context, builder, _signature, arguments):
        return builder.ctpop(arguments[0])

    return number(number), generate


@compile_cached
def _add_distances(plane, word, scale, slots):
    """slots += scale x distance to one query in one word. Only a function of slices is vectorised by LLVM."""
    for k in range(slots.shape[0]):
        slots[k] += scale * _population_count(plane[k] ^ word)


@compile_cached
def _add_pair_distances(plane, one, other, scale, slots):
    """slots += scale x distance to ``one`` + distance to ``other``, in one word."""
    for k in range(slots.shape[0]):
        code = plane[k]
        slots[k] += scale * _population_count(code ^ one) + _population_count(code ^ other)


@compile_cached
def _add_where_shared(labels, query_labels, scale, shared, slots):
    """slots += scale where item and query share a label."""
    shared[:] = 0
    for word in range(labels.shape[0]):
        plane, wanted = labels[word], query_labels[word]
        for k in range(slots.shape[0]):
            shared[k] |= plane[k] & wanted
    for k in range(slots.shape[0]):
        slots[k] += scale if shared[k] != 0 else np.uint64(0)


@compile_cached
def _increment(slots, table):
    for k in range(slots.shape[0]):
        table[slots[k]] += 1


@compile_cached
def _count_places(
    database, queries, labels, query_labels, start, stop, one, other, bins, table, slots, shared, sums, rows
):
    """Add the items of places start..stop to the rows of queries ``one`` and ``other``, which may be the same."""
    width = rows.shape[1]
    pair = table.shape[0] > width
    scale = np.uint64(width) if pair else np.uint64(1)
    for at in range(start, stop, BLOCK):
        end = min(at + BLOCK, stop)
        part = slots[: end - at]
        part[:] = 0
        for word in range(database.shape[0]):
            plane = database[word, at:end]
            if pair:
                _add_pair_distances(plane, queries[word, one], queries[word, other], scale, part)
            else:
                _add_distances(plane, queries[word, one], scale, part)
        if width > bins:  # relevant items are counted behind the others
            block, offset = labels[:, at:end], np.uint64(bins)
            _add_where_shared(block, query_labels[:, one], scale * offset, shared, part)
            if pair:
                _add_where_shared(block, query_labels[:, other], offset, shared, part)
        _increment(part, table)
    _fold(table, rows[one], sums)
    if other > one:
        for slot in range(width):
            rows[other, slot] += sums[slot]


@compile_cached
def _fold(table, row, sums):
    """Add the sums of the table's rows to ``row``, put those of its columns in ``sums``, and empty the table."""
    width = row.shape[0]
    sums[:] = 0
    if table.shape[0] == width:
        for slot in range(width):
            row[slot] += table[slot]
    else:
        for slot in range(width):
            cells = table[slot * width : (slot + 1) * width]
            total = np.uint32(0)
            for column in range(width):
                total += cells[column]
                sums[column] += cells[column]
            row[slot] += total
    table[:] = 0


@compile_cached
def count(queries, database, first, last, query_labels, labels, items, relevant):
    """Add up items and relevant items at each distance.

    Args:
        queries: (words, n_query) uint64 codes.
        database: (words, n_database) uint64 codes.
        first: (n_query,) int64 start of the range of relevant items, where there are no label words.
        last: (n_query,) int64 its end.
        query_labels: (label words, n_query) uint64.
        labels: (label words, n_database) uint64.
        items: (n_query, bins) int64, added to; with label words (n_query, 2 bins): items that are not relevant, then
            relevant ones.
        relevant: (n_query, bins) int64, added to; left alone with label words.
    """
    n_query, width = items.shape
    bins = relevant.shape[1]
    step = 2 if width * width <= LARGEST_TABLE else 1
    table = np.zeros(width**step, dtype=np.uint16)
    slots, shared = np.empty(BLOCK, dtype=np.uint16), np.empty(BLOCK, dtype=np.uint64)
    sums = np.zeros(width, dtype=np.uint32)
    for tile in range(0, database.shape[1], TILE):
        end = min(tile + TILE, database.shape[1])
        for one in range(0, n_query, step):
            other = min(one + step - 1, n_query - 1)  # the last of an odd number is its own partner
            _count_places(
                database, queries, labels, query_labels, tile, end, one, other, bins, table, slots, shared, sums, items
            )
            if width > bins:
                continue
            alike = first[one] == first[other] and last[one] == last[other]
            for query in range(one, one + 1 if alike else other + 1):
                start, stop = max(first[query], tile), min(last[query], end)
                if start < stop:
                    _count_places(
                        database, queries, labels, query_labels, start, stop, query, other if alike else query,
                        bins, table, slots, shared, sums, relevant,
                    )  # fmt: skip
