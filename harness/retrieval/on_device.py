"""Distance histograms with torch, for graphics processors; on CPU tensors too, where the tests run it.

Distances come from a matrix product of codes as -1 and 1, distance = (bits - product) / 2, which is exact: all numbers
are integers that the types hold. Items are counted with one ``bincount`` over query x relevance x distance.
"""

from __future__ import annotations

import numpy as np
import torch

from harness.retrieval.relevance import Ints, Relevance, Words

COLUMNS = 1 << 18
"""Items at a time."""

PAIRS = 1 << 27
"""Pairs of query and item at a time: about 2 GB with 32-bit slots, products and flags."""

EXACT_IN_HALF = 2048
"""Integers up to here are exact in 16-bit floating point, so codes of as many bits can be multiplied in it."""


def count_on_device(
    relevance: Relevance, queries: Words, database: Words, bins: int, device: torch.device | str
) -> tuple[Ints, Ints]:
    """:func:`harness.retrieval.counting.counts` with torch, queries in the order of ``relevance``.

    Args:
        relevance: Relevance, and the order of queries and database.
        queries: (words, n_query).
        database: (words, n_database).
        bins: Code length + 1.
        device: Where to count.

    Returns:
        (n_query, bins) items and (n_query, bins) relevant ones among them.
    """
    device = torch.device(device)
    n_query, n_database = queries.shape[1], database.shape[1]
    columns = max(1, min(n_database, COLUMNS))
    rows = max(1, min(n_query, PAIRS // columns))
    half = device.type != "cpu" and 64 * len(queries) <= EXACT_IN_HALF
    signs_of_queries = _signs(_moved(queries, device), half)
    query_labels = _moved(relevance.query_labels, device)
    ranges = torch.stack([torch.from_numpy(relevance.first), torch.from_numpy(relevance.last)]).to(device)
    sums = torch.zeros((n_query, 2, bins), dtype=torch.int64, device=device)
    for at in range(0, n_database, columns):
        block = slice(at, min(at + columns, n_database))
        signs = _signs(_moved(database[:, block], device), half)
        labels = _moved(relevance.database_labels[:, block], device)
        place = torch.arange(block.start, block.stop, device=device)
        for start in range(0, n_query, rows):
            part = slice(start, min(start + rows, n_query))
            slot = (signs_of_queries[:, part].T @ signs).to(torch.int32)
            slot.neg_().add_(len(signs)).bitwise_right_shift_(1)
            if relevance.multi_label:
                hits = torch.zeros(slot.shape, dtype=torch.bool, device=device)
                for word in range(len(labels)):
                    hits |= (query_labels[word, part, None] & labels[word]) != 0
            else:
                hits = (place >= ranges[0, part, None]) & (place < ranges[1, part, None])
            slot += hits * bins
            slot += torch.arange(len(slot), dtype=torch.int32, device=device)[:, None] * (2 * bins)
            counted = torch.bincount(slot.ravel(), minlength=len(slot) * 2 * bins)
            sums[part] += counted.reshape(-1, 2, bins)
    counts = sums.cpu().numpy()
    return counts.sum(axis=1), counts[:, 1]


def _moved(words: Words, device: torch.device) -> torch.Tensor:
    """64-bit words as int64 on the device: torch has few operations on unsigned ones."""
    return torch.from_numpy(np.ascontiguousarray(words).view(np.int64)).to(device)


def _signs(words: torch.Tensor, half: bool) -> torch.Tensor:
    """(words, n) to (64 words, n) of -1 and 1. Unused bits are alike in all codes and add nothing to distances."""
    shifts = torch.arange(64, device=words.device)[:, None]
    dtype = torch.float16 if half else torch.float32
    return torch.cat([((plane >> shifts) & 1).to(dtype).mul_(2).sub_(1) for plane in words])
