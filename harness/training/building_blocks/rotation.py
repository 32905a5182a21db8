"""Iterative quantisation: the rotation that brings projected data closest to binary codes."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.plugin.interfaces import Run


def itq_rotation(views: Tensor, rotation: Tensor, iterations: int) -> Tensor:
    """The rotation that brings projected data closest to binary codes (Gong et al. 2013, section 3).

    Alternates B = sign(V R) and R = argmin ||B - V R||_F over R with orthonormal rows (orthogonal Procrustes). With as
    many bits as directions R is a rotation; with more bits it spreads the directions over all of them.

    Args:
        views: V, (m, k) float64.
        rotation: Start with orthonormal rows, (k, n_bits), n_bits >= k.
        iterations: Number of updates.

    Returns:
        (k, n_bits) with orthonormal rows.
    """
    for _ in range(iterations):
        codes = torch.where(views @ rotation > 0, 1.0, -1.0).to(views.dtype)
        left, _, right = torch.linalg.svd(views.T @ codes, full_matrices=False)
        rotation = left @ right
    return rotation


def random_rotation(k: int, n_bits: int, run: Run) -> Tensor:
    """(k, n_bits) float64 with orthonormal rows, n_bits >= k, drawn from the run's stream "itq"."""
    start = torch.randn(n_bits, k, generator=run.generator("itq"), device=run.device).double()
    return torch.linalg.qr(start)[0].T
