"""UCCH (Hu et al., TPAMI 2023). Equation numbers are the paper's.

Weights of pairs: a term of a pair counts with its weight, and so does a pair where it is a negative of others; its code
in the bank moves by its weight. With weights of 0 and 1 that is UCCH on the pairs that have a 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from harness import Batch, HarnessError, PairTrust, Phase, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.networks import TwoNetworks
from harness.training.building_blocks.optimisation import has_fused_steps
from harness.training.building_blocks.structure import weighted_mean

NEGATIVES = 4096


def network(d: int, hidden: int, layers: int, n_bits: int) -> nn.Sequential:
    """``layers`` linear layers with ReLU between them, then tanh: (b, d) to (b, n_bits)."""
    widths = [d, *[hidden] * (layers - 1), n_bits]
    modules: list[nn.Module] = []
    for before, after in pairwise(widths):
        modules += [nn.Linear(before, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*modules[:-1], nn.Tanh())


def hash_keys(bank: Tensor) -> Tensor:
    """k = sgn(v), sgn(0) = 1, with length 1 (equation 1 and the text before equation 3): (n, n_bits) to the same."""
    return torch.where(bank >= 0, 1.0, -1.0).to(bank.dtype) / bank.shape[1] ** 0.5


NEVER = 1e-25
"""Count of a key that is no negative: too little to show in any sum, and its logarithm is quick to work with."""


def contrastive_losses(z: Tensor, own: Tensor, keys: Tensor, log_negatives: Tensor, temperature: float) -> Tensor:
    """-log P(i | h_i) of equations 3 and 4.

    Args:
        z: (b, n_bits) outputs of one modality, length 1.
        own: (b, n_bits) key of each pair.
        keys: (n, n_bits) all keys.
        log_negatives: (b, n) logarithm of how often, and with what weight, a key is a negative of a pair.
        temperature: t.

    Returns:
        (b,) losses.
    """
    positive = (z * own).sum(dim=1) / temperature
    others = torch.addmm(log_negatives, z, keys.T, alpha=1 / temperature)
    # The softmax of a classifier whose right answer is the first column; its kernel is much quicker than logsumexp.
    return -torch.cat([positive[:, None], others], dim=1).log_softmax(dim=1)[:, 0]


def ranking_losses(z_image: Tensor, z_text: Tensor, weight: Tensor, margin: float, shift: float) -> Tensor:
    """The terms of equation 14, both directions together, with kappa = 1 as in the program's ``ContrastiveLoss``.

    Args:
        z_image: (b, n_bits) image outputs, length 1.
        z_text: (b, n_bits) caption outputs, length 1.
        weight: (b,) how much a pair counts among the others of a pair.
        margin: m.
        shift: What is taken from similarities outside the margin (equation 8).

    Returns:
        (b,) losses.
    """
    similarity = z_image @ z_text.T
    own = similarity.diagonal()
    counted = weight.log().expand(len(weight), -1).clone().fill_diagonal_(0.0)
    total = 2 * margin - 2 * own
    for found in (similarity, similarity.T):
        s = torch.where(found >= own[:, None] - margin, found, found - shift)  # equation 8
        total = total + (s + counted).logsumexp(dim=1)
    return total


def moved_bank(bank: Tensor, z_image: Tensor, z_text: Tensor, momentum: Tensor, normalised: bool) -> Tensor:
    """v <- delta v + (1 - delta) (h_image + h_text) / 2 (equation 5); ``normalised``: as the program's ``NCEAverage``.

    Args:
        bank: (b, n_bits) rows of the bank.
        z_image: (b, n_bits) image outputs, length 1.
        z_text: (b, n_bits) caption outputs, length 1.
        momentum: (b, 1) delta.
        normalised: Whether the mean output and the new row are brought to length 1.
    """
    mean = (z_image + z_text) / 2
    moved = momentum * bank + (1 - momentum) * (normalize(mean) if normalised else mean)
    return normalize(moved) if normalised else moved


class UCCH(TwoNetworks):
    """Loss of a batch: beta L_c + (1 - beta) L_r (equations 2 and 15)."""

    smallest_batch = 2  # a pair without another has nothing to rank

    def __init__(
        self, *, hidden: int, image_layers: int, text_layers: int, batch_size: int, learning_rate: float,
        weight_decay: float, clip: float, beta: float, temperature: float, momentum: float, negatives: str,
        drawn_from: str, bank: str, warm_up: int, margin: float, shift: float, drop_last: bool, step_epochs: int,
        late: int,
    ) -> None:  # fmt: skip
        self.hidden, self.layers, self.batch_size, self.drop_last = (
            hidden,
            (image_layers, text_layers),
            batch_size,
            drop_last,
        )
        self.learning_rate, self.weight_decay, self.clip = learning_rate, weight_decay, clip
        self.beta, self.temperature, self.momentum = beta, temperature, momentum
        if negatives != "auto" and not (negatives.isdigit() and int(negatives) > 0):
            raise HarnessError(f"hasher.negatives={negatives}: expected auto or a number above 0.")
        self.asked_negatives = None if negatives == "auto" else int(negatives)
        self.drawn_from, self.normalised, self.warm_up = drawn_from, bank == "normalised", warm_up
        self.margin, self.shift = margin, shift
        self.step_epochs, self.late = step_epochs, late

    def build(self, d_image: int, d_text: int, n_bits: int) -> tuple[nn.Module, nn.Module]:
        """Three linear layers for images, two for captions."""
        return (
            network(d_image, self.hidden, self.layers[0], n_bits),
            network(d_text, self.hidden, self.layers[1], n_bits),
        )

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: Run) -> None:
        """Networks, optimiser, and a bank of random codes."""
        self.make_networks(pairs.image.shape[1], pairs.text.shape[1], run)
        fused = has_fused_steps(run.device)
        self.optimiser = torch.optim.Adam(
            self.network_parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=fused
        )
        self.run, self.draws, self.epochs = run, run.generator("negatives"), 0
        start = torch.randn(len(pairs), run.n_bits, generator=run.generator("bank"), device=run.device)
        self.bank = hash_keys(start)
        # A random code says nothing of its pair. As negatives such rows are left out, as positives replaced; the
        # program has them count, and without a warm-up there is nothing else to start from.
        random_counts = self.normalised or self.warm_up == 0
        self.filled = torch.full((len(pairs),), random_counts, device=run.device)
        self.row_weight = torch.ones(len(pairs), device=run.device)
        self.begin_phase(phases[0], pairs, torch.arange(len(pairs), device=run.device))

    def begin_phase(self, phase: Phase, pairs: TrainingPairs, rows: Tensor) -> None:
        """Negatives come from the pairs of the phase."""
        self.rows = rows
        self.position = torch.zeros(len(pairs), dtype=torch.int64, device=rows.device)
        self.position[rows] = torch.arange(len(rows), device=rows.device)
        self.in_phase = torch.zeros(len(pairs), device=rows.device).index_fill_(0, rows, 1.0)

    def _times_drawn(self, rows: Tensor, expected: bool) -> Tensor:
        """(b, n) how often each pair is a negative of the pairs at ``rows``; ``expected``: on the average."""
        others = len(self.rows) - (self.drawn_from == "others")
        number = self.asked_negatives or min(NEGATIVES, others)
        if expected or (self.asked_negatives is None and number == others):
            share = number / others if others else 0.0
            times = (share * self.in_phase).expand(len(rows), -1).clone()
            if self.drawn_from == "others":
                times.scatter_(1, rows[:, None], 0.0)
            return times
        times = torch.zeros(len(rows), len(self.bank), device=rows.device)
        if others:
            shape = (len(rows), number)
            drawn = torch.randint(others, shape, generator=self.draws, device=rows.device)
            if self.drawn_from == "others":
                drawn += drawn >= self.position[rows][:, None]
            times.scatter_add_(1, self.rows[drawn], times.new_ones(shape))
        return times

    def _losses(self, z_image: Tensor, z_text: Tensor, rows: Tensor, weight: Tensor, expected: bool) -> Tensor:
        """(b,) beta L_c + (1 - beta) L_r of each pair; ``weight``: how much it counts among the others of a pair."""
        with torch.no_grad():
            batch_keys = hash_keys((z_image + z_text) / 2)
            if self.epochs < self.warm_up:
                own = keys = batch_keys
                negatives = weight.expand(len(rows), -1).clone().fill_diagonal_(0.0)
            else:
                keys = hash_keys(self.bank)
                own = torch.where(self.filled[rows, None], keys[rows], batch_keys)
                negatives = self._times_drawn(rows, expected) * self.filled
                negatives *= 1.0 if expected else self.row_weight
            logs = negatives.clamp_(min=NEVER).log_()
        contrast = sum(contrastive_losses(z, own, keys, logs, self.temperature) for z in (z_image, z_text))
        ranking = ranking_losses(z_image, z_text, weight, self.margin, self.shift)
        return self.beta * contrast + (1 - self.beta) * ranking

    def step(self, batch: Batch, trust: PairTrust) -> Tensor:
        """One step of Adam on both networks (algorithm 1, lines 3 to 8)."""
        weight = trust.weight
        self.row_weight[batch.rows] = weight
        with self.run.autocast():
            outputs = self.image_network(batch.image), self.text_network(batch.text)
        z_image, z_text = (normalize(output.float()) for output in outputs)
        loss = weighted_mean(self._losses(z_image, z_text, batch.rows, weight, expected=False), weight)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network_parameters(), self.clip)
        self.optimiser.step()
        with torch.no_grad():
            # A row that holds no output yet, or only those of the warm-up, takes the pair's whole: whatever the weight,
            # there is nothing to keep of a random code.
            fresh = ~self.filled[batch.rows] | (self.epochs < self.warm_up)
            momentum = torch.where(fresh, 0.0, 1 - weight * (1 - self.momentum))
            momentum = torch.where(weight > 0, momentum, 1.0)
            self.bank[batch.rows] = moved_bank(
                self.bank[batch.rows], z_image, z_text, momentum[:, None], self.normalised
            )
            self.filled[batch.rows] |= weight > 0
        return loss.detach()

    def pair_losses(self, batch: Batch) -> Tensor:
        """The loss of each pair at full trust in all; where negatives are drawn, with each as often as expected."""
        z_image, z_text = normalize(self.encode_image(batch.image)), normalize(self.encode_text(batch.text))
        return self._losses(z_image, z_text, batch.rows, batch.image.new_ones(len(batch)), expected=True)

    def end_epoch(self, epoch: int) -> None:
        """The learning rate falls to a tenth, four times at most."""
        self.epochs += 1
        falls = min(4, max(0, self.epochs - self.late) // self.step_epochs)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * 0.1**falls
