"""``loss-gmm`` and ``loss-bmm``: pairs with a large loss are wrong, since a network learns right pairs first.

Huang et al., Learning with Noisy Correspondence for Cross-modal Matching (NCR), NeurIPS 2021: the Gaussian mixture, the
recast labels, two networks that teach each other. Beta mixture: Arazo et al., Unsupervised Label Noise Modeling and
Loss Correction, ICML 2019; for correspondence: BiCro, CVPR 2023.
"""

from __future__ import annotations

from typing import Any

import torch
from harness_plugins.noisy_correspondence.agreement import share_that_looks_wrong, square_blocks
from harness_plugins.noisy_correspondence.mixtures import beta_mixture, gaussian_mixture
from torch import Tensor

from harness import Evidence, PairTrust, TrainingPairs
from harness.plugin.interfaces import Run


def predicted_match(similarity: Tensor, margin: float) -> Tensor:
    """NCR's prediction P of a batch (its program, mode "predict"): how far the triplet loss leaves the margin.

    l_i = mean_j [m + S_ij - S_ii]_+ + mean_j [m + S_ji - S_ii]_+ over j != i, sums divided by b;
    P_i = clamp(m - l_i / 2, 0, m) / mean of the largest tenth, at most 1.

    Args:
        similarity: (b, b).
        margin: m.

    Returns:
        (b,) in [0, 1].
    """
    own = similarity.diagonal()
    itself = torch.eye(len(own), dtype=torch.bool, device=own.device)
    caption = (margin + similarity - own[:, None]).clamp(min=0).masked_fill(itself, 0).mean(1)
    image = (margin + similarity - own[None, :]).clamp(min=0).masked_fill(itself, 0).mean(0)
    left = (margin - (caption + image) / 2).clamp(0, margin)
    largest = left.topk(len(left) // 10 + 1).values.mean().clamp(min=1e-12)
    return (left / largest).clamp(0, 1)


class LossMixture:
    """After the warm-up, each epoch: losses scaled to [0, 1], a mixture of two components, weight w = posterior of the
    one with the lower mean (NCR's program, ``eval_train``). Target (``train``): y = w + (1 - w) P for pairs called
    right, w > 1/2, and P for the others (they come in ``noisy_after`` epochs after the warm-up; until then their
    target is 0).

    P comes from the network that watches, so that a pair called wrong gets the teacher's prediction; the paper takes
    the mean of both networks'. With ``co_teaching`` the core trains two hashers, each with the trust that comes from
    the other's losses.
    """

    def __init__(
        self, *, warm_up: int, noisy_after: int, margin: float, block: int, guard: float, co_teaching: bool, family: str
    ) -> None:
        self.warm_up, self.noisy_after, self.margin, self.block = warm_up, noisy_after, margin, block
        self.guard, self.co_teaching, self.family = guard, co_teaching, family

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """Every pair is trusted while the network warms up."""
        self.n = len(pairs)
        return PairTrust(pairs.image.new_ones(self.n))

    def observe(self, evidence: Evidence, run: Run) -> PairTrust | None:
        """Split the pairs by the losses of this epoch."""
        loss = evidence.pair_loss
        assert loss is not None  # PAIR_LOSSES is declared
        if evidence.epoch < self.warm_up or not torch.isfinite(loss).all():
            return None
        if self.guard and share_that_looks_wrong(evidence, self.n, self.block) < self.guard:
            return PairTrust(torch.ones_like(loss))
        scaled = (loss - loss.min()) / (loss.max() - loss.min()).clamp(min=1e-12)
        # The mixtures give the posterior of the upper component: of the negative losses, that of the small ones.
        mixture = gaussian_mixture if self.family == "gaussian" else beta_mixture
        weight = mixture(1 - scaled).upper
        predicted = torch.empty_like(weight)
        for rows, similarity in square_blocks(evidence, self.n, self.block):
            predicted[rows] = predicted_match(similarity, self.margin)
        late = evidence.epoch >= self.warm_up + self.noisy_after
        called_wrong = predicted if late else torch.zeros_like(predicted)
        target = torch.where(weight > 0.5, weight + (1 - weight) * predicted, called_wrong)
        return PairTrust(weight, target.clamp(0, 1))


class GaussianLosses(LossMixture):
    """Two Gaussians."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(family="gaussian", **parameters)


class BetaLosses(LossMixture):
    """Two Beta distributions: the losses, scaled to [0, 1], are skewed."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(family="beta", **parameters)
