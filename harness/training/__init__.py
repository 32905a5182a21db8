"""What learners share: the one training loop, and batches for those who train on their own.

Batches are row numbers: features stay where they are, and an epoch is a permutation of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def batches(
    rows: Tensor, batch_size: int, generator: torch.Generator, smallest: int = 1, drop_last: bool = False
) -> Iterator[Tensor]:
    """Shuffle row numbers and cut them into batches.

    Args:
        rows: (n,) int64 row numbers.
        batch_size: Rows per batch.
        generator: Source of the order, on the device of ``rows``.
        smallest: A last batch with fewer rows joins the one before (batch normalisation needs 2).
        drop_last: Leave out a last batch that is not full, unless it is the only one.

    Yields:
        (b,) int64 row numbers.
    """
    import torch

    n = len(rows)
    shuffled = rows[torch.randperm(n, generator=generator, device=rows.device)]
    edges = [*range(0, n, batch_size), n]
    if len(edges) > 2 and (drop_last and edges[-1] - edges[-2] < batch_size):
        edges.pop()
    elif len(edges) > 2 and edges[-1] - edges[-2] < smallest:
        edges.pop(-2)
    for start, stop in pairwise(edges):
        yield shuffled[start:stop]
