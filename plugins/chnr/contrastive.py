"""CHNR's hash networks (paper, section 2.2; published ``UHND.py`` and ``controller_UNHD.py``)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from harness import Batch, Need, PairTrust, Phase, TrainingPairs


def hash_network(d: int, hidden: int, n_bits: int) -> nn.Sequential:
    """d -> hidden, batch normalisation, ReLU -> n_bits, tanh."""
    return nn.Sequential(
        nn.Linear(d, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, n_bits), nn.Tanh()
    )


def train_outputs(network: nn.Sequential, views: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Outputs of the original and the augmented view while training, (b, n_bits) each.

    Both views pass the linear layers in one product, and batch normalisation as batches of their own. A view that
    stands for both is encoded once; the running statistics then move as if it had been encoded twice.

    Args:
        network: From :func:`hash_network`.
        views: One or two tensors (b, d).
    """
    first, norm, relu, last, tanh = network
    momentum = norm.momentum if len(views) == 2 else 1 - (1 - norm.momentum) ** 2
    norm.num_batches_tracked += 2
    statistics = (norm.running_mean, norm.running_var, norm.weight, norm.bias, True, momentum, norm.eps)
    before = first(torch.cat(views) if len(views) == 2 else views[0]).split(len(views[0]))
    hidden = torch.cat([batch_norm(view, *statistics) for view in before])
    # Under autocast the products come in bf16; everything after them is float32 again.
    outputs = tanh(last(relu(hidden)).to(first.weight.dtype)).split(len(views[0]))
    return outputs[0], outputs[-1]


def quantisation(target: Tensor, *outputs: Tensor) -> Tensor:
    """Sum over views and pairs of ||B_i - h_i||^2, (b, n_bits) each."""
    return sum(((target - output) ** 2).sum() for output in outputs)


class ContrastiveHasher:
    """Loss of a batch: objective(image, caption) + intra-modal terms + beta x quantisation (paper, equation 6).

    B = sign of the mean of the four outputs (image, augmented image, caption, augmented caption) of each pair, as they
    were during the last epoch. It is random in the very first epoch. When a phase starts, the codes of pairs that the
    phase before did not train on come from the networks as they are.
    """

    smallest_batch = 2  # batch normalisation

    def __init__(
        self, *, objective, hidden: int, batch_size: int, learning_rate: float, weight_decay: float, beta: float,
        intra_image: float, intra_text: float, step_epochs: int, step_factor: float, smallest_learning_rate: float,
        augmented_text: str, code_buffer: str,
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

    def _make_networks(self, d_image: int, d_text: int, n_bits: int, device: torch.device) -> None:
        self.image_network = hash_network(d_image, self.hidden, n_bits).to(device)
        self.text_network = hash_network(d_text, self.hidden, n_bits).to(device)

    def begin(self, pairs: TrainingPairs, phases, run) -> None:
        """Networks, optimiser, and random target codes."""
        self._make_networks(pairs.image.shape[1], pairs.text.shape[1], run.n_bits, run.device)
        parameters = [*self.image_network.parameters(), *self.text_network.parameters()]
        fused = run.device.type in ("cpu", "cuda")
        self.optimiser = torch.optim.Adam(
            parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=fused
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
            h_image, h_image_view = train_outputs(self.image_network, self._image_views(batch))
            h_text, h_text_view = train_outputs(self.text_network, self._text_views(batch))
        loss = self.objective(h_image, h_text, trust).sum()
        mean_trust = PairTrust(trust.weight.mean().expand(len(batch)))
        if self.intra_image:
            loss = loss + self.intra_image * self.objective(h_image, h_image_view, mean_trust).sum()
        if self.intra_text:
            loss = loss + self.intra_text * self.objective(h_text, h_text_view, mean_trust).sum()
        slots = self.slot[batch.rows]
        loss = loss + self.beta * quantisation(self.codes[slots], h_image, h_image_view, h_text, h_text_view)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
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
            for group in self.optimiser.param_groups:
                group["lr"] = max(group["lr"] * self.step_factor, self.smallest_learning_rate)

    def encode_image(self, image: Tensor) -> Tensor:
        """(m, d_image) to (m, n_bits) in (-1, 1)."""
        self.image_network.eval()
        return self.image_network(image)

    def encode_text(self, text: Tensor) -> Tensor:
        """(m, d_text) to (m, n_bits) in (-1, 1)."""
        self.text_network.eval()
        return self.text_network(text)

    def state(self) -> dict[str, Tensor]:
        """Weights of both networks."""
        parts = {"image": self.image_network, "text": self.text_network}
        return {
            f"{name}.{key}": tensor for name, network in parts.items() for key, tensor in network.state_dict().items()
        }

    def restore(self, state: dict[str, Tensor], run) -> None:
        """The inverse of :meth:`state`."""
        self.hidden = len(state["image.0.bias"])
        self._make_networks(state["image.0.weight"].shape[1], state["text.0.weight"].shape[1], run.n_bits, run.device)
        for name, network in (("image", self.image_network), ("text", self.text_network)):
            network.load_state_dict(
                {key.removeprefix(name + "."): tensor for key, tensor in state.items() if key.startswith(name + ".")}
            )
