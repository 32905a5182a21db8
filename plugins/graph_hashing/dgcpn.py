"""DGCPN (AAAI 2021): ``train_div.py``, ``models.py`` and the defaults of ``train.py`` in the authors' program."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness import Batch, PairTrust, Phase, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.mixed_similarity import MixedSimilarity, neighbour_count
from harness.training.building_blocks.networks import TwoNetworks, hash_network
from harness.training.building_blocks.optimisation import has_fused_steps, take_step
from harness.training.building_blocks.structure import cosines, shares_of_pairs, weighted_mean, weighted_mean_square

SCALE = 4000 / 5000
"""The program's factor of P P^T by its number of training pairs. Rows of P have sum 1, so that the mean of P P^T is
1/n or a little more whatever the features and the neighbours are: 0.8 n keeps the mean of the scaled matrix."""


class Graph:
    """The coexistence graph over all training pairs and the targets made from it (``cal_similarity``).

    M = a1 S^t + (1 - a1) S^v; each row keeps its largest entries, without the pair itself, and is divided by its sum:
    P. S = 2 ((1 - a2) M + a2 scale P P^T) - 1. P is held, (n, n) float32; M and P P^T are made for each batch.

    All pairs are neighbours, whatever their weights: weights come with batches, after the graph, and with a1 = 0.01 a
    pair's similarity is that of its image, which a wrong caption does not spoil. Negative similarities are no
    probabilities and count as 0 (the program's features have none, or hardly any). The program takes out the largest
    entry of each row as that of the pair itself, here it is the diagonal: different only for exact copies.

    Args:
        pairs: All training pairs.
        text_share: a1.
        graph_share: a2.
        neighbours: Entries that a row keeps, itself included; below 1 a share of n.
        scale: Factor of P P^T; 0: 0.8 n.
    """

    def __init__(
        self, pairs: TrainingPairs, *, text_share: float, graph_share: float, neighbours: float, scale: float
    ) -> None:
        n = len(pairs)
        self.similarity = MixedSimilarity(pairs.image, pairs.text, text_share)
        self.graph_share, self.scale = graph_share, scale or SCALE * n
        count = neighbour_count(neighbours, n)
        self.coexistence = pairs.image.new_zeros(n, n)
        for rows, similarity in self.similarity.blocks():
            largest = similarity.topk(count, dim=1, sorted=False)
            self.coexistence[rows].scatter_(1, largest.indices, largest.values.clamp_(min=0))
        self.coexistence.fill_diagonal_(0)
        self.coexistence /= self.coexistence.sum(dim=1, keepdim=True).clamp(min=1e-12)

    def targets(self, rows: Tensor) -> Tensor:
        """(b, b) what the cosines between the pairs at ``rows`` are drawn to."""
        near = self.coexistence[rows]
        coexistence = near @ near.T
        share = self.graph_share
        return 2 * ((1 - share) * self.similarity.between(rows) + share * self.scale * coexistence) - 1


def terms(
    z_image: Tensor, z_text: Tensor, targets: Tensor, pair_target: float
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """What the loss is made of (``loss_cal``): (b,) (C^vt_ii - K)^2, and the matrices (b, b) whose squares are the
    distance and the consistency terms.
    """
    off_diagonal = 1 - torch.eye(len(targets), device=targets.device, dtype=targets.dtype)
    c_vv, c_tt, c_vt = cosines(z_image, z_image), cosines(z_text, z_text), cosines(z_image, z_text)
    distance = [(c - targets) * off_diagonal for c in (c_tt, c_vt, c_vv)]
    consistency = [c_vt - c_vv, c_vt - c_tt, c_vv - c_tt, c_vt - c_vt.T]
    return (c_vt.diagonal() - pair_target).square(), distance, consistency


class Dgcpn(TwoNetworks):
    """L = pair + dw x distance + cw x consistency, three updates for each batch (``train``).

    pair = mean_i (C^vt_ii - K)^2; distance = mean squares of C^tt, C^vt, C^vv against the targets, off the diagonal;
    consistency = mean squares of C^vt - C^vv, C^vt - C^tt, C^vv - C^tt, C^vt - (C^vt)^T. C are cosines between
    outputs. Entry (i, j) counts with w_i w_j, a pair's own term with w_i.
    """

    def __init__(
        self, *, hidden: int, batch_size: int, learning_rate: float, momentum: float, weight_decay: float,
        dropout: float, text_share: float, graph_share: float, neighbours: float, scale: float, pair_target: float,
        distance: float, consistency: float,
    ) -> None:  # fmt: skip
        self.hidden, self.dropout, self.batch_size = hidden, dropout, batch_size
        self.learning_rate, self.momentum, self.weight_decay = learning_rate, momentum, weight_decay
        self.graph_settings = {
            "text_share": text_share, "graph_share": graph_share, "neighbours": neighbours, "scale": scale,
        }  # fmt: skip
        self.pair_target, self.distance, self.consistency = pair_target, distance, consistency

    def build(self, d_image: int, d_text: int, n_bits: int) -> tuple[nn.Module, nn.Module]:
        """d -> hidden, ReLU, dropout -> n_bits, tanh; the caption network's last weights are drawn wider (TxtNet)."""
        image, text = (hash_network(d, self.hidden, n_bits, dropout=self.dropout) for d in (d_image, d_text))
        nn.init.normal_(text.get_parameter(f"{len(text) - 2}.weight"), std=0.3)
        return image, text

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: Run) -> None:
        """Networks, one optimiser for both (the program's two have the same settings), and the graph."""
        self.make_networks(pairs.image.shape[1], pairs.text.shape[1], run)
        fused = has_fused_steps(run.device)
        self.optimiser = torch.optim.SGD(
            self.network_parameters(), self.learning_rate, self.momentum, weight_decay=self.weight_decay, fused=fused
        )
        self.graph = Graph(pairs, **self.graph_settings)

    def loss(self, z_image: Tensor, z_text: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
        """The loss of a batch, 0-d.

        Args:
            z_image: (b, n_bits) image outputs.
            z_text: (b, n_bits) caption outputs.
            targets: (b, b) from :meth:`Graph.targets`.
            weight: (b,) trust in the pairs.
        """
        pair, distance, consistency = terms(z_image, z_text, targets, self.pair_target)
        return (
            weighted_mean(pair, weight)
            + self.distance * sum(weighted_mean_square(difference, weight) for difference in distance)
            + self.consistency * sum(weighted_mean_square(difference, weight) for difference in consistency)
        )

    def step(self, batch: Batch, trust: PairTrust) -> Tensor:
        """Three updates; the loss of the first, in which both outputs are real."""
        image, text, targets = batch.image, batch.text, self.graph.targets(batch.rows)
        self.image_network.train()
        self.text_network.train()
        loss = self.loss(self.image_network(image), self.text_network(text), targets, trust.weight)
        take_step(loss, self.optimiser)
        # Half real, half binary: the image network against the captions' signs, then the caption network against the
        # images' signs. Both start from the same outputs and neither's gradient reaches the other: one backward pass.
        z_image, z_text = self.image_network(image), self.text_network(text)
        half_image = self.loss(z_image, z_text.detach().sign(), targets, trust.weight)
        half_text = self.loss(z_image.detach().sign(), z_text, targets, trust.weight)
        take_step(half_image + half_text, self.optimiser)
        return loss.detach()

    def pair_losses(self, batch: Batch) -> Tensor:
        """Each pair's own term and its shares in the matrices' mean squares, fully trusted."""
        z_image, z_text = self.encode_image(batch.image), self.encode_text(batch.text)
        pair, distance, consistency = terms(z_image, z_text, self.graph.targets(batch.rows), self.pair_target)
        return (
            pair
            + self.distance * sum(map(shares_of_pairs, distance))
            + self.consistency * sum(map(shares_of_pairs, consistency))
        )
