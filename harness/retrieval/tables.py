"""Sums over ranks that all queries and all metrics share, made once for the largest database seen."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_harmonic = np.zeros(1)


def harmonic_numbers(largest: int) -> NDArray[np.float64]:
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


@lru_cache(maxsize=16)
def discount_sums(cutoff: int) -> NDArray[np.float64]:
    """Sums of 1 / log2(rank + 1) over the first 0, 1, ..., ``cutoff`` ranks, read-only."""
    table = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, cutoff + 2)))])
    table.flags.writeable = False
    return table
