"""Pytest fixtures for plugin authors: ``pytest_plugins = ["harness.testing.fixtures"]`` in a test file.

They are named in the file that wants them and are no ``pytest11`` entry point: that would be imported, with torch, by
every pytest session of an environment in which the harness is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.data.assemble import training_pairs
from harness.plugin.interfaces import NOTHING, Need, TrainingPairs
from harness.plugin.loading import load_registry
from harness.runtime.context import RunContext
from harness.testing.small_data import Size, feature_arrays, small_cell


@pytest.fixture
def training_pairs_of() -> Callable[..., TrainingPairs]:
    """``training_pairs_of(noise=0.4, trusted=0.3, n=100, granted=Need.NOISE_MASK)``: small training pairs.

    Two fifths of the ``n`` images are training images; both modalities share a class structure.
    """

    def make(
        noise: float = 0.4, trusted: float = 0.3, granted: Need = NOTHING, seed: int = 0, **size: Any
    ) -> TrainingPairs:
        registry = load_registry()
        data = small_cell(registry, feature_arrays(Size(**size), seed), noise=noise, trusted=trusted)
        return training_pairs(data, torch.device("cpu"), granted)

    return make


@pytest.fixture
def small_run() -> RunContext:
    """What a component gets as ``run``: 16 bits, CPU, seed 0."""
    return RunContext(16, torch.device("cpu"))


@pytest.fixture
def feature_file(tmp_path: Path) -> Callable[..., Path]:
    """``feature_file(n=100, d_image=24, d_text=20)``: a file for ``--features``."""

    def write(seed: int = 0, **size: Any) -> Path:
        path = tmp_path / "features.npz"
        np.savez(path, **feature_arrays(Size(**size), seed))  # type: ignore[arg-type]
        return path

    return write
