"""Weighted ridge regression, and the directions that a view really has."""

from __future__ import annotations

import torch
from torch import Tensor

RELATIVE, ABSOLUTE = "relative", "absolute"
"""Units of a ridge: the mean eigenvalue of the scatter matrix that it is added to, or 1."""

SMALLEST = 1e-12
"""Eigenvalues of a scatter matrix below this share of the largest are rounding: features come in float32."""


def scatter_of(view: Tensor, weight: Tensor) -> Tensor:
    """X' diag(w) X, (d, d), for X (n, d) and w (n,)."""
    return (view * weight[:, None]).T @ view


def ridge_shift(scatter: Tensor, ridge: float, unit: str) -> float:
    """The number to add to the diagonal of a scatter matrix.

    Args:
        scatter: (d, d).
        ridge: How much.
        unit: :data:`RELATIVE` or :data:`ABSOLUTE`.

    Returns:
        ``ridge`` times the unit; a matrix of zeros (a constant view) counts as one of mean eigenvalue 1.
    """
    mean = float(scatter.diagonal().mean()) if unit == RELATIVE else 1.0
    return ridge * (mean if mean > 0 else 1.0)


class Spectrum:
    """Eigenvectors of a shifted scatter matrix, for its powers, regressions and rank.

    Attributes:
        vectors: (d, d) eigenvectors of the scatter matrix in columns.
        values: (d,) its eigenvalues plus the shift; what is only rounding before the shift counts as 0.
        rank: Number of eigenvalues that are not 0 before the shift.
    """

    def __init__(self, scatter: Tensor, shift: float) -> None:
        values, self.vectors = torch.linalg.eigh(scatter)
        real = values > SMALLEST * values[-1].clamp(min=0)
        self.rank = int(real.sum())
        self.values = torch.where(real, values, torch.zeros_like(values)) + shift

    def power(self, exponent: float) -> Tensor:
        """(d, d) power of the shifted matrix; without a shift, of its part of full rank (a pseudo-inverse)."""
        powers = torch.where(self.values > 0, self.values, torch.ones_like(self.values)) ** exponent
        return self.vectors * torch.where(self.values > 0, powers, torch.zeros_like(powers)) @ self.vectors.T


class RidgeRegression:
    """The matrix W that makes sum_i w_i ||t_i - x_i W||^2 + shift ||W||^2 smallest, for one X and many T.

    Attributes:
        shift: What was added to the diagonal of the scatter matrix.
        spectrum: That matrix.

    Without a shift and with a singular scatter matrix it is the smallest of the best W.
    """

    def __init__(self, view: Tensor, weight: Tensor, ridge: float, unit: str = ABSOLUTE) -> None:
        """
        Args:
            view: X, (n, d) float64.
            weight: (n,) float64.
            ridge: At least 0, in the unit of :func:`ridge_shift`.
            unit: :data:`RELATIVE` or :data:`ABSOLUTE`.
        """
        self.weighed = view * weight[:, None]
        scatter = self.weighed.T @ view
        self.shift = ridge_shift(scatter, ridge, unit)
        self.spectrum = Spectrum(scatter, self.shift)
        self.inverse = self.spectrum.power(-1.0)

    def __call__(self, targets: Tensor) -> Tensor:
        """(d, k) for targets T, (n, k)."""
        return self.inverse @ (self.weighed.T @ targets)
