"""PLS + ITQ: directions of largest covariance between the modalities, rotated together towards binary codes."""

from __future__ import annotations

import torch

from harness import PairTrust, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.canonical import centred
from harness.training.building_blocks.counted_rows import counted_rows
from harness.training.building_blocks.linear import LinearCodes
from harness.training.building_blocks.more_bits import kept_directions
from harness.training.building_blocks.rotation import itq_rotation, random_rotation


class PlsItq(LinearCodes):
    """Both modalities are projected on the singular vectors of their cross-covariance and rotated together."""

    def __init__(self, *, power: float, iterations: int) -> None:
        self.power, self.iterations = power, iterations

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """Closed form; pairs count with their weight."""
        x, y, weight = counted_rows(pairs, trust)
        x, mean_x = centred(x, weight)
        y, mean_y = centred(y, weight)
        self.means = (mean_x, mean_y)
        left, values, right = torch.linalg.svd((x * weight[:, None]).T @ y, full_matrices=False)
        kept = kept_directions(values, run.n_bits)
        scale = (values[:kept] / values[0].clamp(min=1e-300)) ** self.power
        projections, spread = [], []
        for view, directions in ((x, left), (y, right.T)):
            projection = directions[:, :kept] * scale
            outputs = view @ projection
            # The rotation is fitted on both views at once: each has the same say, whatever its units.
            size = (weight @ outputs.square().sum(dim=1) / weight.sum()).sqrt()
            size = size if size > 0 else torch.ones_like(size)
            projections.append(projection / size)
            spread.append(outputs / size)
        # sum_i w_i ||b_i - v_i R||^2 depends on R through sum_i w_i v_i' b_i, and the sign b_i not on w_i.
        weighed = torch.cat(spread) * weight.repeat(2)[:, None]
        rotation = itq_rotation(weighed, random_rotation(kept, run.n_bits, run), self.iterations)
        self.projections = tuple(projection @ rotation for projection in projections)
