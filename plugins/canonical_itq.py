"""CCA + ITQ: canonical directions of both modalities, scaled by their correlations and rotated together."""

from __future__ import annotations

import torch

from harness import PairTrust, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.canonical import centred, weighted_cca
from harness.training.building_blocks.linear import LinearCodes, usable_weights
from harness.training.building_blocks.rotation import itq_rotation, random_rotation


class CanonicalItq(LinearCodes):
    """Both modalities are projected on the canonical directions, scaled by the correlations, and rotated together."""

    def __init__(self, *, ridge: float, power: float, iterations: int) -> None:
        self.ridge, self.power, self.iterations = ridge, power, iterations

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """Closed form; pairs count with their weight."""
        weight = usable_weights(trust.weight)
        x, mean_x = centred(pairs.image.double(), weight)
        y, mean_y = centred(pairs.text.double(), weight)
        self.means = (mean_x, mean_y)
        directions_x, directions_y, correlations = weighted_cca(x, y, weight, self.ridge)
        kept = min(run.n_bits, len(correlations))
        scale = correlations[:kept].clamp(min=0) ** self.power
        projections = [directions[:, :kept] * scale for directions in (directions_x, directions_y)]
        # sum_i w_i ||b_i - v_i R||^2 depends on R through sum_i w_i v_i' b_i, and the sign b_i not on w_i.
        stacked = torch.cat([x @ projections[0], y @ projections[1]]) * weight.repeat(2)[:, None]
        rotation = itq_rotation(stacked, random_rotation(kept, run.n_bits, run), self.iterations)
        self.projections = tuple(projection @ rotation for projection in projections)
