"""A closed-form hasher."""

from __future__ import annotations

import torch


class Projections:
    """Signs of random mixtures of singular directions of the weighted cross-covariance."""

    NAMES = ("image_mean", "text_mean", "image_map", "text_map")

    def __init__(self, *, directions):
        self.directions = directions

    def fit(self, pairs, trust, run):
        """Weighted means and covariance, then singular directions."""
        weight = trust.weight[:, None] / trust.weight.sum().clamp(min=1e-12)
        self.image_mean, self.text_mean = (pairs.image * weight).sum(0), (pairs.text * weight).sum(0)
        covariance = ((pairs.image - self.image_mean) * weight).T @ (pairs.text - self.text_mean)
        left, values, right = torch.linalg.svd(covariance, full_matrices=False)
        k = min(self.directions, len(values))
        mixture = values[:k, None] * torch.randn(k, run.n_bits, generator=run.generator("mixture"), device=run.device)
        self.image_map, self.text_map = left[:, :k] @ mixture, right[:k].T @ mixture

    def encode_image(self, image):
        """(m, n_bits)."""
        return (image - self.image_mean) @ self.image_map

    def encode_text(self, text):
        """(m, n_bits)."""
        return (text - self.text_mean) @ self.text_map

    def state(self):
        """Means and maps."""
        return {name: getattr(self, name) for name in self.NAMES}

    def restore(self, state, run):
        """The inverse of state."""
        for name in self.NAMES:
            setattr(self, name, state[name].to(run.device))
