"""``evidential-loss``: evidence for the right caption, none for the others, and ever harder negatives (DECL).

Qin et al., Deep Evidential Learning with Noisy Correspondence for Cross-modal Retrieval, ACM MM 2022; evidential loss
after Sensoy, Kaplan, Kandemir, Evidential Deep Learning to Quantify Classification Uncertainty, NeurIPS 2018.
"""

from __future__ import annotations

import torch
from harness_plugins.noisy_correspondence.evidential import evidence_of
from harness_plugins.noisy_correspondence.objectives import cosines
from torch import Tensor

from harness import PairTrust


def divergence_from_uniform(alpha: Tensor) -> Tensor:
    """(b,) KL(Dir(alpha) || Dir(1, ..., 1)) (Sensoy et al.; DECL's program, ``KL``)."""
    total, k = alpha.sum(1), alpha.shape[1]
    log_beta = torch.lgamma(total) - torch.lgamma(alpha).sum(1) - torch.lgamma(alpha.new_tensor(float(k)))
    return log_beta + ((alpha - 1) * (alpha.digamma() - total.digamma()[:, None])).sum(1)


def evidential_term(evidence: Tensor, label: Tensor, form: str, divergence: float) -> Tensor:
    """One direction of the evidential loss, (b,).

    alpha = e + 1, S = sum alpha, p = alpha / S;
    ``squared`` (DECL's program, ``mse_loss``): sum_j (y_j - p_j)^2 + alpha_j (S - alpha_j) / (S^2 (S + 1));
    ``log`` (Sensoy et al., type II maximum likelihood): sum_j y_j (log S - log alpha_j);
    plus divergence x KL(Dir((1 - y) e + 1) || uniform), which removes evidence for wrong captions.

    Args:
        evidence: (b, b), anchors in rows.
        label: (b, b), zero off the diagonal.
        form: "squared" or "log".
        divergence: Weight of the KL term.
    """
    alpha = evidence + 1
    total = alpha.sum(1, keepdim=True)
    if form == "squared":
        error = (label - alpha / total) ** 2
        variance = alpha * (total - alpha) / (total**2 * (total + 1))
        fit = (error + variance).sum(1)
    else:
        fit = (label * (total.log() - alpha.log())).sum(1)
    return fit + divergence * divergence_from_uniform(evidence * (1 - label) + 1)


def hard_negatives(scores: Tensor, margin: float, count: int) -> Tensor:
    """(b,) DECL's robust dynamic hinge (``RDH_loss``): mean of the ``count`` largest hinges of each direction.

    Args:
        scores: (b, b) tanh of the similarity.
        margin: m.
        count: H, below b.
    """
    own = scores.diagonal()
    itself = torch.eye(len(own), dtype=torch.bool, device=own.device)
    caption = (margin + scores - own[:, None]).clamp(min=0).masked_fill(itself, 0)
    image = (margin + scores - own[None, :]).clamp(min=0).masked_fill(itself, 0)
    return (caption.topk(count, dim=1).values.sum(1) + image.T.topk(count, dim=1).values.sum(1)) / count


class EvidentialLoss:
    """y_i (evidential terms of both directions) + hard_weight x b x RDH_i, y_i the trust in pair i: a pair called wrong
    has no right caption (its label is all zero) and no hard negatives.

    The number of hard negatives shrinks with each training step, H = max(b - shrink x step, fewest): at first all
    negatives count alike, later the hardest ones alone. In the published program the terms of a batch are averaged and
    RDH is summed; hence the factor b, which ``hard_sum=false`` leaves out. The KL term has a constant weight there;
    ``annealing`` lets it rise over so many steps, as in Sensoy et al.
    """

    def __init__(
        self, *, temperature: float, form: str, divergence: float, annealing: int, hard_weight: float, hard_sum: bool,
        margin: float, shrink: float, fewest: int,
    ) -> None:  # fmt: skip
        self.temperature, self.form = temperature, form
        self.divergence, self.annealing = divergence, annealing
        self.hard_weight, self.hard_sum = hard_weight, hard_sum
        self.margin, self.shrink, self.fewest = margin, shrink, fewest
        self.steps = 0

    def end_step(self, step: int) -> None:
        """The training loop has done ``step`` steps since the network was made."""
        self.steps = step

    def hard_count(self, b: int) -> int:
        """H of the step that comes next, for a batch of b."""
        return min(max(int(b - self.shrink * (self.steps + 1)), self.fewest), b - 1)

    def __call__(self, z_image: Tensor, z_text: Tensor, trust: PairTrust) -> Tensor:
        """(b, n_bits) outputs to (b,) losses."""
        similarity, y = cosines(z_image, z_text), trust.soft_target()
        label = torch.diag(y)
        rise = min(1.0, (self.steps + 1) / self.annealing) if self.annealing else 1.0
        loss = torch.zeros_like(y)
        for evidence in (evidence_of(similarity, self.temperature), evidence_of(similarity.T, self.temperature)):
            loss = loss + evidential_term(evidence, label, self.form, self.divergence * rise)
        b = len(y)
        if b > 1 and self.hard_weight:
            hard = hard_negatives(torch.tanh(similarity), self.margin, self.hard_count(b))
            loss = loss + self.hard_weight * (b if self.hard_sum else 1) * y * hard
        return loss
