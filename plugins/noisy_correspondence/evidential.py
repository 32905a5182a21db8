"""``evidential``: what a learner's similarities say for and against a pair, as evidence (DECL).

Qin et al., Deep Evidential Learning with Noisy Correspondence for Cross-modal Retrieval, ACM MM 2022.
"""

from __future__ import annotations

import torch
from harness_plugins.noisy_correspondence.agreement import share_that_looks_wrong, square_blocks
from torch import Tensor

from harness import Evidence, PairTrust, TrainingPairs
from harness.plugin.interfaces import Run


def evidence_of(similarity: Tensor, temperature: float) -> Tensor:
    """DECL's evidence (its program, ``forward_sim``): e = exp(tanh(s) / tau) for each possible match."""
    return torch.exp(torch.tanh(similarity) / temperature)


def uncertainty(evidence: Tensor) -> Tensor:
    """DECL (``get_correspondence``): u = K / sum of (e + 1) over the K captions of a batch, (b,) in (0, 1)."""
    return evidence.shape[1] / (evidence + 1).sum(1)


def belief(evidence: Tensor) -> Tensor:
    """(b, b) DECL's bi-directional measure (its program, ``norm_e``): rows of E + E^T, normalised."""
    both = evidence + evidence.T
    return both / both.sum(1, keepdim=True)


class EvidentialDivision:
    """Each epoch after the warm-up, in batches of ``block`` pairs. Weight of a pair:

    ``division``: 1 if the belief in its own caption is the largest of its row, otherwise 0 (the paper's division);
    ``ratio``: belief in its own caption over the largest (1 exactly where the division says 1);
    ``certainty``: belief in its own caption times 1 - u, u the mean uncertainty of both directions, over its maximum.
    """

    def __init__(self, *, warm_up: int, temperature: float, block: int, weights: str, guard: float) -> None:
        self.warm_up, self.temperature, self.block, self.weights = warm_up, temperature, block, weights
        self.guard = guard

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """Every pair is trusted while the network warms up."""
        self.n = len(pairs)
        return PairTrust(pairs.image.new_ones(self.n))

    def observe(self, evidence: Evidence, run: Run) -> PairTrust | None:
        """Divide the pairs anew."""
        if evidence.epoch < self.warm_up or self.n < 2:
            return None
        weight = torch.ones(self.n, device=run.device)
        if self.guard and share_that_looks_wrong(evidence, self.n, self.block) < self.guard:
            return PairTrust(weight)
        for rows, similarity in square_blocks(evidence, self.n, self.block):
            e = evidence_of(similarity, self.temperature)
            believed = belief(e)
            ratio = believed.diagonal() / believed.max(1).values
            if self.weights == "division":
                weight[rows] = (believed.argmax(1) == torch.arange(len(e), device=e.device)).float()
            elif self.weights == "ratio":
                weight[rows] = ratio.clamp(0, 1)
            else:
                certain = 1 - (uncertainty(e) + uncertainty(e.T)) / 2
                weight[rows] = (believed.diagonal() * certain).clamp(0, 1)
        if self.weights == "certainty":
            weight = weight / weight.max().clamp(min=1e-12)
        return PairTrust(weight)
