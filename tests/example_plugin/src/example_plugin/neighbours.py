"""A noise detector that compares neighbourhoods."""

from __future__ import annotations

import torch

from harness import PairTrust


class Neighbours:
    """Trust by how near, among the captions, those are that are nearest among the images."""

    def __init__(self, *, neighbours):
        self.neighbours = neighbours

    def fit(self, pairs, run):
        """(n,) weights."""
        n = len(pairs)
        normalise = torch.nn.functional.normalize
        image, text = normalise(pairs.image - pairs.image.mean(0)), normalise(pairs.text - pairs.text.mean(0))
        own = torch.eye(n, dtype=torch.bool, device=pairs.image.device)
        nearest = (image @ image.T).masked_fill(own, -2).topk(min(self.neighbours, n - 1), dim=1).indices
        agreement = (text @ text.T).gather(1, nearest).mean(1)
        return PairTrust(torch.sigmoid(2 * (agreement - agreement.median()) / agreement.std().clamp(min=1e-6) + 1))
