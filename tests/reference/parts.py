"""The features of a backbone as one matrix, whether it returns or yields them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def encoded(backbone, items, run) -> np.ndarray:
    """(n, d), every row yielded exactly once."""
    output = backbone.encode(items, run)
    if not isinstance(output, Iterator):
        return output
    parts = list(output)
    assert {part.dtype for _, part in parts} == {np.dtype(np.float32)}
    rows = np.concatenate([rows for rows, _ in parts])
    assert np.array_equal(np.sort(rows), np.arange(len(items)))
    features = np.concatenate([part for _, part in parts])
    whole = np.empty_like(features)
    whole[rows] = features
    return whole
