"""Bits beyond the number of directions that the data have."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.plugin.interfaces import Run

SMALLEST = 1e-9
"""Singular values below this share of the largest are rounding; their directions would be arbitrary."""


def kept_directions(values: Tensor, n_bits: int) -> int:
    """How many directions to keep: one for each bit, but none that is only rounding, and at least one.

    Args:
        values: (k,) singular values of the directions, in descending order.
        n_bits: Number of bits.
    """
    return max(1, min(n_bits, int((values > SMALLEST * values[0]).sum())))


def turned_copies(k: int, n_bits: int, run: Run) -> Tensor:
    """A matrix that makes n_bits columns of k columns: the k themselves, then copies of them turned at random.

    A method with k directions has k bits by its paper; a further bit cuts the same k-dimensional space by another
    hyperplane, so that it adds precision and no new information. Each block of k further bits is one random rotation
    of all directions, drawn from the run's stream "more-bits".

    Args:
        k: Number of directions.
        n_bits: Number of bits.
        run: The run.

    Returns:
        (k, n_bits) float64, with k <= n_bits the identity in front; with fewer bits than directions, its first columns.
    """
    blocks = [torch.eye(k, dtype=torch.float64, device=run.device)]
    generator = run.generator("more-bits")
    while len(blocks) * k < n_bits:
        blocks.append(torch.linalg.qr(torch.randn(k, k, generator=generator, device=run.device).double())[0])
    return torch.cat(blocks, dim=1)[:, :n_bits]
