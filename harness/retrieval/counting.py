"""Counting items by distance: three ways to the same integers, and which one to take.

Plain numpy for small products and where there is no numba, compiled code (:mod:`harness.retrieval.compiled`) for large
ones, torch (:mod:`harness.retrieval.on_device`) on a graphics processor.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.retrieval.relevance import Ints, Relevance, Words
from harness.runtime.processes import usable_cores

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

CHUNK = 1 << 16
"""Distances that the numpy path holds at a time: what stays in the second cache."""

WORTH_COMPILING = 1 << 25
"""Pairs of query and item above which compiled code is taken: below, importing numba costs more than it saves
(docs/benchmarks-evaluation.md)."""

QUERIES_PER_CALL = 256
"""Queries that share a pass through the database in compiled code."""


def counts(
    relevance: Relevance, queries: Words, database: Words, bins: int, device: torch.device | str | None = None
) -> tuple[Ints, Ints]:
    """Items and relevant items at each Hamming distance.

    Args:
        relevance: Relevance, and the order of queries and database.
        queries: (words, n_query) from :meth:`Relevance.query_words`.
        database: (words, n_database) from :meth:`Relevance.database_words`.
        bins: Code length + 1.
        device: Where to count; the processor unless it is a CUDA device with room.

    Returns:
        (n_query, bins) items and (n_query, bins) relevant ones among them, queries in their original order.
    """
    counted = _on_device(relevance, queries, database, bins, device)
    if counted is None:
        worth = worth_compiling(queries.shape[1], database.shape[1])
        compiled = compiled_code("compiled", worth) if 2 * bins <= np.iinfo(np.uint16).max else None
        if compiled is None:
            counted = count_plainly(relevance, queries, database, bins)
        else:
            counted = count_compiled(compiled, relevance, queries, database, bins, threads())
    back = np.empty_like(relevance.query_order)
    back[relevance.query_order] = np.arange(len(back))
    return counted[0][back], counted[1][back]


def _on_device(
    relevance: Relevance, queries: Words, database: Words, bins: int, device: torch.device | str | None
) -> tuple[Ints, Ints] | None:
    """The counts from a CUDA device; None without one, and where its memory is too small."""
    if device is None or not str(device).startswith("cuda"):
        return None
    import torch

    from harness.retrieval.on_device import count_on_device

    try:
        return count_on_device(relevance, queries, database, bins, device)
    except torch.OutOfMemoryError:
        log.warning("the evaluation does not fit on %s; it is done on the processor", device)
        return None


def worth_compiling(n_query: int, n_database: int) -> bool:
    """Whether a product is large enough for compiled code. Sizes alone decide, so that a cell gives the same last digit
    in every process.
    """
    return n_query * n_database > WORTH_COMPILING


def compiled_code(module: str, worth: bool) -> ModuleType | None:
    """A module of compiled code, imported where it pays.

    ``HARNESS_NUMBA=0`` forbids it, ``1`` asks for it whatever the size; without numba it is None.

    Args:
        module: Its name in this package.
        worth: Whether the work is large enough.
    """
    wish = os.environ.get("HARNESS_NUMBA", "")
    if wish == "0" or not (worth or wish == "1"):
        return None
    import importlib

    try:
        return importlib.import_module(f"harness.retrieval.{module}")
    except ImportError as error:
        log.info("no compiled evaluation: %s", error)
        return None


def threads() -> int:
    """Threads to use: the processors that this process may run on, or fewer where NUMBA_NUM_THREADS or OMP_NUM_THREADS
    asks for fewer.
    """
    limits = [usable_cores()]
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdecimal():
            limits.append(int(os.environ[name]))
    return max(1, min(limits))


def in_threads(function: Callable[[Any], Any], work: Sequence[Any], number: int) -> list[Any]:
    """The results of ``function`` for each piece of work, in order, from at most ``number`` threads."""
    if number == 1 or len(work) < 2:
        return [function(piece) for piece in work]
    with ThreadPoolExecutor(number, thread_name_prefix="evaluation") as pool:
        return list(pool.map(function, work))


def count_plainly(relevance: Relevance, queries: Words, database: Words, bins: int) -> tuple[Ints, Ints]:
    """:func:`counts` with numpy alone, queries in the order of ``relevance``."""
    n_query, n_database = queries.shape[1], database.shape[1]
    items, relevant = (np.zeros((n_query, bins), dtype=np.int64) for _ in range(2))
    columns = max(1, min(n_database, CHUNK))
    rows = max(1, CHUNK // columns)
    for start in range(0, n_query, rows):
        part = slice(start, min(start + rows, n_query))
        offset = np.arange(part.stop - start)[:, None] * bins
        for at in range(0, n_database, columns):
            block = slice(at, min(at + columns, n_database))
            slot = np.broadcast_to(offset, (len(offset), block.stop - at)).copy()
            for word in range(len(queries)):
                slot += np.bitwise_count(queries[word, part, None] ^ database[word, None, block])
            items[part] += _bincount(slot.ravel(), len(offset), bins)
            for run, places in relevance.runs(part, block):
                relevant[run] += _bincount(
                    slot[run.start - start : run.stop - start][places] - (run.start - start) * bins,
                    run.stop - run.start,
                    bins,
                )
    return items, relevant


def _bincount(slot: Ints, rows: int, bins: int) -> Ints:
    """(rows, bins) how often each slot, row x bins + distance, occurs."""
    return np.bincount(slot.ravel(), minlength=rows * bins).reshape(rows, bins)


def count_compiled(
    compiled: ModuleType, relevance: Relevance, queries: Words, database: Words, bins: int, number: int
) -> tuple[Ints, Ints]:
    """:func:`counts` in compiled code on ``number`` threads, queries in the order of ``relevance``."""
    n_query, multi_label = queries.shape[1], relevance.multi_label
    items = np.zeros((n_query, 2 * bins if multi_label else bins), dtype=np.int64)
    relevant = np.zeros((n_query, bins), dtype=np.int64)
    share = -(-n_query // (4 * number)) if number > 1 else n_query  # a few calls for each thread, to even them out
    rows = min(QUERIES_PER_CALL, share + share % 2)

    def call(start: int) -> None:
        part = slice(start, start + rows)
        compiled.count(
            np.ascontiguousarray(queries[:, part]), database, relevance.first[part], relevance.last[part],
            np.ascontiguousarray(relevance.query_labels[:, part]), relevance.database_labels,
            items[part], relevant[part],
        )  # fmt: skip

    in_threads(call, range(0, n_query, max(1, rows)), number)
    if multi_label:
        return items[:, :bins] + items[:, bins:], items[:, bins:]
    return items, relevant
