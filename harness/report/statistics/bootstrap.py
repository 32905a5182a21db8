"""Two-level bootstrap of a mean: data seeds, training seeds inside them, queries in blocks inside both.

A mean over runs is uncertain because another split and noise draw, another training seed and other queries would have
given another one. A resample draws all three again: as many data seeds as there are, with replacement; for each drawn
data seed as many of its training seeds; and as many blocks of its queries, which all of its training seeds answer, as
they do in the records. The interval holds the 2.5 and 97.5 percentiles of the means (A. C. Davison and D. V. Hinkley,
Bootstrap Methods and their Application, 1997, 3.8 on hierarchical data and 5.3 on percentiles).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESAMPLES = 4000
LEVEL = 0.95

_AT_A_TIME = 1 << 21
"""Drawn blocks that are in memory together."""


@dataclass(frozen=True)
class BlockSums:
    """The values of one data seed.

    Attributes:
        sums: (n_training_seeds, n_blocks) sum of the values, or of their differences, of the queries of a block.
        sizes: (n_blocks,) number of queries of a block.
    """

    sums: Floats
    sizes: Floats

    @property
    def mean(self) -> float:
        """Mean over queries and training seeds."""
        return float(self.sums.sum() / (len(self.sums) * self.sizes.sum()))


@dataclass(frozen=True)
class Draws:
    """What some resamples consist of.

    Attributes:
        data: (n, n_data) the data seeds drawn in each resample.
        seeds: For each data seed (n_drawn, n_training_seeds), the training seeds drawn each time it was drawn, in the
            order in which it appears in ``data``, row by row.
        blocks: Likewise (n_drawn, n_blocks).
    """

    data: Ints
    seeds: list[Ints]
    blocks: list[Ints]


def mean_of(samples: Sequence[BlockSums]) -> float:
    """The mean whose interval is sought: over data seeds, each weighing the same whatever its training seeds."""
    return float(np.mean([sample.mean for sample in samples]))


def interval(
    samples: Sequence[BlockSums], *, shared: bool = False, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """95 % percentile interval of :func:`mean_of`.

    Args:
        samples: One for each data seed.
        shared: All data seeds have the same queries in the same blocks, so a resample draws blocks once for all.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        The ends; None where there is one run without values per query, so that nothing can be drawn again.
    """
    if len(samples) == 1 and samples[0].sums.size == 1:
        return None
    return percentiles(resampled_means(samples, shared=shared, resamples=resamples, seed=seed))


def percentiles(values: Floats) -> tuple[float, float]:
    """The ends between which 95 % of resampled values lie."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def resampled_means(
    samples: Sequence[BlockSums], *, shared: bool = False, resamples: int = RESAMPLES, seed: int = 0
) -> Floats:
    """Means of resamples; samples of the same shapes get the same draws, so several quantities can be drawn jointly.

    Args:
        samples: One for each data seed.
        shared: As for :func:`interval`.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        (resamples,) means.
    """
    random = np.random.default_rng(seed)
    shapes = [sample.sums.shape for sample in samples]
    drawn = sum(blocks for _, blocks in shapes)
    step = max(1, _AT_A_TIME // max(1, drawn))
    parts = [
        means_of(draw(random, shapes, min(step, resamples - at), shared=shared), samples)
        for at in range(0, resamples, step)
    ]
    return np.concatenate(parts)


def draw(random: np.random.Generator, shapes: Sequence[tuple[int, int]], n: int, *, shared: bool = False) -> Draws:
    """Draw n resamples.

    Args:
        random: The random numbers.
        shapes: Training seeds and blocks of each data seed.
        n: Number of resamples.
        shared: Draw blocks once for all data seeds of a resample.

    Returns:
        The draws.
    """
    data = random.integers(len(shapes), size=(n, len(shapes)))
    seeds, blocks = [], []
    common = random.integers(shapes[0][1], size=(n, shapes[0][1])) if shared else None
    for number, (n_seeds, n_blocks) in enumerate(shapes):
        rows = np.nonzero(data == number)[0]
        seeds.append(random.integers(n_seeds, size=(len(rows), n_seeds)))
        blocks.append(random.integers(n_blocks, size=(len(rows), n_blocks)) if common is None else common[rows])
    return Draws(data, seeds, blocks)


def means_of(draws: Draws, samples: Sequence[BlockSums]) -> Floats:
    """The mean of each resample: over drawn data seeds, of the mean over their drawn training seeds and queries."""
    means = np.empty(draws.data.shape)
    for number, sample in enumerate(samples):
        seeds, blocks = draws.seeds[number], draws.blocks[number]
        n_seeds, n_blocks = sample.sums.shape
        times = _counts(seeds, n_seeds)
        if n_blocks == 1:
            means[draws.data == number] = (times @ sample.sums[:, 0]) / (n_seeds * sample.sizes[0])
            continue
        per_block = times @ sample.sums
        total = np.take_along_axis(per_block, blocks, axis=1).sum(axis=1)
        means[draws.data == number] = total / (n_seeds * sample.sizes[blocks].sum(axis=1))
    averaged: Floats = means.mean(axis=1)
    return averaged


def _counts(picks: Ints, n: int) -> Floats:
    """(rows, picks) numbers below n to (rows, n): how often each was picked."""
    places = picks + n * np.arange(len(picks))[:, None]
    return np.bincount(places.ravel(), minlength=len(picks) * n).reshape(len(picks), n).astype(np.float64)
