"""DJSRH (paper, section 3; ``cal_similarity_matrix_djsrh`` and ``cal_loss_djsrh`` of the port for frozen features)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from harness import Batch
from harness.training.building_blocks.annealed import AnnealedNetworks
from harness.training.building_blocks.structure import (
    cosines,
    joint_similarity,
    shares_of_pairs,
    weighted_mean_square,
    weighted_product,
)


def joint_semantics(image: Tensor, text: Tensor, weight: Tensor, beta: float, eta: float, mu: float) -> Tensor:
    """S = mu ((1 - eta) S~ + eta S~ S~^T / n), with S~ = beta S^v + (1 - beta) S^t and S^v, S^t = 2 cosines - 1.

    Args:
        image: (n, d_image) features.
        text: (n, d_text) features.
        weight: (n,); S~ S~^T / n becomes the mean over the pairs weighted with it.
        beta: Share of the images.
        eta: Share of the second order.
        mu: Scale.

    Returns:
        (n, n), symmetric.
    """
    joint = joint_similarity(image, text, beta, 1 - beta)
    return mu * ((1 - eta) * joint + eta * weighted_product(joint, joint, weight))


class JointSemanticsHasher(AnnealedNetworks):
    """L = lambda1 MSE(C^vv, S) + MSE(C^vt, S) + lambda2 MSE(C^tt, S), C the cosines between outputs.

    An entry (i, j) counts with w_i w_j; the second order of S counts pair k with w_k.
    """

    def __init__(self, *, beta: float, eta: float, mu: float, lambda1: float, lambda2: float, **training: Any) -> None:
        super().__init__(**training)
        self.beta, self.eta, self.mu = beta, eta, mu
        self.lambda1, self.lambda2 = lambda1, lambda2

    def differences(self, h_image: Tensor, h_text: Tensor, batch: Batch, weight: Tensor) -> list[tuple[float, Tensor]]:
        """Each term's factor, and the (b, b) matrix whose mean square it is."""
        target = joint_semantics(batch.image, batch.text, weight, self.beta, self.eta, self.mu)
        return [
            (self.lambda1, cosines(h_image, h_image) - target),
            (1.0, cosines(h_image, h_text) - target),
            (self.lambda2, cosines(h_text, h_text) - target),
        ]

    def loss(self, h_image: Tensor, h_text: Tensor, batch: Batch, weight: Tensor) -> Tensor:
        """The three terms."""
        terms = self.differences(h_image, h_text, batch, weight)
        return sum(factor * weighted_mean_square(difference, weight) for factor, difference in terms)  # type: ignore[return-value]  # there is at least one

    def shares(self, h_image: Tensor, h_text: Tensor, batch: Batch) -> Tensor:
        """(b,) shares of the pairs in all three."""
        terms = self.differences(h_image, h_text, batch, h_image.new_ones(len(h_image)))
        return sum(factor * shares_of_pairs(difference) for factor, difference in terms)  # type: ignore[return-value]  # there is at least one
