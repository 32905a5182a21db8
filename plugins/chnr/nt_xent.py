"""The weighted NT-Xent loss of CHNR and DUCH (algorithm of the published ``contrastive_loss.py``, form "orig")."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from harness import PairTrust


def nt_xent(z_image: Tensor, z_text: Tensor, temperature: float, epsilon: float) -> Tensor:
    """Loss of each pair: the sum over its two anchors, image and caption.

    For the 2n vectors z = [z_image; z_text], normalised to length 1, and anchor a with positive p(a):
    -log( exp(z_a . z_p(a) / T) / (sum over j != a of exp(z_a . z_j / T) + epsilon) ).
    Items of the own modality are negatives too. The self-similarity is left out exactly, at any temperature (the
    program subtracts e, which is right for T = 1 alone, the only value it uses).

    Args:
        z_image: (n, n_bits) image outputs.
        z_text: (n, n_bits) caption outputs.
        temperature: T.
        epsilon: Added to the sum.

    Returns:
        (n,) losses.
    """
    n = len(z_image)
    z = normalize(torch.cat([z_image, z_text]))
    similarity = z @ z.T / temperature
    positive = torch.cat([similarity.diagonal(n), similarity.diagonal(-n)])
    others = similarity.exp().masked_fill(torch.eye(2 * n, dtype=torch.bool, device=z.device), 0).sum(dim=1)
    anchors = (others.clamp(min=epsilon) + epsilon).log() - positive
    return anchors[:n] + anchors[n:]


class NTXent:
    """The objective: each pair's loss times its weight. A wrong caption still counts as a negative for the others."""

    def __init__(self, *, temperature: float, epsilon: float) -> None:
        self.temperature, self.epsilon = temperature, epsilon

    def __call__(self, z_image: Tensor, z_text: Tensor, trust: PairTrust) -> Tensor:
        """(n, n_bits) outputs of both modalities to (n,) weighted losses."""
        return trust.weight * nt_xent(z_image, z_text, self.temperature, self.epsilon)
