"""CIRH (TKDE 2022): ``my_opt.py`` (class PCIRH) and the defaults of ``main_mir.py`` in the authors' program."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from harness_plugins.graph_hashing.joint_network import JointNetwork
from torch import Tensor, nn
from torch.nn.functional import normalize

from harness import Batch, Need, PairTrust, Phase, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.mixed_similarity import MixedSimilarity, neighbour_count
from harness.training.building_blocks.networks import TwoNetworks, hash_network
from harness.training.building_blocks.optimisation import has_fused_steps, take_step
from harness.training.building_blocks.structure import cosines, shares_of_pairs, weighted_mean, weighted_mean_square

MIX = (0.7, 0.2, 0.1)
"""Shares of a feature, of its nearer and of its farther neighbour's in what stage 1 sees (``train_method``)."""


class Structure:
    """S between pairs, made for each batch (``cal_similarity``).

    S1 = a1 S^v + (1 - a1) S^t, in each row only the largest entries; S2 = 2 / (1 + exp(-S1)) - 1 + I, made symmetric;
    S = a2 S1 + (1 - a2) S2. Which entries a row keeps is decided among all training pairs, whatever their weights.

    Args:
        pairs: All training pairs.
        image_share: a1.
        plain_share: a2.
        neighbours: Entries that a row keeps, itself included; below 1 a share of the pairs.
    """

    def __init__(self, pairs: TrainingPairs, *, image_share: float, plain_share: float, neighbours: float) -> None:
        self.similarity = MixedSimilarity(pairs.image, pairs.text, 1 - image_share)
        self.plain_share = plain_share
        self.thresholds = self.similarity.thresholds(neighbour_count(neighbours, len(pairs)))

    def __call__(self, rows: Tensor) -> Tensor:
        """(b, b) S between the pairs at ``rows``."""
        similarity = self.similarity.between(rows)
        s1 = similarity * (similarity >= self.thresholds[rows, None])
        s2 = 2 * s1.sigmoid() - 1
        s2 = (s2 + s2.T) / 2 + torch.eye(len(rows), device=s1.device, dtype=s1.dtype)
        return self.plain_share * s1 + (1 - self.plain_share) * s2


def neighbours_in_batch(structure: Tensor, weight: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """(b,) rows of each pair's nearer and farther neighbour in the batch (``NN_select``).

    Similarities count by the weights of the neighbours; pairs of weight 0 are nobody's. Where there are too few
    others, the last one serves.

    Args:
        structure: (b, b) S.
        weight: (b,) trust in the pairs.
        first: 0 for the first and second neighbour, 1 for the second and third.
    """
    near = (structure * weight).masked_fill(weight <= 0, -torch.inf).fill_diagonal_(-torch.inf)
    # Stable, so that ties (many entries are 0) fall alike in the batch and in the selection of its trusted pairs.
    order = near.argsort(dim=1, descending=True, stable=True)
    others = torch.isfinite(near).sum(dim=1, keepdim=True)
    ranks = torch.arange(first, first + 2, device=near.device).minimum((others - 1).clamp(min=0))
    nearer, farther = order.gather(1, ranks).unbind(1)
    return nearer, farther


def squares(output: Tensor, target: Tensor) -> Tensor:
    """(b,) mean squared difference of each row; the program's ``mse_loss`` is their mean."""
    return (output - target).square().mean(dim=1)


def function_terms(h_image: Tensor, h_text: Tensor, codes: Tensor, structure: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Stage 2: each pair's own terms, (b,), and the matrices (b, b) whose mean squares are the structure terms.

    Args:
        h_image: (b, n_bits) outputs of the image function.
        h_text: (b, n_bits) outputs of the text function.
        codes: (b, n_bits) B.
        structure: (b, b) S.
    """
    own = squares(h_image, codes) + squares(h_text, codes) + squares(h_image, h_text)
    return own, [cosines(*ends) - structure for ends in ((h_image, h_text), (h_image, h_image), (h_text, h_text))]


class Cirh(TwoNetworks):
    """Two stages in each step, as in each epoch of the program.

    Stage 1, joint network (``train_method``, ``loss_method``):
    L = lambda1 [MSE of both rebuilt features] + lambda2 [MSE(S, cos HI) + MSE(S, cos HT) + MSE(S, cos H)] + MSE(H, B),
    B = sign(H). Stage 2, hash functions on features of length 1 (``train_Hashfunc``):
    L = MSE(hI, B) + MSE(hT, B) + MSE(hI, hT) + beta [MSE(cos(hI, hT), S) + MSE(cos(hI, hI), S) + MSE(cos(hT, hT), S)].

    The program trains the joint network on all batches of an epoch, then the hash functions on the same batches with
    the codes that each had when the joint network saw it. Neither stage looks at the other's weights, so a batch can
    pass both at once; the hash functions are the hasher from the first epoch on. Entry (i, j) of a structure term
    counts with w_i w_j, a pair's own terms with w_i.
    """

    smallest_batch = 2  # batch normalisation

    def __init__(
        self, *, hidden: int, hidden_text: int, width: int, batch_size: int, learning_rate_codes: float,
        learning_rate: float, dropout: float, image_share: float, plain_share: float, neighbours: float,
        reconstruction: float, correlation: float, structure: float, mixed_neighbours: str, structure_rows: str,
    ) -> None:  # fmt: skip
        self.hidden, self.hidden_text, self.width, self.batch_size = hidden, hidden_text, width, batch_size
        self.learning_rate_codes, self.learning_rate, self.dropout = learning_rate_codes, learning_rate, dropout
        self.structure_settings = {
            "image_share": image_share, "plain_share": plain_share, "neighbours": neighbours,
        }  # fmt: skip
        self.reconstruction, self.correlation, self.beta = reconstruction, correlation, structure
        self.first_neighbour = 1 if mixed_neighbours == "second" else 0
        self.structure_rows = structure_rows

    def build(self, d_image: int, d_text: int, n_bits: int) -> tuple[nn.Module, nn.Module]:
        """d -> hidden, ReLU, dropout -> n_bits, tanh, last weights drawn from N(0, 1) (``Img_Net``, ``Txt_Net``)."""
        networks = (
            hash_network(d_image, self.hidden, n_bits, dropout=self.dropout),
            hash_network(d_text, self.hidden_text or d_text, n_bits, dropout=self.dropout),
        )
        for network in networks:
            nn.init.normal_(network.get_parameter(f"{len(network) - 2}.weight"))
        return networks

    def encode_image(self, image: Tensor) -> Tensor:
        """(m, d_image) to (m, n_bits); features are brought to length 1 first (``compress``)."""
        return super().encode_image(normalize(image))

    def encode_text(self, text: Tensor) -> Tensor:
        """(m, d_text) to (m, n_bits); as :meth:`encode_image`."""
        return super().encode_text(normalize(text))

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: Run) -> None:
        """All three networks, their optimisers, and what S is made from."""
        d_image, d_text = pairs.image.shape[1], pairs.text.shape[1]
        self.make_networks(d_image, d_text, run)
        self.joint_network = JointNetwork(d_image, d_text, run.n_bits, self.width).to(run.device)
        fused = has_fused_steps(run.device)
        self.code_optimiser = torch.optim.Adam(
            self.joint_network.parameters(), lr=self.learning_rate_codes, fused=fused
        )
        self.optimiser = torch.optim.Adam(self.network_parameters(), lr=self.learning_rate, fused=fused)
        self.structure = Structure(pairs, **self.structure_settings)
        self.at_position = None
        if self.structure_rows == "positions":
            self.at_position = pairs.granted[Need.SOURCE_ORDER].argsort()
        self.position = 0

    def begin_phase(self, phase: Phase, pairs: TrainingPairs, rows: Tensor) -> None:
        """An epoch begins at position 0."""
        self.position = 0

    def end_epoch(self, epoch: int) -> None:
        """The next epoch begins at position 0."""
        self.position = 0

    def code_loss(self, image: Tensor, text: Tensor, structure: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Stage 1: the loss, 0-d, and the codes B, (b, n_bits) of -1 and 1, without gradient.

        Args:
            image: (b, d_image) features.
            text: (b, d_text) features.
            structure: (b, b) S.
            weight: (b,) trust in the pairs.
        """
        nearer, farther = neighbours_in_batch(structure, weight, self.first_neighbour)
        image, text = (MIX[0] * x + MIX[1] * x[nearer] + MIX[2] * x[farther] for x in (image, text))
        h_image, h_text, h, rebuilt_image, rebuilt_text = self.joint_network(image, text, structure, weight)
        codes = h.detach().sign()
        rebuilt = squares(rebuilt_image, image) + squares(rebuilt_text, text)
        correlation = sum(weighted_mean_square(structure - cosines(x, x), weight) for x in (h_image, h_text, h))
        loss = (
            self.reconstruction * weighted_mean(rebuilt, weight)
            + self.correlation * correlation
            + weighted_mean(squares(h, codes), weight)
        )
        return loss, codes

    def step(self, batch: Batch, trust: PairTrust) -> Tensor:
        """One step of Adam on the joint network and one on the hash functions; the sum of both losses."""
        image, text, weight = batch.image, batch.text, trust.weight
        structure = self.structure(batch.rows)
        loss_codes, codes = self.code_loss(image, text, structure, weight)
        take_step(loss_codes, self.code_optimiser)

        if self.at_position is not None:
            structure = self.structure(self.at_position[self.position : self.position + len(batch)])
        self.position += len(batch)
        self.image_network.train()
        self.text_network.train()
        outputs = self.image_network(normalize(image)), self.text_network(normalize(text))
        own, differences = function_terms(*outputs, codes, structure)
        loss = weighted_mean(own, weight) + self.beta * sum(weighted_mean_square(d, weight) for d in differences)
        take_step(loss, self.optimiser)
        return (loss_codes + loss).detach()

    def pair_losses(self, batch: Batch) -> Tensor:
        """Each pair's share of the hash functions' loss, fully trusted, against the codes of the joint network now.

        The joint network's own loss is left out: ten times the errors of rebuilding both features hide whether the two
        belong together (AUROC of wrong pairs on UCM, noise 0.4: 0.96 without, 0.64 with them).
        """
        structure = self.structure(batch.rows)
        with torch.no_grad():
            _, codes = self.code_loss(batch.image, batch.text, structure, batch.image.new_ones(len(batch)))
        own, differences = function_terms(
            self.encode_image(batch.image), self.encode_text(batch.text), codes, structure
        )
        return own + self.beta * sum(map(shares_of_pairs, differences))
