"""Standardisation of features with statistics of the training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHOICES = ("scalar", "feature", "center", "none")
"""One mean and deviation per modality; per feature; mean only; nothing (for shared spaces)."""


@dataclass(frozen=True)
class Standardiser:
    """Subtract ``mean``, divide by ``scale``.

    Attributes:
        mean: (1,) or (d,) float64.
        scale: (1,) or (d,) float64, never 0.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d) float32 to (n, d) float32."""
        return ((features - self.mean) / self.scale).astype(np.float32)


def fit_standardiser(training: NDArray[np.float32], choice: str) -> Standardiser:
    """Fit on the training rows of the original view; the result is applied to every view and part.

    Args:
        training: (n, d) features of the training rows.
        choice: One of :data:`CHOICES`.

    Returns:
        The standardiser; constant features are centred but not scaled.
    """
    values = training.astype(np.float64)
    if choice == "none":
        return Standardiser(np.zeros(1), np.ones(1))
    if choice == "feature":
        mean, scale = values.mean(axis=0), values.std(axis=0)
    elif choice == "center":
        mean, scale = values.mean(axis=0), np.ones(1)
    else:
        mean, scale = values.mean(keepdims=True).reshape(1), values.std(keepdims=True).reshape(1)
    return Standardiser(mean, np.where(scale > 1e-12, scale, 1.0))
