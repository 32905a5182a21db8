"""Hash networks trained with a tanh that grows steeper with the epochs, as DJSRH and its successors train them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.plugin.interfaces import Batch, PairTrust, Phase, Run, TrainingPairs
from harness.training.building_blocks.networks import TwoNetworks, UnitLength, hash_network
from harness.training.building_blocks.optimisation import has_fused_steps, take_step


class AnnealedNetworks(TwoNetworks):
    """A learner with outputs tanh(a z), a = sqrt(epoch + 1) with epochs counted from 0; the code is sign(z).

    Networks for frozen features: rows of length 1 -> hidden, batch normalisation, ReLU -> n_bits. Each modality has its
    own SGD. A subclass defines :meth:`loss` and :meth:`shares`, and may add modules in :meth:`begin`.
    """

    smallest_batch = 2  # batch normalisation
    drop_last = True  # as in the authors' loaders

    def __init__(
        self, *, hidden: int, batch_size: int, image_learning_rate: float, text_learning_rate: float, momentum: float,
        weight_decay: float, nesterov: bool = False,
    ) -> None:  # fmt: skip
        self.hidden, self.batch_size = hidden, batch_size
        self.learning_rates = (image_learning_rate, text_learning_rate)
        self.momentum, self.weight_decay, self.nesterov = momentum, weight_decay, nesterov

    def build(self, d_image: int, d_text: int, n_bits: int) -> tuple[nn.Module, nn.Module]:
        """Both networks; their outputs are z, without tanh."""
        image, text = (
            nn.Sequential(UnitLength(), hash_network(d, self.hidden, n_bits, normalised=True, squashed=False))
            for d in (d_image, d_text)
        )
        return image, text

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: Run) -> None:
        """New networks and optimisers, slope 1."""
        self.run = run
        self.make_networks(pairs.image.shape[1], pairs.text.shape[1], run)
        self.optimisers = [
            torch.optim.SGD(
                [weights for module in modules for weights in module.parameters()],
                lr=rate,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
                nesterov=self.nesterov,
                fused=has_fused_steps(run.device),
            )
            for modules, rate in zip(self.sides(), self.learning_rates, strict=True)
        ]
        self.epochs_done = 0

    def sides(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """What the optimiser of the images trains, and what that of the captions trains."""
        return [self.image_network], [self.text_network]

    @property
    def slope(self) -> float:
        """The factor a in tanh(a z) during the present epoch."""
        return math.sqrt(self.epochs_done + 1)

    def loss(self, h_image: Tensor, h_text: Tensor, batch: Batch, weight: Tensor) -> Tensor:
        """The loss of a batch, 0-d.

        Args:
            h_image: (b, n_bits) outputs in [-1, 1].
            h_text: (b, n_bits).
            batch: The batch, with its features.
            weight: (b,).
        """
        raise NotImplementedError

    def shares(self, h_image: Tensor, h_text: Tensor, batch: Batch) -> Tensor:
        """(b,) shares of the pairs in :meth:`loss` at weights of 1; their mean is the loss."""
        raise NotImplementedError

    def step(self, batch: Batch, trust: PairTrust) -> Tensor:
        """One step of both optimisers."""
        self.image_network.train()
        self.text_network.train()
        h_image = (self.slope * self.image_network(batch.image)).tanh()
        h_text = (self.slope * self.text_network(batch.text)).tanh()
        loss = self.loss(h_image, h_text, batch, trust.weight)
        take_step(loss, *self.optimisers)
        return loss.detach()

    def pair_losses(self, batch: Batch) -> Tensor:
        """(b,) shares of the pairs in the loss at full trust, with the running statistics."""
        h_image = (self.slope * self.encode_image(batch.image)).tanh()
        h_text = (self.slope * self.encode_text(batch.text)).tanh()
        return self.shares(h_image, h_text, batch)

    def end_epoch(self, epoch: int) -> None:
        """The tanh gets steeper. Own epochs count, so that networks that began anew begin with slope 1."""
        self.epochs_done += 1
