"""JDSH (``cal_similarity_matrix`` and ``cal_loss`` of its program).

The fit of the distribution follows ``train_jdsh`` of the CHNR authors' port, where it makes a figure only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import Batch, Phase, TrainingPairs
from harness.training import batches
from harness.training.building_blocks.annealed import AnnealedNetworks
from harness.training.building_blocks.structure import (
    cosines,
    joint_similarity,
    shares_of_pairs,
    weighted_mean,
    weighted_mean_square,
    weighted_row_cosines,
)

FITTED_BATCHES = 256
"""Batches whose similarities are looked at, at most: a quarter of a million of them for batches of 32."""

FINEST = 2048
"""Bins of the histogram, at most."""


@dataclass(frozen=True)
class Distribution:
    """A normal distribution left of the mode of similarities, a Laplace distribution right of it, and their ends."""

    left_location: float
    left_scale: float
    right_location: float
    right_scale: float
    smallest: float
    largest: float


def fit_distribution(similarities: NDArray[np.floating]) -> Distribution:
    """Maximum likelihood on either side of the mode, the half there mirrored at the mode.

    The mode is the middle of the fullest bin of a histogram with bins of the Freedman-Diaconis width (at most
    :data:`FINEST` of them). A half together with its mirror image is symmetric, so both distributions have the mode for
    location; the normal's scale is the root mean square distance to it, the Laplace's the mean distance. (The port
    takes the left edge of that bin, and seaborn's bins.)

    Args:
        similarities: (m,), m > 0, of different pairs.
    """
    values = np.asarray(similarities, dtype=np.float64)
    smallest, largest = float(values.min()), float(values.max())
    quarter, three_quarters = np.quantile(values, (0.25, 0.75))
    width = 2 * (three_quarters - quarter) / len(values) ** (1 / 3)
    bins = int(min(np.ceil((largest - smallest) / width), FINEST)) if width > 0 else 1
    counts, edges = np.histogram(values, max(bins, 1))
    fullest = int(counts.argmax())
    mode = float(edges[fullest] + edges[fullest + 1]) / 2
    left, right = mode - values[values < mode], values[values > mode] - mode
    return Distribution(
        mode, float(np.sqrt(np.mean(left**2))) if len(left) else 0.0,
        mode, float(np.mean(right)) if len(right) else 0.0, smallest, largest,
    )  # fmt: skip


def joint_modal_similarity(
    image: Tensor, text: Tensor, weight: Tensor, alpha: float, beta: float, gamma: float
) -> Tensor:
    """alpha S^v + beta S^t + gamma (S' + S'^T) / 2, where S'_ij is the cosine of row i of S^v with row j of S^t.

    Args:
        image: (n, d_image) features.
        text: (n, d_text) features.
        weight: (n,); entry k of a row counts with it.
        alpha: Factor of the images.
        beta: Factor of the captions.
        gamma: Factor of the agreement of rows.

    Returns:
        (n, n), symmetric.
    """
    rows = weighted_row_cosines(joint_similarity(image, text, 1, 0), joint_similarity(image, text, 0, 1), weight)
    return joint_similarity(image, text, alpha, beta) + gamma * (rows + rows.T) / 2


def sharpened(
    similarity: Tensor, found: Distribution, left_scales: float, right_scales: float, left_gain: float,
    right_gain: float,
) -> Tensor:  # fmt: skip
    """Similarities beyond a boundary grow: left of it they are surely unlike, right of it surely alike.

    S < location - left_scales x scale:   S (1 + left_gain exp(-(S - smallest)));
    S > location + right_scales x scale:  S (1 + right_gain exp(S - largest)).

    Args:
        similarity: (n, n).
        found: The two distributions.
        left_scales: Scales of the normal distribution to the left boundary.
        right_scales: Scales of the Laplace distribution to the right boundary.
        left_gain: Strength on the left.
        right_gain: Strength on the right.
    """
    left = found.left_location - left_scales * found.left_scale
    right = found.right_location + right_scales * found.right_scale
    below = 1 + left_gain * (found.smallest - similarity).exp()
    above = 1 + right_gain * (similarity - found.largest).exp()
    one = torch.ones_like(similarity)
    return similarity * torch.where(similarity < left, below, one) * torch.where(similarity > right, above, one)


class DistributionHasher(AnnealedNetworks):
    """L = intra MSE(C^vv, S) + MSE(C^vt, S) + MSE(C^tv, S) - mean_i C^vt_ii + intra MSE(C^tt, S).

    S is mu times the (sharpened) joint-modal similarity of the batch. An entry (i, j) counts with w_i w_j, the
    agreement of a pair's own outputs with w_i. The distribution is fitted when a phase begins, to batches drawn from
    its pairs (off the diagonal), without weights: trust may change from batch to batch.
    """

    def __init__(
        self, *, alpha: float, beta: float, gamma: float, mu: float, intra: float, distribution: str,
        left_scales: float, right_scales: float, left_gain: float, right_gain: float, left_location: float,
        left_scale: float, right_location: float, right_scale: float, smallest: float, largest: float, **training: Any,
    ) -> None:  # fmt: skip
        super().__init__(**training)
        self.factors, self.mu, self.intra = (alpha, beta, gamma), mu, intra
        self.distribution = distribution
        self.strength = (left_scales, right_scales, left_gain, right_gain)
        self.found = Distribution(left_location, left_scale, right_location, right_scale, smallest, largest)

    def begin_phase(self, phase: Phase, pairs: TrainingPairs, rows: Tensor) -> None:
        """Fit the distribution of the similarities in batches of this phase."""
        if self.distribution != "fitted" or len(rows) < self.smallest_batch:
            return
        order = self.run.generator("similarities")
        drawn = batches(rows, self.batch_size, order, smallest=self.smallest_batch, drop_last=True)
        values = []
        for chosen in islice(drawn, FITTED_BATCHES):
            batch = pairs.rows(chosen)
            ones = batch.image.new_ones(len(batch))
            similarity = joint_modal_similarity(batch.image, batch.text, ones, *self.factors)
            different = ~torch.eye(len(batch), dtype=torch.bool, device=similarity.device)
            values.append(similarity[different])
        self.found = fit_distribution(torch.cat(values).cpu().numpy())

    def target(self, batch: Batch, weight: Tensor) -> Tensor:
        """S, (b, b), symmetric."""
        similarity = joint_modal_similarity(batch.image, batch.text, weight, *self.factors)
        if self.distribution != "none":
            similarity = sharpened(similarity, self.found, *self.strength)
        return self.mu * similarity

    def differences(self, h_image: Tensor, h_text: Tensor, batch: Batch, weight: Tensor) -> list[tuple[float, Tensor]]:
        """Each term's factor, and the (b, b) matrix whose mean square it is."""
        target = self.target(batch, weight)
        return [
            (self.intra, cosines(h_image, h_image) - target),
            (2.0, cosines(h_image, h_text) - target),  # C^vt and C^tv: S is symmetric, so both have the same error
            (self.intra, cosines(h_text, h_text) - target),
        ]

    def loss(self, h_image: Tensor, h_text: Tensor, batch: Batch, weight: Tensor) -> Tensor:
        """All terms."""
        terms = self.differences(h_image, h_text, batch, weight)
        structure = sum(factor * weighted_mean_square(difference, weight) for factor, difference in terms)
        return structure - weighted_mean(torch.cosine_similarity(h_image, h_text), weight)

    def shares(self, h_image: Tensor, h_text: Tensor, batch: Batch) -> Tensor:
        """(b,) shares of the pairs in all of them."""
        terms = self.differences(h_image, h_text, batch, h_image.new_ones(len(h_image)))
        structure = sum(factor * shares_of_pairs(difference) for factor, difference in terms)
        return structure - torch.cosine_similarity(h_image, h_text)
