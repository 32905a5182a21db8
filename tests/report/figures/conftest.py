"""Figures of records that tests write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def drawn():
    """``drawn(results, "trust", where=...)``: the figure; drawing it all, so that layout is known, too."""
    pytest.importorskip("matplotlib")
    from harness.api.plots import plot

    def draw(results: Path, kind: str, **options: Any):
        made = plot(results, kind, **options)
        made._repr_png_()
        return made

    return draw


@pytest.fixture
def with_arrays():
    """``with_arrays(results, hash, trust=..., ...)`` stores arrays beside a record."""

    def store(results: Path, cell_hash: str, **arrays: Any) -> None:
        (folder,) = results.glob(f"runs/*/*/{cell_hash}")
        np.savez(folder / "arrays.npz", **{name: np.asarray(value) for name, value in arrays.items()})

    return store
