"""CHNR's hash networks (paper, section 2.2; published ``UHND.py`` and ``controller_UNHD.py``)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness import Batch, Need, PairTrust, Phase, TrainingPairs
from harness.plugin.interfaces import Objective, Run
from harness.training.building_blocks.contrast import contrast_within
from harness.training.building_blocks.networks import TwoNetworks, hash_network, outputs_of_views
from harness.training.building_blocks.optimisation import has_fused_steps, lower_learning_rate, take_step


def quantisation(target: Tensor, *outputs: Tensor) -> Tensor:
    """Sum over views and pairs of ||B_i - h_i||^2, (b, n_bits) each."""
    return sum(((target - output) ** 2).sum() for output in outputs)  # type: ignore[return-value]  # there is at least one


class ContrastiveHasher(TwoNetworks):
    """Loss of a batch: objective(image, caption) + intra-modal terms + beta x quantisation (paper, equation 6).

    B = sign of the mean of the four outputs (image, augmented image, caption, augmented caption) of each pair, as they
    were during the last epoch. It is random in the very first epoch. When a phase starts, the codes of pairs that the
    phase before did not train on come from the networks as they are.
    """

    image_network: nn.Sequential
    text_network: nn.Sequential
    smallest_batch = 2  # batch normalisation

    def __init__(
        self, *, objective: Objective, hidden: int, batch_size: int, learning_rate: float, weight_decay: float,
        beta: float, intra_image: float, intra_text: float, step_epochs: int, step_factor: float,
        smallest_learning_rate: float, augmented_text: str, code_buffer: str,
    ) -> None:  # fmt: skip
        self.objective = objective
        self.hidden, self.batch_size = hidden, batch_size
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.beta, self.intra_image, self.intra_text = beta, intra_image, intra_text
        self.step_epochs, self.step_factor, self.smallest_learning_rate = (
            step_epochs,
            step_factor,
            smallest_learning_rate,
        )
        self.augmented_text, self.code_buffer = augmented_text, code_buffer

    def build(self, d_image: int, d_text: int, n_bits: int) -> tuple[nn.Module, nn.Module]:
        """d -> hidden, batch normalisation, ReLU -> n_bits, tanh, for both."""
        image, text = (hash_network(d, self.hidden, n_bits, normalised=True) for d in (d_image, d_text))
        return image, text

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: Run) -> None:
        """Networks, optimiser, and random target codes."""
        self.make_networks(pairs.image.shape[1], pairs.text.shape[1], run)
        fused = has_fused_steps(run.device)
        self.optimiser = torch.optim.Adam(
            self.network_parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=fused
        )
        self.run = run
        shape = (len(pairs), run.n_bits)
        self.codes = torch.randn(shape, generator=run.generator("target-codes"), device=run.device).sign()
        self.outputs = torch.zeros(shape, device=run.device)
        self.trained = torch.zeros(len(pairs), dtype=torch.bool, device=run.device)
        self.started = False

    def begin_phase(self, phase: Phase, pairs: TrainingPairs, rows: Tensor) -> None:
        """Choose where target codes are kept, and give codes to pairs that have none yet."""
        if self.code_buffer == "positions":
            # B8: the program indexes its buffer by position in the list of the phase, so that codes of the trusted
            # phase lie at the places of other pairs afterwards, and all other places hold sign(0) = 0.
            order = pairs.granted[Need.SOURCE_ORDER]
            self.slot = torch.empty(len(pairs), dtype=torch.int64, device=rows.device)
            self.slot[rows] = order[rows].argsort().argsort()
            return
        self.slot = torch.arange(len(pairs), device=rows.device)
        if self.started:
            missing = rows[~self.trained[rows]]
            for part in missing.split(4096):
                with torch.no_grad():
                    batch = pairs.rows(part)
                    outputs = torch.stack([self.encode_image(x) for x in self._image_views(batch)]).mean(0)
                    outputs += torch.stack([self.encode_text(x) for x in self._text_views(batch)]).mean(0)
                    self.outputs[part] = outputs / 2
            self.codes = self.outputs.sign()

    def _image_views(self, batch: Batch) -> list[Tensor]:
        """The image and its augmented view; one tensor where the image stands for both."""
        return [batch.image, *batch.image_views[:1]]

    def _text_views(self, batch: Batch) -> list[Tensor]:
        return [batch.text, *(batch.text_views[:1] if self.augmented_text == "use" else ())]

    def step(self, batch: Batch, trust: PairTrust) -> Tensor:
        """One step of Adam on both networks."""
        with self.run.autocast():
            h_image, h_image_view = outputs_of_views(self.image_network, self._image_views(batch))
            h_text, h_text_view = outputs_of_views(self.text_network, self._text_views(batch))
        outputs = (h_image, h_image_view, h_text, h_text_view)
        loss = self.objective(h_image, h_text, trust).sum()
        loss = loss + contrast_within(self.objective, outputs, trust.weight, self.intra_image, self.intra_text)
        slots = self.slot[batch.rows]
        loss = loss + self.beta * quantisation(self.codes[slots], *outputs)
        take_step(loss, self.optimiser)
        with torch.no_grad():
            self.outputs[slots] = (h_image + h_image_view + h_text + h_text_view) / 4
            self.trained[batch.rows] = True
        return loss.detach()

    def pair_losses(self, batch: Batch) -> Tensor:
        """The objective of each pair, fully trusted."""
        return self.objective(
            self.encode_image(batch.image), self.encode_text(batch.text), PairTrust(batch.image.new_ones(len(batch)))
        )

    def end_epoch(self, epoch: int) -> None:
        """New target codes; the learning rate falls after epochs 0, 50, 100."""
        self.codes = self.outputs.sign()
        self.started = True
        if epoch % self.step_epochs == 0:
            lower_learning_rate(self.optimiser, self.step_factor, self.smallest_learning_rate)
