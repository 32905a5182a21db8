"""``mlp-ntxent``: two plain hash networks and an objective, the floor that any elaborate hasher should beat.

The networks are those of UCMFH (program: ``ImageMlp``, ``TextMlp``) without its fusion transformer, which reads the
query's other modality. Unlike CHNR's hasher (``contrastive``) it has no batch normalisation but dropout, inputs of unit
length, no augmented view, no quantisation term, no weight decay, batches of 128; betas of Adam (0.5, 0.999).
UCMFH's rise of the learning rate by 1.2 after 30 and 80 *batches* is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness import Batch, PairTrust, Phase, TrainingPairs
from harness.plugin.interfaces import Objective, Run
from harness.training.building_blocks.networks import TwoNetworks, UnitLength, hash_network
from harness.training.building_blocks.optimisation import has_fused_steps, take_step


class PlainNetworks(TwoNetworks):
    """Loss of a batch: the mean of the objective over its pairs."""

    smallest_batch = 2  # a pair without another has nothing to be told from

    def __init__(
        self, *, objective: Objective, hidden: int, dropout: float, batch_size: int, learning_rate: float
    ) -> None:
        self.objective = objective
        self.hidden, self.dropout, self.batch_size, self.learning_rate = hidden, dropout, batch_size, learning_rate

    def build(self, d_image: int, d_text: int, n_bits: int) -> tuple[nn.Module, nn.Module]:
        """Length 1, d -> hidden, ReLU, dropout -> n_bits, tanh, length 1, for both."""
        image, text = (
            nn.Sequential(UnitLength(), hash_network(d, self.hidden, n_bits, dropout=self.dropout), UnitLength())
            for d in (d_image, d_text)
        )
        return image, text

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: Run) -> None:
        """Networks and optimiser."""
        self.make_networks(pairs.image.shape[1], pairs.text.shape[1], run)
        self.optimiser = torch.optim.Adam(
            self.network_parameters(), lr=self.learning_rate, betas=(0.5, 0.999), fused=has_fused_steps(run.device)
        )
        self.run = run

    def step(self, batch: Batch, trust: PairTrust) -> Tensor:
        """One step of Adam on both networks."""
        self.image_network.train()
        self.text_network.train()
        with self.run.autocast():
            z_image, z_text = self.image_network(batch.image), self.text_network(batch.text)
        loss = self.objective(z_image.float(), z_text.float(), trust).mean()
        take_step(loss, self.optimiser)
        return loss.detach()

    def pair_losses(self, batch: Batch) -> Tensor:
        """The objective of each pair, fully trusted."""
        return self.objective(
            self.encode_image(batch.image), self.encode_text(batch.text), PairTrust(batch.image.new_ones(len(batch)))
        )
