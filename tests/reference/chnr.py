"""CHNR's published program, restated slowly and plainly from its description: what the plugins are compared with.

Formulas as in the program's loss and controller (1.3 to 1.5 of the field notes): sums over Python loops where that is
clearer, gradients by automatic differentiation, no shortcut shared with the plugins.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def nt_xent_sum(out_1: Tensor, out_2: Tensor, weights: Tensor, temperature: float = 1.0, eps: float = 1e-6) -> Tensor:
    """Sum over the 2n anchors of w * -log(exp(z_a z_p / T) / (max(sum_j exp(z_a z_j / T) - e, eps) + eps)),
    anchor by anchor.
    """
    z = torch.cat([out_1 / out_1.norm(dim=1, keepdim=True), out_2 / out_2.norm(dim=1, keepdim=True)])
    n = len(out_1)
    total = z.new_zeros(())
    for anchor in range(2 * n):
        positive = (anchor + n) % (2 * n)
        everything = sum(torch.exp((z[anchor] * z[other]).sum() / temperature) for other in range(2 * n))
        negatives = torch.clamp(everything - math.exp(1 / temperature), min=eps)
        numerator = torch.exp((z[anchor] * z[positive]).sum() / temperature)
        total = total - weights[anchor % n] * torch.log(numerator / (negatives + eps))
    return total


def quantisation_sum(codes: Tensor, outputs: list[Tensor]) -> Tensor:
    """Sum over the four outputs and all pairs of ||B_i - h_i||^2."""
    return sum(((codes[row] - output[row]) ** 2).sum() for output in outputs for row in range(len(codes)))


def make_discriminator(d: int, dropout: float) -> nn.Sequential:
    """3 x (Linear(d, d), ReLU, Dropout), Linear(d, 1)."""
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Linear(d, d), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(d, 1))


def discriminator_step(network: nn.Module, reals: list[Tensor], fakes: list[Tensor], mixes: list[Tensor]) -> Tensor:
    """One batch: for each of the four combinations two cross-entropies and a gradient penalty by double backward.

    Gradients are added into the parameters, as the program does with one ``backward`` for each term; the loss is
    returned.
    """
    total = torch.zeros(())
    for real, fake, mix in zip(reals, fakes, mixes, strict=True):
        on_real = -torch.log(torch.sigmoid(network(real).squeeze())).mean()
        on_real.backward()
        on_fake = -torch.log(1 - torch.sigmoid(network(fake).squeeze())).mean()
        on_fake.backward()
        between = (mix * real + (1 - mix) * fake).requires_grad_()
        output = network(between).squeeze()
        (gradient,) = torch.autograd.grad(
            output, between, torch.ones_like(output), create_graph=True, retain_graph=True
        )
        penalty = ((gradient.norm(2, dim=1) - 1) ** 2).mean() * 10
        penalty.backward()
        total = total + on_real.detach() + on_fake.detach() + penalty.detach()
    return total


def make_hash_network(d: int, hidden: int, n_bits: int) -> nn.Sequential:
    """Linear(d, hidden), batch normalisation, ReLU, Linear(hidden, n_bits), tanh."""
    return nn.Sequential(nn.Linear(d, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, n_bits), nn.Tanh())


class HashTraining:
    """The hash networks' part of the program: forward four times, loss, Adam, buffers of outputs,
    learning-rate steps.
    """

    def __init__(self, image: nn.Sequential, text: nn.Sequential, n: int, codes: Tensor, beta: float = 0.001) -> None:
        self.image, self.text, self.beta = image, text, beta
        self.codes = codes.clone()
        self.buffers = [torch.zeros_like(codes) for _ in range(4)]
        self.optimiser = torch.optim.Adam(
            [{"params": image.parameters()}, {"params": text.parameters()}], lr=1e-4, weight_decay=0.0005
        )

    def step(self, img1: Tensor, img2: Tensor, txt1: Tensor, txt2: Tensor, weights: Tensor, index: Tensor) -> Tensor:
        """One batch; ``index`` is where the outputs are kept."""
        self.image.train()
        self.text.train()
        outputs = [self.image(img1), self.image(img2), self.text(txt1), self.text(txt2)]
        for buffer, output in zip(self.buffers, outputs, strict=True):
            buffer[index] = output.detach()
        loss = nt_xent_sum(outputs[0], outputs[2], weights) + self.beta * quantisation_sum(self.codes[index], outputs)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def end_epoch(self, epoch: int) -> None:
        """B from the buffers; the learning rate falls at the end of every epoch whose number divides by 50."""
        first, second, third, fourth = self.buffers
        self.codes = (((first + second) / 2 + (third + fourth) / 2) / 2).sign()
        if epoch % 50 == 0:
            for group in self.optimiser.param_groups:
                group["lr"] = max(group["lr"] * 0.8, 1e-6)
