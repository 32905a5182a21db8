"""Holm's correction for several tests (S. Holm, Scandinavian Journal of Statistics 6, 1979)."""

from __future__ import annotations

import math
from collections.abc import Sequence


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
