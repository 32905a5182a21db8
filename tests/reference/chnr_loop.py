"""CHNR as a plain loop, the way one writes it from the paper: what the benchmarks are measured against.

Obvious PyTorch: float32, modules in a row, one forward pass for each combination and view, gradient penalty by
``torch.autograd.grad(create_graph=True)``, optimisers with their defaults, no care for speed and none against it. Equal
in mathematics to the authors' program with the bugs mended that the harness mends (docs/architecture.md), and with the
same repeated work: a caption without augmented view is encoded twice, the weights of the noisy phase are computed anew
for each batch, for the pair and its augmented view (only the first is used), and the discriminator's mean probabilities
are recorded after each step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


def discriminator(d: int) -> nn.Sequential:
    """3 x (Linear(d, d), ReLU, Dropout), Linear(d, 1)."""
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Linear(d, d), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(d, 1))


def hash_network(d: int, n_bits: int) -> nn.Sequential:
    """Linear, batch normalisation, ReLU, Linear, tanh."""
    return nn.Sequential(nn.Linear(d, 4096), nn.BatchNorm1d(4096), nn.ReLU(), nn.Linear(4096, n_bits), nn.Tanh())


def nt_xent(z_image: Tensor, z_text: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum over the 2n anchors, T = 1."""
    z = nn.functional.normalize(torch.cat([z_image, z_text]))
    n = len(z_image)
    similarity = torch.exp(z @ z.T)
    positive = torch.exp((z[:n] * z[n:]).sum(1)).repeat(2)
    negatives = torch.clamp(similarity.sum(1) - torch.e, min=1e-6)
    return (weight.repeat(2) * -torch.log(positive / (negatives + 1e-6))).sum()


@dataclass
class ReferenceLoop:
    """Features of one set of pairs, and the networks.

    Attributes:
        image, image_view, text, text_view: (n, d) float32; ``text_view`` is ``text`` itself in the authors' program.
        trusted: (n_trusted,) int64 rows.
        n_bits: Code length.
        batch_size: Pairs per batch.
    """

    image: Tensor
    image_view: Tensor
    text: Tensor
    text_view: Tensor
    trusted: Tensor
    n_bits: int = 64
    batch_size: int = 256
    recorded: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        d_image, d_text = self.image.shape[1], self.text.shape[1]
        self.judge = discriminator(d_image + d_text)
        self.image_network, self.text_network = hash_network(d_image, self.n_bits), hash_network(d_text, self.n_bits)
        self.judge_optimiser = torch.optim.AdamW(self.judge.parameters(), lr=1e-4, betas=(0.5, 0.9), weight_decay=0.001)
        parameters = [*self.image_network.parameters(), *self.text_network.parameters()]
        self.optimiser = torch.optim.Adam(parameters, lr=1e-4, weight_decay=5e-4)
        self.codes = torch.randn(len(self.image), self.n_bits).sign()
        self.outputs = torch.zeros(4, len(self.image), self.n_bits)

    def detector_step(self, rows: Tensor) -> float:
        """Four combinations; cross-entropy on right and mismatched pairs and a gradient penalty for each."""
        image, view, text, text_view = (x[rows] for x in (self.image, self.image_view, self.text, self.text_view))
        reals, fakes = [], []
        for left, right in ((image, text), (view, text_view), (image, text_view), (view, text)):
            partners = (torch.arange(len(rows)) + torch.randint(1, len(rows), (len(rows),))) % len(rows)
            reals.append(torch.cat([left, right], dim=1))
            fakes.append(torch.cat([left, right[partners]], dim=1))
        self.judge_optimiser.zero_grad()
        total = 0.0
        for real, fake in zip(reals, fakes, strict=True):
            on_real = -torch.log(torch.sigmoid(self.judge(real).squeeze())).mean()
            on_real.backward()
            on_fake = -torch.log(1 - torch.sigmoid(self.judge(fake).squeeze())).mean()
            on_fake.backward()
            mix = torch.rand_like(real)
            between = (mix * real + (1 - mix) * fake).requires_grad_()
            output = self.judge(between).squeeze()
            (gradient,) = torch.autograd.grad(
                output, between, torch.ones_like(output), create_graph=True, retain_graph=True
            )
            penalty = ((gradient.norm(2, dim=1) - 1) ** 2).mean() * 10
            penalty.backward()
            total += (on_real + on_fake + penalty).item()
        self.judge_optimiser.step()
        with torch.no_grad():
            self.recorded = [torch.sigmoid(self.judge(x)).mean() for x in (*reals[:2], *fakes[:2])]
        return total

    def hasher_step(self, rows: Tensor, weight: Tensor) -> float:
        """Both networks on both views, weighted NT-Xent and quantisation."""
        self.image_network.train()
        self.text_network.train()
        outputs = [
            self.image_network(self.image[rows]), self.image_network(self.image_view[rows]),
            self.text_network(self.text[rows]), self.text_network(self.text_view[rows]),
        ]  # fmt: skip
        loss = nt_xent(outputs[0], outputs[2], weight)
        loss = loss + 0.001 * sum(((self.codes[rows] - output) ** 2).sum() for output in outputs)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        for buffer, output in zip(self.outputs, outputs, strict=True):
            buffer[rows] = output.detach()
        return loss.item()

    def weights(self, rows: Tensor) -> Tensor:
        """Weights of a batch; those of the augmented pair are computed too, as the program does."""
        with torch.no_grad():
            weight = torch.sigmoid(self.judge(torch.cat([self.image[rows], self.text[rows]], dim=1))).squeeze(1)
            torch.sigmoid(self.judge(torch.cat([self.image_view[rows], self.text_view[rows]], dim=1)))
        return weight

    def train(self, warm_up: int, noisy: int) -> None:
        """Both phases."""
        for epoch in range(warm_up + noisy):
            trusted = epoch < warm_up
            rows = self.trusted if trusted else torch.arange(len(self.image))
            for chosen in rows[torch.randperm(len(rows))].split(self.batch_size):
                if len(chosen) < 2:
                    continue
                if trusted:
                    self.detector_step(chosen)
                self.hasher_step(chosen, torch.ones(len(chosen)) if trusted else self.weights(chosen))
            self.codes = self.outputs.mean(0).sign()
            if epoch % 50 == 0:
                for group in self.optimiser.param_groups:
                    group["lr"] = max(group["lr"] * 0.8, 1e-6)

    @torch.no_grad()
    def encode(self) -> tuple[Tensor, Tensor]:
        """(n, n_bits) codes of images and captions."""
        self.image_network.eval()
        self.text_network.eval()
        return self.image_network(self.image).sign(), self.text_network(self.text).sign()
