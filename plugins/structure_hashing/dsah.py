"""DSAH (``Session.train`` of its program, whose names of terms stand beside ours)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from harness import Batch, Phase, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.annealed import AnnealedNetworks
from harness.training.building_blocks.structure import (
    cosines,
    joint_similarity,
    shares_of_pairs,
    weighted_mean,
    weighted_mean_square,
)


class SemanticAlignmentHasher(AnnealedNetworks):
    """Alignment of cosines with the joint similarity, and reconstruction of each modality from the other's outputs.

    With S = k (alpha S^v + (1 - alpha) S^t) and cosines C of outputs:
    L = MSE(C^tt, S) + MSE(C^vt, S) + MSE(C^vv, S) + mean_i (C^vt_ii - k)^2
    + MSE(D^v(h^t), F^v) + MSE(D^t(h^v), F^t) + symmetry MSE(C^vt, C^vt^T) + eta (MSE(C^vv, k S^v) + MSE(C^tt, k S^t)),
    where D^v and D^t are linear decoders and F the features with rows of length 1.

    An entry (i, j) of a matrix counts with w_i w_j, a term of one pair with w_i.
    """

    def __init__(
        self, *, alpha: float, k: float, eta: float, symmetry: float, reconstruct_from: str, **training: Any
    ) -> None:
        super().__init__(nesterov=training["momentum"] > 0, **training)
        self.alpha, self.k, self.eta, self.symmetry = alpha, k, eta, symmetry
        self.reconstruct_from = reconstruct_from

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: Run) -> None:
        """Networks, decoders and optimisers."""
        self.to_text = nn.Linear(run.n_bits, pairs.text.shape[1]).to(run.device)
        self.to_image = nn.Linear(run.n_bits, pairs.image.shape[1]).to(run.device)
        super().begin(pairs, phases, run)

    def sides(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """A decoder learns with the network whose outputs it reads."""
        return [self.image_network, self.to_text], [self.text_network, self.to_image]

    def matrices(self, h_image: Tensor, h_text: Tensor, batch: Batch) -> list[tuple[float, Tensor]]:
        """Factor and (b, b) error matrix of each term that compares matrices."""
        within_image, across, within_text = (
            cosines(h_image, h_image), cosines(h_image, h_text), cosines(h_text, h_text),
        )  # fmt: skip
        of_image = self.k * joint_similarity(batch.image, batch.text, 1, 0)
        of_text = self.k * joint_similarity(batch.image, batch.text, 0, 1)
        target = self.alpha * of_image + (1 - self.alpha) * of_text
        return [
            (1.0, within_text - target),  # loss1
            (1.0, across - target),  # loss2
            (1.0, within_image - target),  # loss3
            (self.symmetry, across - across.T),  # loss7
            (self.eta, within_image - of_image),  # loss31
            (self.eta, within_text - of_text),  # loss32
        ]

    def of_each_pair(self, h_image: Tensor, h_text: Tensor, batch: Batch) -> Tensor:
        """(b,) terms that concern one pair alone: its cosine and both reconstructions."""
        cosine = (torch.cosine_similarity(h_image, h_text) - self.k).square()  # loss4
        if self.reconstruct_from == "signs":
            h_image, h_text = h_image.sign(), h_text.sign()  # no gradient passes here: only the decoders learn
        image = (self.to_image(h_text) - normalize(batch.image)).square().mean(dim=1)  # loss5
        text = (self.to_text(h_image) - normalize(batch.text)).square().mean(dim=1)  # loss6
        return cosine + image + text

    def loss(self, h_image: Tensor, h_text: Tensor, batch: Batch, weight: Tensor) -> Tensor:
        """All terms."""
        terms = self.matrices(h_image, h_text, batch)
        structure = sum(factor * weighted_mean_square(difference, weight) for factor, difference in terms)
        return structure + weighted_mean(self.of_each_pair(h_image, h_text, batch), weight)

    def shares(self, h_image: Tensor, h_text: Tensor, batch: Batch) -> Tensor:
        """(b,) shares of the pairs in all of them."""
        terms = self.matrices(h_image, h_text, batch)
        structure = sum(factor * shares_of_pairs(difference) for factor, difference in terms)
        return structure + self.of_each_pair(h_image, h_text, batch)
