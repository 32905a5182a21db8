"""Losses that bear wrong pairs: complementary, active complementary, generalised cross-entropy, soft margin.

Everywhere S is the (b, b) matrix of cosines of a batch, p1 = softmax(S / tau) by rows (image to caption), p2 by
columns, and a loss is the sum over both directions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from harness import PairTrust

EPSILON = 1e-10
"""As in the published programs."""


def cosines(z_image: Tensor, z_text: Tensor) -> Tensor:
    """(b, n_bits) outputs to (b, b) cosines, images in rows."""
    return normalize(z_image) @ normalize(z_text).T


def match_probabilities(similarity: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """(b, b) probabilities in both directions, the anchor's own pair on the diagonal."""
    return (similarity / temperature).softmax(1), (similarity.T / temperature).softmax(1)


def without_diagonal(matrix: Tensor) -> Tensor:
    """The matrix with zeros on its diagonal."""
    return matrix.masked_fill(torch.eye(len(matrix), dtype=torch.bool, device=matrix.device), 0)


class Complementary:
    """RCL (Hu et al., Cross-Modal Retrieval with Partially Mismatched Pairs, TPAMI 2023; its program's ``CCL`` and its
    forms f): sum over j != i of f(p_ij), times the weight of pair i. It says what is not the match, never what is.
    """

    def __init__(self, *, temperature: float, form: str, q: float) -> None:
        self.temperature, self.form, self.q = temperature, form, q

    def __call__(self, z_image: Tensor, z_text: Tensor, trust: PairTrust) -> Tensor:
        """(b, n_bits) outputs to (b,) losses."""
        p1, p2 = match_probabilities(cosines(z_image, z_text), self.temperature)
        return trust.weight * (without_diagonal(self._form(p1)) + without_diagonal(self._form(p2))).sum(1)

    def _form(self, p: Tensor) -> Tensor:
        if self.form == "log":
            return -(1 - p + EPSILON).log()
        if self.form == "tan":
            return p.tan()
        if self.form == "abs":
            return p
        if self.form == "exp":
            return (p - 1).exp()
        return (1 - (1 - p + EPSILON) ** self.q) / self.q  # "gce"


class ActiveComplementary:
    """CRCL (Qin et al., NeurIPS 2023; its program's ``train_self``), y the soft target of the trust:

    y (-log p1_ii - log p2_ii) + factor x sum over directions of sum_{j != i} tan p_ij / (sum_j tan p_ij)^(1 - y).
    """

    def __init__(self, *, temperature: float, factor: float) -> None:
        self.temperature, self.factor = temperature, factor

    def __call__(self, z_image: Tensor, z_text: Tensor, trust: PairTrust) -> Tensor:
        """(b, n_bits) outputs to (b,) losses."""
        y = trust.soft_target()
        loss = torch.zeros_like(y)
        for p in match_probabilities(cosines(z_image, z_text), self.temperature):
            tangent = p.tan()
            active = -(p.diagonal() + EPSILON).log()
            complementary = without_diagonal(tangent).sum(1) / (tangent.sum(1) + EPSILON) ** (1 - y)
            loss = loss + y * active + self.factor * complementary
        return loss


class GeneralisedCrossEntropy:
    """Zhang and Sabuncu, NeurIPS 2018, the L_q loss, with the captions of the batch as classes: (1 - p_ii^q) / q, times
    the weight. q -> 0 is the cross-entropy (InfoNCE), q = 1 the mean absolute error.
    """

    def __init__(self, *, temperature: float, q: float) -> None:
        self.temperature, self.q = temperature, q

    def __call__(self, z_image: Tensor, z_text: Tensor, trust: PairTrust) -> Tensor:
        """(b, n_bits) outputs to (b,) losses."""
        p1, p2 = match_probabilities(cosines(z_image, z_text), self.temperature)
        return trust.weight * sum((1 - (p.diagonal() + EPSILON) ** self.q) / self.q for p in (p1, p2))


class SoftMargin:
    """NCR (Huang et al., NeurIPS 2021; its program's ``ContrastiveLoss``): a triplet loss against the hardest negative
    whose margin says how far the pair belongs together,

    [mhat + max_{j != i} S_ij - S_ii]_+ + [mhat + max_{j != i} S_ji - S_ii]_+ with mhat = m (10^y - 1) / 9,

    y the soft target of the trust. A pair with y = 0 is not trained on: NCR leaves pairs called wrong out of the first
    half of the training.
    """

    def __init__(self, *, margin: float) -> None:
        self.margin = margin

    def __call__(self, z_image: Tensor, z_text: Tensor, trust: PairTrust) -> Tensor:
        """(b, n_bits) outputs to (b,) losses."""
        similarity, y = cosines(z_image, z_text), trust.soft_target()
        own = similarity.diagonal()
        if len(own) == 1:  # no negative
            return own * 0
        itself = torch.eye(len(own), dtype=torch.bool, device=own.device)
        others = similarity.masked_fill(itself, -torch.inf)
        margin = self.margin * (10**y - 1) / 9
        caption = (margin + others.max(1).values - own).clamp(min=0)
        image = (margin + others.max(0).values - own).clamp(min=0)
        return torch.where(y > 0, caption + image, torch.zeros_like(own))
