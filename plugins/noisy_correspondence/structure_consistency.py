"""``structure``: do the neighbours of an image and the neighbours of its caption agree? (GSC, BiCro)

Zhao et al., Mitigating Noisy Correspondence by Geometrical Structure Consistency Learning (GSC), CVPR 2024; Yang et
al., BiCro: Noisy Correspondence Rectification for Multi-modality Data via Bi-directional Cross-modal Similarity
Consistency, CVPR 2023. No trusted pair, no labels.
"""

from __future__ import annotations

import torch
from harness_plugins.noisy_correspondence.agreement import match_probability, square_blocks
from harness_plugins.noisy_correspondence.mixtures import Groups, gaussian_mixture, two_groups
from torch import Tensor
from torch.nn.functional import normalize

from harness import Evidence, PairTrust, TrainingPairs
from harness.plugin.interfaces import Run

NULL_SHIFTS = 16
"""Mismatched pairs: image i with the caption of row i + 1, ..., i + 16."""


def relations(features: Tensor, anchors: Tensor, temperature: float) -> Tensor:
    """(n, m) how each item relates to some others: row-wise softmax of cosines of centred features, itself left out.

    Args:
        features: (n, d).
        anchors: (m,) rows to relate to.
        temperature: Of the softmax; 0 keeps the cosines as they are (GSC).
    """
    unit = normalize(features - features.mean(0))
    cosines = unit @ unit[anchors].T
    itself = torch.arange(len(unit), device=unit.device)[:, None] == anchors
    if not temperature:
        return cosines.masked_fill(itself, 0)
    return (cosines / temperature).masked_fill(itself, -torch.inf).softmax(1)


def row_agreement(image: Tensor, text: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine between each pair's row of relations among images and among captions (GSC, ``topos``).

    Args:
        image, text: (n, m) relations.
        weight: (m,) trust in the anchors: their relations count that much (in GSC's program: times the targets).

    Returns:
        (n,) agreement of the pairs, and of mismatched ones for comparison.
    """
    a, b = normalize(image * weight), normalize(text * weight)
    shifts = range(1, min(len(a), NULL_SHIFTS + 1))
    return (a * b).sum(1), torch.cat([(a * b.roll(-by, 0)).sum(1) for by in shifts])


def anchor_agreement(image: Tensor, text: Tensor, sure: Tensor) -> tuple[Tensor, Tensor]:
    """BiCro's soft label: similarity to the nearest sure pair, compared between the modalities.

    y = (min(s_v, s_t) / max(s_v, s_t) with the anchor nearest by image + the same with the one nearest by caption) / 2.

    Args:
        image, text: (n, m) relations, not negative.
        sure: (m,) bool, the anchors.

    Returns:
        As :func:`row_agreement`.
    """
    image, text = image[:, sure].clamp(min=1e-6), text[:, sure].clamp(min=1e-6)

    def label(by: int) -> Tensor:
        other = text.roll(-by, 0)
        parts = []
        for nearest in (image.argmax(1, keepdim=True), other.argmax(1, keepdim=True)):
            s_v, s_t = image.gather(1, nearest)[:, 0], other.gather(1, nearest)[:, 0]
            parts.append(torch.minimum(s_v / s_t, s_t / s_v))
        return (parts[0] + parts[1]) / 2

    return label(0), torch.cat([label(by) for by in range(1, min(len(image), NULL_SHIFTS + 1))])


class StructureConsistency:
    """Weights before training; with ``cross_modal`` GSC's second part as well, the learner's own match probability."""

    def __init__(
        self, *, relation: str, temperature: float, rounds: int, groups: str, anchors: int, sure: float,
        cross_modal: bool, momentum: float, match_temperature: float, block: int,
    ) -> None:  # fmt: skip
        self.relation, self.temperature, self.rounds, self.groups = relation, temperature, rounds, groups
        self.anchors, self.sure = anchors, sure
        self.cross_modal, self.momentum, self.match_temperature = cross_modal, momentum, match_temperature
        self.block = block

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """From the frozen features: a second round leaves out relations to pairs that looked wrong in the first."""
        n = len(pairs)
        self.predicted: Tensor | None = None
        self.consistent = pairs.image.new_ones(n)
        if n < 8:
            return PairTrust(self.consistent)
        chosen = torch.arange(n, device=run.device)
        if n > self.anchors:
            chosen = torch.randperm(n, generator=run.generator("structure-anchors"), device=run.device)[: self.anchors]
        of_image, of_text = (relations(view, chosen, self.temperature) for view in (pairs.image, pairs.text))
        for _ in range(self.rounds):
            own, other = row_agreement(of_image, of_text, self.consistent[chosen])
            self.consistent = self._posterior(own, other).upper
        if self.relation == "anchors":
            count = max(1, round(self.sure * len(chosen)))
            sure = torch.zeros(len(chosen), dtype=torch.bool, device=run.device)
            sure[own[chosen].argsort(descending=True)[:count]] = True
            own, other = anchor_agreement(of_image, of_text, sure)
            self.consistent = self._posterior(own, other).upper
        return PairTrust(self.consistent)

    def _posterior(self, own: Tensor, other: Tensor) -> Groups:
        if self.groups == "mismatched":
            return two_groups(own, other)
        scaled = (own - own.min()) / (own.max() - own.min()).clamp(min=1e-12)  # GSC's program, split_batch
        return gaussian_mixture(scaled)

    def observe(self, evidence: Evidence, run: Run) -> PairTrust | None:
        """GSC (its program, ``split_batch``): the smaller of both, the prediction an exponential mean over epochs."""
        n = len(self.consistent)
        if not self.cross_modal or n < 8:
            return None
        now = torch.empty_like(self.consistent)
        for rows, block in square_blocks(evidence, n, self.block):
            now[rows] = match_probability(block, self.match_temperature)
        if self.predicted is None:  # GSC's program starts from targets of 1
            self.predicted = torch.ones_like(now)
        self.predicted = self.momentum * now + (1 - self.momentum) * self.predicted
        return PairTrust(torch.minimum(self.predicted, self.consistent))
