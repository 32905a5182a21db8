"""``clip-similarity``: are image and caption close in a space that both towers share? Needs CLIP-like features."""

from __future__ import annotations

import torch
from harness_plugins.noisy_correspondence.mixtures import gaussian_mixture, two_groups
from torch.nn.functional import normalize

from harness import HarnessError, PairTrust, TrainingPairs
from harness.plugin.interfaces import Run

NULL_SHIFTS = 16
"""Mismatched pairs: image i with the caption of row i + 1, ..., i + 16."""


class SharedSpaceSimilarity:
    """Weight = posterior that the cosine of the pair is one of a right pair (after CLIPScore, Hessel et al. 2021)."""

    def __init__(self, *, groups: str) -> None:
        self.groups = groups

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """Both views are centred first: the two towers lie in two cones (Liang et al., Mind the gap, NeurIPS 2022)."""
        if pairs.image.shape[1] != pairs.text.shape[1]:
            raise HarnessError(
                f"detector 'clip-similarity' compares image with caption features, and they have {pairs.image.shape[1]}"
                f" and {pairs.text.shape[1]} numbers: use the two towers of one model."
            )
        if len(pairs) < 8:
            return PairTrust(pairs.image.new_ones(len(pairs)))
        image, text = (normalize(view.double() - view.double().mean(0)) for view in (pairs.image, pairs.text))
        own = (image * text).sum(1)
        shifts = range(1, min(len(pairs), NULL_SHIFTS + 1))
        other = torch.cat([(image * text.roll(-by, 0)).sum(1) for by in shifts])
        found = two_groups(own, other) if self.groups == "mismatched" else gaussian_mixture(own, 100, 1e-6)
        return PairTrust(found.upper)
