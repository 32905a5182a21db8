"""Paired tests by sign flips: is a mean difference larger than chance would make it?

If the two sides of a pair are equally good, their difference may as well have the other sign. So all signs are flipped
at random, and the p-value is the share of sign patterns whose total is at least as far from 0 as the one observed
(R. A. Fisher, The Design of Experiments, 1935; for retrieval M. D. Smucker, J. Allan and B. Carterette, CIKM 2007).
What is flipped decides what is tested:

- over **queries**, "are these trained models different": a unit is a block of queries that are no independent
  observations. The models are fixed, so nothing is said about another training.
- over **seeds**, "are the methods different": a unit is a training seed, or where there are several data seeds the mean
  over the training seeds of one data seed. The training seeds of a data seed share split, captions, trusted pairs and
  noise, so a lucky draw moves all of them; flipping them one by one would count that draw several times.

Several p-values are corrected together by :func:`holm` (S. Holm, Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT_UNITS = 20
"""Up to so many units all sign patterns are gone through: 2^19, as the opposite pattern has the opposite total."""

FLIPS = 10_000
"""Sign patterns drawn where there are more units."""

_AT_A_TIME = 1 << 22


@dataclass(frozen=True)
class SignFlip:
    """A sign-flip test.

    Attributes:
        p: Two-sided p-value.
        n: Units.
        smallest_p: The smallest p-value that so many units, or so many drawn patterns, allow.
        exact: All patterns were gone through.
    """

    p: float
    n: int
    smallest_p: float
    exact: bool


def sign_flip(differences: Floats, *, flips: int = FLIPS, seed: int = 0) -> SignFlip:
    """Two-sided sign-flip test of "the differences are symmetric around 0".

    Args:
        differences: (n,) what each unit contributes to the total.
        flips: Patterns to draw where there are more than :data:`EXACT_UNITS` units.
        seed: Seed of the drawn patterns.

    Returns:
        The test; p = 1 for no units. Drawn patterns give (1 + as extreme) / (1 + drawn), which never claims more than
        was drawn (B. Phipson and G. K. Smyth, Statistical Applications in Genetics and Molecular Biology 9, 2010).
    """
    values = np.asarray(differences, dtype=np.float64)
    # Totals that are equal in exact arithmetic must count as equal, whatever the order of summation.
    limit = abs(values.sum()) - 1e-12 * np.abs(values).sum()
    if len(values) <= EXACT_UNITS:
        totals = _all_totals(values)
        return SignFlip(float(np.mean(np.abs(totals) >= limit)), len(values), smallest_p(len(values)), True)
    extreme = int((np.abs(_drawn_totals(values, flips, seed)) >= limit).sum())
    return SignFlip((1 + extreme) / (1 + flips), len(values), 1 / (1 + flips), False)


def smallest_p(n: int) -> float:
    """Smallest two-sided p-value of an exact sign-flip test of n units: two of 2^n patterns, 0.0625 at five."""
    return min(1.0, 2.0 ** (1 - n))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Step-down Bonferroni: the i-th smallest of m p-values times m - i + 1, never below the one before, at most 1.

    A corrected value of at most alpha is significant with a family-wise error rate of alpha, whatever the dependence
    between the tests.

    Args:
        p_values: p-values of one family; None or NaN where there is no test, which then does not count.

    Returns:
        The corrected values in the same order; None where there was none.

    Raises:
        ValueError: A value is outside [0, 1].
    """
    tested = [at for at, p in enumerate(p_values) if p is not None and not math.isnan(p)]
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for place, at in enumerate(sorted(tested, key=lambda at: p_values[at])):  # type: ignore[arg-type,return-value]
        p = float(p_values[at])  # type: ignore[arg-type]
        if not 0 <= p <= 1:
            raise ValueError(f"a p-value must be between 0 and 1, not {p}")
        largest = max(largest, min(1.0, p * (len(tested) - place)))
        corrected[at] = largest
    return corrected


def _all_totals(values: Floats) -> Floats:
    """Totals of all sign patterns, one of each two opposite ones."""
    totals = values[:1].copy() if len(values) else np.zeros(1)
    for value in values[1:]:
        totals = np.concatenate([totals + value, totals - value])
    return totals


def _drawn_totals(values: Floats, flips: int, seed: int) -> Floats:
    random = np.random.default_rng(seed)
    n_bytes = -(-len(values) // 8)
    parts = []
    step = max(1, _AT_A_TIME // len(values))
    for at in range(0, flips, step):
        drawn = random.integers(256, size=(min(step, flips - at), n_bytes), dtype=np.uint8)
        positive = np.unpackbits(drawn, axis=1)[:, : len(values)].astype(np.float64)
        parts.append(2 * (positive @ values) - values.sum())
    return np.concatenate(parts)
