"""``self-refine``: labels that the learner averages into its own match probabilities (CRCL).

Qin et al., Cross-modal Active Complementary Learning with Self-refining Correspondence (CRCL), NeurIPS 2023.
"""

from __future__ import annotations

import torch
from harness_plugins.noisy_correspondence.agreement import match_probability, share_that_looks_wrong, square_blocks

from harness import Evidence, PairTrust, TrainingPairs
from harness.plugin.interfaces import Run


class SelfRefiningCorrespondence:
    """Labels y of all pairs (the program's ``train_self``): 1 at the start and frozen for the first epochs; then the
    learner's match probability p; from then on, after each epoch, y <- alpha y + (1 - alpha) p, and 0 where that falls
    below the threshold. Each later phase (the recipe restarts the network there and keeps the labels) freezes them
    again first.

    The published program averages within a batch while it trains; here p comes from the network as it is after the
    epoch, in blocks of as many pairs as its batches have.
    """

    def __init__(
        self, *, frozen: int, momentum: float, temperature: float, threshold: float, block: int, guard: float
    ) -> None:
        self.frozen, self.momentum, self.temperature = frozen, momentum, temperature
        self.threshold, self.block, self.guard = threshold, block, guard

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """Every pair is right until the learner says otherwise."""
        self.labels = pairs.image.new_ones(len(pairs))
        self.first: str | None = None
        self.phase: str | None = None
        return PairTrust(self.labels, self.labels)

    def observe(self, evidence: Evidence, run: Run) -> PairTrust | None:
        """Refine the labels."""
        if evidence.phase != self.phase:
            self.phase, self.epochs_in_phase = evidence.phase, 0
            self.first = self.first or evidence.phase
        self.epochs_in_phase += 1
        n = len(self.labels)
        if self.epochs_in_phase < self.frozen or n < 2:
            return None
        if self.epochs_in_phase == self.frozen and self.phase != self.first:
            return None
        if self.guard and share_that_looks_wrong(evidence, n, self.block) < self.guard:
            return PairTrust(torch.ones_like(self.labels))
        now = torch.empty_like(self.labels)
        for rows, similarity in square_blocks(evidence, n, self.block):
            now[rows] = match_probability(similarity, self.temperature)
        if self.epochs_in_phase == self.frozen:
            self.labels = now
        else:
            mixed = self.momentum * self.labels + (1 - self.momentum) * now
            self.labels = torch.where(mixed < self.threshold, torch.zeros_like(mixed), mixed)
        return PairTrust(self.labels, self.labels)
