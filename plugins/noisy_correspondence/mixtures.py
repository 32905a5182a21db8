"""Two groups in one number per pair: mixtures of two components, and how many pairs look mismatched.

All functions are deterministic: they start from the best split of the sorted values, not from random numbers. Values
come as torch tensors and are worked on in numpy, float64; posteriors come back on the device of the values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln
from torch import Tensor

Array = NDArray[np.float64]

FEWEST = 8
"""With fewer pairs no mixture is fitted: all belong to the upper group."""

NULL_BINS = 200


@dataclass(frozen=True)
class Groups:
    """Attributes:
    upper: (n,) float32 posterior of the component with the higher mean.
    share: Share of the upper component.
    """

    upper: Tensor
    share: float


def gaussian_mixture(values: Tensor, iterations: int = 10, tolerance: float = 1e-2, floor: float = 5e-4) -> Groups:
    """Two Gaussians by EM (Dempster, Laird, Rubin 1977); constants as in NCR's program.

    Args:
        values: (n,) numbers, best scaled to [0, 1].
        iterations: EM steps at most.
        tolerance: Stop when the mean log-likelihood gains less.
        floor: Added to each variance.

    Returns:
        Posterior and share of the component with the higher mean; all 1 where the values are equal or too few.
    """
    x = _numbers(values)
    if not _can_split(x):
        return _all_upper(values)

    def moments(of: Array) -> tuple[float, float, float]:
        total = of.sum() + 10 * np.finfo(float).eps
        mean = float(of @ x / total)
        return mean, float(of @ (x - mean) ** 2 / total) + floor, float(of.mean())

    def log_density(mean: float, variance: float, share: float) -> Array:
        return np.log(max(share, 1e-300)) - 0.5 * np.log(2 * np.pi * variance) - (x - mean) ** 2 / (2 * variance)

    upper = _best_split(x).astype(float)
    before = -np.inf
    for _ in range(iterations):
        components = sorted((moments(1 - upper), moments(upper)))
        low, high = (log_density(*component) for component in components)
        both = np.logaddexp(low, high)
        upper = np.exp(high - both)
        if both.mean() - before < tolerance and np.isfinite(before):
            break
        before = both.mean()
    return _groups(upper, values)


def beta_mixture(
    values: Tensor,
    iterations: int = 10,
    edge: float = 1e-3,
    start: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> Groups:
    """Two Beta distributions by EM with the method of moments (Arazo et al., ICML 2019; Ma and Leijon 2011).

    In the M step a = m (m (1 - m) / v - 1) and b = a (1 - m) / m, with m and v the weighted mean and variance.

    Args:
        values: (n,) numbers in [0, 1].
        iterations: EM steps.
        edge: Values are kept this far from 0 and 1.
        start: (a, b) of the lower and of the upper component; None starts from the best split.

    Returns:
        As :func:`gaussian_mixture`.
    """
    x = np.clip(_numbers(values), edge, 1 - edge)
    if not _can_split(x):
        return _all_upper(values)

    def log_density(component: tuple[float, float], share: float) -> Array:
        a, b = component
        norm = gammaln(a + b) - gammaln(a) - gammaln(b)
        return np.log(max(share, 1e-300)) + norm + (a - 1) * np.log(x) + (b - 1) * np.log1p(-x)

    upper = _best_split(x).astype(float)
    components = start or (beta_moments(x, 1 - upper), beta_moments(x, upper))
    share = 0.5
    for step in range(iterations):
        if step or start is None:
            share = float(upper.mean())
            components = (beta_moments(x, 1 - upper), beta_moments(x, upper))
        low, high = log_density(components[0], 1 - share), log_density(components[1], share)
        upper = np.exp(high - np.logaddexp(low, high))
    if components[0][0] / sum(components[0]) > components[1][0] / sum(components[1]):
        upper = 1 - upper
    return _groups(upper, values)


def beta_moments(x: Array, weight: Array | None = None) -> tuple[float, float]:
    """The Beta distribution (a, b) with the weighted mean and variance of numbers in (0, 1)."""
    weight = np.ones_like(x) if weight is None else weight
    total = weight.sum() + 1e-12
    mean = float(np.clip(weight @ x / total, 1e-4, 1 - 1e-4))
    variance = float(weight @ (x - mean) ** 2 / total)
    variance = min(max(variance, 1e-6), 0.95 * mean * (1 - mean))  # otherwise a or b is not positive
    a = mean * (mean * (1 - mean) / variance - 1)
    return a, a * (1 - mean) / mean


def two_groups(values: Tensor, mismatched: Tensor, iterations: int = 200) -> Groups:
    """Two groups of which one is known: pairs that do not belong together look like pairs made at random.

    The density f0 of mismatched pairs is their smoothed histogram; the right pairs are Gaussian, and EM finds their
    share, mean and variance: posterior = 1 - (1 - share) f0 / f, one minus the local false discovery rate of the
    two-groups model (Efron, Statistical Science 2008). Without wrong pairs the share comes out near 1 and so does every
    weight, which a mixture of two free components cannot do.

    Args:
        values: (n,) agreement of each pair, in [-1, 1].
        mismatched: (m,) agreement of images with captions of other pairs.
        iterations: EM steps.

    Returns:
        As :func:`gaussian_mixture`; the posterior does not fall where the agreement rises.
    """
    x, null = _numbers(values), _numbers(mismatched)
    if not _can_split(x) or not len(null):
        return _all_upper(values)
    density, _ = np.histogram(null, bins=NULL_BINS, range=(-1, 1), density=True)
    kernel = np.exp(-0.5 * (np.arange(-9, 10) / 3.0) ** 2)
    density = np.convolve(density, kernel / kernel.sum(), "same") + 1e-6
    of_null = density[np.clip(((x + 1) / 2 * NULL_BINS).astype(int), 0, NULL_BINS - 1)]
    upper = np.where(x > np.quantile(null, 0.95), 0.95, 0.05)
    for _ in range(iterations):
        share, total = upper.mean(), upper.sum() + 1e-12
        mean = upper @ x / total
        variance = upper @ (x - mean) ** 2 / total + 1e-4
        right = share * np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        changed = right / (right + (1 - share) * of_null)
        if np.abs(changed - upper).max() < 1e-6:
            upper = changed
            break
        upper = changed
    order = np.argsort(x, kind="stable")
    upper[order] = np.maximum.accumulate(upper[order])
    return _groups(upper, values)


def _numbers(values: Tensor) -> Array:
    return values.detach().double().cpu().numpy()


def _can_split(x: Array) -> bool:
    return len(x) >= FEWEST and float(np.ptp(x)) > 1e-9


def _all_upper(values: Tensor) -> Groups:
    return Groups(torch.ones(len(values), dtype=torch.float32, device=values.device), 1.0)


def _groups(upper: Array, values: Tensor) -> Groups:
    clean = np.clip(np.nan_to_num(upper, nan=1.0), 0, 1)
    return Groups(torch.from_numpy(clean.astype(np.float32)).to(values.device), float(clean.mean()))


def _best_split(x: Array) -> NDArray[np.bool_]:
    """(n,) True above the split with the least squared distance to the two means (two-means in one dimension)."""
    ordered = np.sort(x)
    n = len(x)
    counts = np.arange(1, n)
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    below = squares[:-1] - sums[:-1] ** 2 / counts
    above = (squares[-1] - squares[:-1]) - (sums[-1] - sums[:-1]) ** 2 / (n - counts)
    error = np.where(np.diff(ordered) > 0, below + above, np.inf)
    return x > ordered[int(np.argmin(error))]
