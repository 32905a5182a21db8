"""Hash networks, one for each modality, and the learner's half of the contract that follows from having two."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, normalize

from harness.plugin.interfaces import Run


class UnitLength(nn.Module):
    """(b, d) to rows of length 1."""

    def forward(self, features: Tensor) -> Tensor:
        """A row of zeros stays one."""
        return normalize(features)


def hash_network(
    d: int, hidden: int, n_bits: int, *, normalised: bool = False, dropout: float = 0.0, squashed: bool = True
) -> nn.Sequential:
    """d -> hidden, [batch normalisation], ReLU, [dropout] -> n_bits, [tanh].

    Args:
        d: Width of the features.
        hidden: Width of the hidden layer.
        n_bits: Code length.
        normalised: Batch normalisation before the ReLU.
        dropout: Probability of dropout after the ReLU; 0 leaves the layer out.
        squashed: Whether the outputs pass a tanh; otherwise they are the linear layer's.

    Returns:
        (b, d) to (b, n_bits).
    """
    return nn.Sequential(
        nn.Linear(d, hidden),
        *([nn.BatchNorm1d(hidden)] if normalised else []),
        nn.ReLU(inplace=True),
        *([nn.Dropout(dropout)] if dropout else []),
        nn.Linear(hidden, n_bits),
        *([nn.Tanh()] if squashed else []),
    )


def outputs_of_views(network: nn.Sequential, views: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Outputs of the original and the augmented view while training, (b, n_bits) each.

    Both views pass the linear layers in one product, and batch normalisation as batches of their own. A view that
    stands for both is encoded once; the running statistics then move as if it had been encoded twice.

    Args:
        network: From :func:`hash_network`, ``normalised``, without dropout.
        views: One or two tensors (b, d).
    """
    parts: tuple[Any, ...] = tuple(network)  # of the kinds that hash_network chose, which Sequential does not tell
    first, norm, relu, last, tanh = parts
    momentum = norm.momentum if len(views) == 2 else 1 - (1 - norm.momentum) ** 2
    norm.num_batches_tracked += 2
    statistics = (norm.running_mean, norm.running_var, norm.weight, norm.bias, True, momentum, norm.eps)
    before = first(torch.cat(views) if len(views) == 2 else views[0]).split(len(views[0]))
    hidden = torch.cat([batch_norm(view, *statistics) for view in before])
    # Under autocast the products come in bf16; everything after them is float32 again.
    outputs = tanh(last(relu(hidden)).to(first.weight.dtype)).split(len(views[0]))
    return outputs[0], outputs[-1]


class TwoNetworks:
    """A hasher whose codes come from ``image_network`` and ``text_network``: encoding, state and restoring.

    A subclass defines ``build(d_image, d_text, n_bits)``, which returns the two networks, and calls
    :meth:`make_networks` in ``begin``.
    """

    image_network: nn.Module
    text_network: nn.Module

    def build(self, d_image: int, d_text: int, n_bits: int) -> tuple[nn.Module, nn.Module]:
        """Networks (b, d_image) -> (b, n_bits) and (b, d_text) -> (b, n_bits)."""
        raise NotImplementedError

    def make_networks(self, d_image: int, d_text: int, run: Run) -> None:
        """New networks on the run's device."""
        self._widths = (d_image, d_text)
        self.image_network, self.text_network = (
            network.to(run.device) for network in self.build(d_image, d_text, run.n_bits)
        )

    def network_parameters(self) -> list[nn.Parameter]:
        """The weights of both networks."""
        return [*self.image_network.parameters(), *self.text_network.parameters()]

    def encode_image(self, image: Tensor) -> Tensor:
        """(m, d_image) to (m, n_bits), each row on its own: batch statistics and dropout are off."""
        self.image_network.eval()
        return self.image_network(image)

    def encode_text(self, text: Tensor) -> Tensor:
        """(m, d_text) to (m, n_bits), each row on its own."""
        self.text_network.eval()
        return self.text_network(text)

    def state(self) -> dict[str, Tensor]:
        """Weights of both networks, and the widths of the features."""
        parts = {"image": self.image_network, "text": self.text_network}
        weights = {
            f"{name}.{key}": tensor for name, network in parts.items() for key, tensor in network.state_dict().items()
        }
        return {**weights, "widths": torch.tensor(self._widths)}

    def restore(self, state: dict[str, Tensor], run: Run) -> None:
        """The inverse of :meth:`state`."""
        d_image, d_text = (int(width) for width in state["widths"])
        self.make_networks(d_image, d_text, run)
        for name, network in (("image.", self.image_network), ("text.", self.text_network)):
            network.load_state_dict(
                {key.removeprefix(name): tensor for key, tensor in state.items() if key.startswith(name)}
            )
