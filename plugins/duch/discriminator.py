"""DUCH's hash discriminator and what both sides want of it.

In the authors' program: ``train_discriminator_step``, ``calc_adversarial_loss``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


def hash_discriminator(n_bits: int) -> nn.Sequential:
    """n_bits -> 2 n_bits, batch normalisation, ReLU -> 1: (b, n_bits) to (b, 1) logits of being a caption's output."""
    return nn.Sequential(nn.Linear(n_bits, 2 * n_bits), nn.BatchNorm1d(2 * n_bits), nn.ReLU(), nn.Linear(2 * n_bits, 1))


def discriminator_loss(network: nn.Module, real: Tensor, fake: Tensor, mix: Tensor, penalty: float) -> Tensor:
    """-mean log s(D(real)) - mean log(1 - s(D(fake))) + penalty x mean (||grad D(u)||_2 - 1)^2, a 0-d tensor.

    u = mix x real + (1 - mix) x fake. Each of the three passes the network as a batch of its own.

    Args:
        network: D.
        real: (b, n_bits) outputs of captions, detached.
        fake: (b, n_bits) outputs of images, detached.
        mix: (b, n_bits) in [0, 1], one for each element.
        penalty: Factor of the gradient penalty.
    """
    judged = softplus(-network(real)).mean() + softplus(network(fake)).mean()
    between = torch.lerp(fake, real, mix).requires_grad_()
    (slope,) = torch.autograd.grad(network(between).sum(), between, create_graph=True)
    return judged + penalty * (slope.norm(dim=1) - 1).square().mean()


def adversarial_loss(network: nn.Module, codes: Tensor) -> Tensor:
    """-sum_i log s(D(h_i)), a 0-d tensor: how little (b, n_bits) outputs look like captions'."""
    return softplus(-network(codes)).sum()
