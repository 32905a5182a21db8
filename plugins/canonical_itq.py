"""Weighted ridge CCA and iterative quantisation."""

from __future__ import annotations

import torch
from torch import Tensor


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


class CanonicalItq:
    """Both modalities are projected on the canonical directions, scaled by the correlations, and rotated together."""

    def __init__(self, *, ridge: float, power: float, iterations: int) -> None:
        self.ridge, self.power, self.iterations = ridge, power, iterations

    def fit(self, pairs, trust, run):
        """Closed form; pairs count with their weight."""
        weight = trust.weight.double()
        if not bool((weight > 0).any()):
            weight = torch.ones_like(weight)
        x, y = pairs.image.double(), pairs.text.double()
        self.means = tuple((view * weight[:, None]).sum(dim=0) / weight.sum() for view in (x, y))
        x, y = x - self.means[0], y - self.means[1]
        directions_x, directions_y, correlations = weighted_cca(x, y, weight, self.ridge)
        n_bits, kept = run.n_bits, min(run.n_bits, len(correlations))
        scale = correlations[:kept].clamp(min=0) ** self.power
        projections = [directions[:, :kept] * scale for directions in (directions_x, directions_y)]
        stacked = torch.cat([x @ projections[0], y @ projections[1]]) * weight.sqrt().repeat(2)[:, None]
        start = torch.randn(n_bits, kept, generator=run.generator("itq"), device=run.device).double()
        rotation = itq_rotation(stacked, torch.linalg.qr(start)[0].T, self.iterations)
        self.projections = tuple(projection @ rotation for projection in projections)

    def encode_image(self, image):
        """(m, n_bits) float64."""
        return (image.double() - self.means[0]) @ self.projections[0]

    def encode_text(self, text):
        """(m, n_bits) float64."""
        return (text.double() - self.means[1]) @ self.projections[1]

    def state(self):
        """Means and projections of both modalities."""
        names = ("image", "text")
        return {
            **{f"{name}.mean": mean for name, mean in zip(names, self.means, strict=True)},
            **{f"{name}.projection": projection for name, projection in zip(names, self.projections, strict=True)},
        }

    def restore(self, state, run):
        """The inverse of :meth:`state`."""
        self.means = tuple(state[f"{name}.mean"].to(run.device) for name in ("image", "text"))
        self.projections = tuple(state[f"{name}.projection"].to(run.device) for name in ("image", "text"))
