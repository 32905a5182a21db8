"""``cca-consistency``: do image and caption of a pair agree in a canonical space that the pair did not help to make?

Wrong pairs average out in the cross-covariance, so that canonical directions fitted on noisy pairs still bring right
pairs together. No network, no label, no trusted pair.
"""

from __future__ import annotations

import torch
from harness_plugins.noisy_correspondence.mixtures import gaussian_mixture, two_groups
from torch import Tensor
from torch.nn.functional import normalize

from harness import PairTrust, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.canonical import weighted_cca

FEWEST = 16
"""With fewer pairs every pair is trusted."""

NULL_ROWS = 1000
"""Mismatched pairs are made of the first so many pairs of a fold: a million cosines are enough for a histogram."""


def canonical_views(
    fit: tuple[Tensor, Tensor, Tensor], image: Tensor, text: Tensor, directions: int, ridge: float
) -> tuple[Tensor, Tensor]:
    """Unit vectors of both views in the canonical space, directions scaled by their correlations.

    Args:
        fit: (m, d_image), (m, d_text) and (m,) weights of the pairs that make the space, float64.
        image, text: What to project, (n, d_image) and (n, d_text).
        directions: Leading directions kept, K.
        ridge: As in :func:`harness.training.building_blocks.canonical.weighted_cca`.

    Returns:
        (n, K) each.
    """
    x, y, weight = fit
    means = [(view * weight[:, None]).sum(0) / weight.sum() for view in (x, y)]
    of_x, of_y, correlations = weighted_cca(x - means[0], y - means[1], weight, ridge)
    scale = correlations[:directions].clamp(min=0)
    return (
        normalize((image - means[0]) @ of_x[:, :directions] * scale),
        normalize((text - means[1]) @ of_y[:, :directions] * scale),
    )


class CanonicalConsistency:
    """w = 1; repeat: ridge CCA on pairs weighted by w; s_i = cosine of pair i; w_i = posterior that pair i is right.

    Two things make it work where wrong pairs are many. Cross-fitting: the space in which a fold of the pairs is judged
    comes from the other folds, so that a wrong pair cannot bend the space towards itself. And a known null: how wrong
    pairs agree is seen on images and captions of different pairs of the same fold, so that only the share of right
    pairs and their spread are to be found (:func:`harness_plugins.noisy_correspondence.mixtures.two_groups`); without
    wrong pairs all weights come out near 1.
    """

    def __init__(self, *, directions: int, ridge: float, rounds: int, folds: int, groups: str) -> None:
        self.directions, self.ridge, self.rounds, self.folds = directions, ridge, rounds, folds
        self.groups = groups

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """Before training, from the features alone."""
        n = len(pairs)
        weight = torch.ones(n, dtype=torch.float64, device=pairs.image.device)
        if n < FEWEST:
            return PairTrust(weight.float())
        x, y = pairs.image.double(), pairs.text.double()
        fold_of = torch.arange(n, device=x.device) % max(self.folds, 1)  # rows come in a random order
        for _ in range(self.rounds):
            agreement, null = torch.zeros_like(weight), []
            for fold in range(max(self.folds, 1)):
                judged = fold_of == fold
                others = ~judged if self.folds > 1 else judged
                # No weight is exactly 0: a space needs pairs even where all look wrong.
                made_of = (x[others], y[others], weight[others].clamp(min=1e-3))
                u, v = canonical_views(made_of, x[judged], y[judged], self.directions, self.ridge)
                agreement[judged] = (u * v).sum(1)
                cosines = u[:NULL_ROWS] @ v[:NULL_ROWS].T
                null.append(cosines[~torch.eye(len(cosines), dtype=torch.bool, device=x.device)])
            if self.groups == "mismatched":
                found = two_groups(agreement, torch.cat(null))
            else:
                found = gaussian_mixture(agreement, iterations=100, tolerance=1e-6)
            weight = found.upper.double()
        return PairTrust(weight.float())
