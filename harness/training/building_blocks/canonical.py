"""Directions that two views of the same items share: weighted ridge CCA."""

from __future__ import annotations

import torch
from torch import Tensor


def centred(view: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """A view minus its weighted mean, and that mean.

    Args:
        view: (n, d) float64.
        weight: (n,) float64, not all 0.
    """
    mean = (view * weight[:, None]).sum(dim=0) / weight.sum()
    return view - mean, mean


def weighted_cca(x: Tensor, y: Tensor, weight: Tensor, ridge: float) -> tuple[Tensor, Tensor, Tensor]:
    """Canonical directions of two views.

    Maximise tr(Wx' Cxy Wy) subject to Wx' (Cxx + r m I) Wx = I and the same for y, with m the mean eigenvalue of the
    covariance: whiten both views and take the singular vectors of the whitened cross-covariance.

    Args:
        x: (n, d_x) float64, centred with the same weights.
        y: (n, d_y) float64, centred.
        weight: (n,) float64, not all 0.
        ridge: r, above 0.

    Returns:
        Wx (d_x, k), Wy (d_y, k) and the correlations (k,) in descending order, k = min(d_x, d_y).
    """
    total = weight.sum()
    whiteners = []
    for view in (x, y):
        covariance = (view * weight[:, None]).T @ view / total
        values, vectors = torch.linalg.eigh(covariance)
        values = values.clamp(min=0)
        shift = ridge * values.mean()
        shift = torch.where(shift > 0, shift, torch.ones_like(shift))  # a constant view
        whiteners.append(vectors * (values + shift).rsqrt() @ vectors.T)
    cross = (x * weight[:, None]).T @ y / total
    left, correlations, right = torch.linalg.svd(whiteners[0] @ cross @ whiteners[1], full_matrices=False)
    return whiteners[0] @ left, whiteners[1] @ right.T, correlations
