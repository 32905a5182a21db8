"""How well a detector tells wrong pairs from right ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

KEYS = ("auroc", "auroc_class", "average_precision", "f1", "brier", "ece")

CALIBRATION_BINS = 10


def detector_scores(
    weight: NDArray[np.float32],
    wrong: NDArray[np.bool_] | None,
    class_changed: NDArray[np.bool_] | None,
    trusted: NDArray[np.bool_],
) -> dict[str, Any]:
    """Score trust against the noise mask, over untrusted pairs; the positive class is a wrong pair, its score
    1 - weight.

    Args:
        weight: (n,) trust in [0, 1].
        wrong: (n,) bool index mask, or None if unknown.
        class_changed: (n,) bool, the caption is of an image without shared label; or None.
        trusted: (n,) bool.

    Returns:
        ``auroc``, ``average_precision``, ``f1`` (a pair is called wrong if its weight is below 0.5) against the index
        mask, ``auroc_class`` against the class-changed mask, and the calibration ``brier`` and ``ece`` (see
        :func:`calibration`); values that are not defined are None, with the reason under ``reason``.
    """
    untrusted = ~trusted
    empty: dict[str, Any] = dict.fromkeys(KEYS)
    if wrong is not None and untrusted.any():
        empty.update(calibration(weight[untrusted], ~wrong[untrusted]))
    if not untrusted.any() or (weight[untrusted] == weight[untrusted][0]).all():
        return {**empty, "reason": "every untrusted pair has the same weight"}
    if wrong is None:
        return {**empty, "reason": "nobody knows which pairs are wrong"}
    if not wrong[untrusted].any():
        return {**empty, "reason": "no untrusted pair is wrong"}
    if wrong[untrusted].all():
        return {**empty, "reason": "every untrusted pair is wrong"}
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    score = 1.0 - weight[untrusted].astype(np.float64)
    mask = wrong[untrusted]
    scores: dict[str, Any] = {
        **empty,
        "auroc": float(roc_auc_score(mask, score)),
        "average_precision": float(average_precision_score(mask, score)),
        "f1": float(f1_score(mask, score > 0.5, zero_division=0.0)),
    }
    changed = None if class_changed is None else class_changed[untrusted]
    if changed is not None and changed.any() and not changed.all():
        scores["auroc_class"] = float(roc_auc_score(changed, score))
    else:
        scores["reason"] = "no class-changed mask: the data have no labels, or one side is empty"
    return scores


def calibration(weight: NDArray[np.float32], right: NDArray[np.bool_]) -> dict[str, float]:
    """How far a weight can be read as the probability that the pair is right; defined without any wrong pair, too.

    Args:
        weight: (n,) in [0, 1], n at least 1.
        right: (n,) bool.

    Returns:
        ``brier``: mean (weight - right)^2 (Brier 1950). ``ece``: expected calibration error (Naeini et al., AAAI 2015)
        over ten bins of equal width, sum over bins of share x |mean weight - share of right pairs|.
    """
    value, truth = weight.astype(np.float64), right.astype(np.float64)
    bins = calibration_bins(value)
    gaps = np.bincount(bins, weights=value - truth, minlength=CALIBRATION_BINS)
    return {"brier": float(np.mean((value - truth) ** 2)), "ece": float(np.abs(gaps).sum() / len(value))}


def calibration_bins(weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) the bin of each weight, of :data:`CALIBRATION_BINS` of equal width; the last one holds 1."""
    return np.minimum((weight * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
