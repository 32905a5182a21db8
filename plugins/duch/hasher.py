"""DUCH's hash networks (``DUCH.py`` and ``controller_DUCH.py`` of its program)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from harness_plugins.duch.discriminator import adversarial_loss, discriminator_loss, hash_discriminator
from torch import Tensor, nn

from harness import Batch, PairTrust, Phase, TrainingPairs
from harness.plugin.interfaces import Objective, Run
from harness.training.building_blocks.contrast import contrast_within
from harness.training.building_blocks.networks import TwoNetworks, hash_network, outputs_of_views
from harness.training.building_blocks.optimisation import has_fused_steps, lower_learning_rate


def quantisation(target: Tensor, outputs: tuple[Tensor, ...], weight: Tensor) -> Tensor:
    """sum over views and pairs of w_i ||B_i - h_i||^2, 0-d; ``target`` and outputs (b, n_bits), ``weight`` (b,)."""
    return sum(((target - output).square().sum(dim=1) * weight).sum() for output in outputs)  # type: ignore[return-value]  # there is at least one


def bit_balance(outputs: tuple[Tensor, ...], over: str) -> Tensor:
    """Sum over views of sum_k (sum_i h_ik)^2, 0-d: as many 1 as 0 in each bit of a batch.

    Args:
        outputs: (b, n_bits) each.
        over: ``"bits"``, or ``"codes"`` for sum_i (sum_k h_ik)^2: as many 1 as 0 inside each code.
    """
    return sum(output.sum(dim=0 if over == "bits" else 1).square().sum() for output in outputs)  # type: ignore[return-value]  # there is at least one


class DuchHasher(TwoNetworks):
    """L = contrastive + alpha x adversarial + beta x quantisation + gamma x bit balance, sums over a batch.

    contrastive = inter N(h^v, h^t) + intra_image N(h^v, h^v') + intra_text N(h^t, h^t') with the objective N and
    augmented views v', t'. An item without an augmented view is its own. Before each step of the networks the
    discriminator learns to tell outputs of captions (real) from those of images. The target codes B of quantisation are
    the signs of the mean of a pair's four outputs during the epoch before, random in the first one.

    Weights: the objective between modalities gets the weight of each pair, that within a modality the batch's mean (as
    in CHNR). The target code belongs to a pair, so its quantisation counts with w_i. The adversarial loss and the bit
    balance compare sets of outputs of one modality, whose items are right whatever they are paired with: no weight.
    """

    image_network: nn.Sequential
    text_network: nn.Sequential
    smallest_batch = 2  # batch normalisation

    def __init__(
        self, *, objective: Objective, hidden: int, batch_size: int, learning_rate: float, weight_decay: float,
        discriminator_weight_decay: float, inter: float, intra_image: float, intra_text: float, alpha: float,
        beta: float, gamma: float, penalty: float, step_epochs: int, step_factor: float,
        smallest_learning_rate: float, augmented_text: str, adversarial_codes: str, bit_balance: str,
    ) -> None:  # fmt: skip
        self.objective = objective
        self.hidden, self.batch_size = hidden, batch_size
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.discriminator_weight_decay, self.penalty = discriminator_weight_decay, penalty
        self.inter, self.intra_image, self.intra_text = inter, intra_image, intra_text
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.step_epochs, self.step_factor = step_epochs, step_factor
        self.smallest_learning_rate = smallest_learning_rate
        self.augmented_text, self.adversarial_codes, self.balanced = augmented_text, adversarial_codes, bit_balance

    def build(self, d_image: int, d_text: int, n_bits: int) -> tuple[nn.Module, nn.Module]:
        """d -> hidden, batch normalisation, ReLU -> n_bits, tanh, for both."""
        image, text = (hash_network(d, self.hidden, n_bits, normalised=True) for d in (d_image, d_text))
        return image, text

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: Run) -> None:
        """Networks, discriminator, optimisers, and random target codes."""
        self.run = run
        self.make_networks(pairs.image.shape[1], pairs.text.shape[1], run)
        self.discriminator = hash_discriminator(run.n_bits).to(run.device)
        fused = has_fused_steps(run.device)
        self.optimiser = torch.optim.Adam(
            self.network_parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=fused
        )
        self.discriminator_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), lr=self.learning_rate, betas=(0.5, 0.9),
            weight_decay=self.discriminator_weight_decay, fused=fused,
        )  # fmt: skip
        self.mixing = run.generator("discriminator-mix")
        shape = (len(pairs), run.n_bits)
        self.codes = torch.randn(shape, generator=run.generator("target-codes"), device=run.device).sign()
        self.next_codes = self.codes.clone()  # a pair that no phase has trained on keeps its random code

    def outputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """(b, n_bits) outputs of image, augmented image, caption and augmented caption while training."""
        text_views = batch.text_views[:1] if self.augmented_text == "use" else ()
        with self.run.autocast():
            return (
                *outputs_of_views(self.image_network, [batch.image, *batch.image_views[:1]]),
                *outputs_of_views(self.text_network, [batch.text, *text_views]),
            )

    def train_discriminator(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """One step of the discriminator on originals and augmented views; its loss."""
        h_image, h_image_view, h_text, h_text_view = (output.detach() for output in outputs)
        self.discriminator_optimiser.zero_grad()
        loss = torch.zeros((), device=h_image.device)
        for real, fake in ((h_text, h_image), (h_text_view, h_image_view)):
            mix = torch.rand(real.shape, generator=self.mixing, device=real.device, dtype=real.dtype)
            loss = loss + discriminator_loss(self.discriminator, real, fake, mix, self.penalty)
        loss.backward()
        self.discriminator_optimiser.step()
        return loss.detach()

    def loss(self, outputs: tuple[Tensor, ...], target: Tensor, weight: Tensor) -> Tensor:
        """The networks' loss of a batch, 0-d.

        Args:
            outputs: From :meth:`outputs`.
            target: (b, n_bits) target codes.
            weight: (b,).
        """
        h_image, h_image_view, h_text, h_text_view = outputs
        loss = self.inter * self.objective(h_image, h_text, PairTrust(weight)).sum()
        loss = loss + contrast_within(self.objective, outputs, weight, self.intra_image, self.intra_text)
        if self.alpha:
            pushed = (h_image, h_image_view) if self.adversarial_codes == "image" else (h_text, h_text_view)
            loss = loss + self.alpha * sum(adversarial_loss(self.discriminator, output) for output in pushed)
        loss = loss + self.beta * quantisation(target, outputs, weight)
        return loss + self.gamma * bit_balance(outputs, self.balanced)

    def step(self, batch: Batch, trust: PairTrust) -> Tensor:
        """One step of the discriminator, then one of both networks."""
        outputs = self.outputs(batch)
        if self.alpha:
            self.train_discriminator(outputs)
        loss = self.loss(outputs, self.codes[batch.rows], trust.weight)
        self.optimiser.zero_grad()
        loss.backward(inputs=self.network_parameters())
        self.optimiser.step()
        with torch.no_grad():
            self.next_codes[batch.rows] = torch.stack(outputs).mean(dim=0).sign()
        return loss.detach()

    def pair_losses(self, batch: Batch) -> Tensor:
        """(b,) the objective between the modalities, fully trusted; all other terms concern single items or sets."""
        ones = PairTrust(batch.image.new_ones(len(batch)))
        return self.inter * self.objective(self.encode_image(batch.image), self.encode_text(batch.text), ones)

    def end_epoch(self, epoch: int) -> None:
        """New target codes; the networks' learning rate falls after epochs 0, 50, 100."""
        self.codes = self.next_codes.clone()
        if epoch % self.step_epochs == 0:
            lower_learning_rate(self.optimiser, self.step_factor, self.smallest_learning_rate)
