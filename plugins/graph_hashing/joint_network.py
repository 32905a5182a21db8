"""The joint network of CIRH's first stage: codes of pairs that are seen with both halves (``MyNet`` in models.py)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu

from harness.training.building_blocks.normalisation import WeightedBatchNorm


class NormalisedLinear(nn.Module):
    """Linear, weighted batch normalisation."""

    def __init__(self, d: int, width: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(d, width), WeightedBatchNorm(width)

    def forward(self, values: Tensor, weight: Tensor, spread: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """(b, d) to (b, width); with ``spread``, the product with the graph A of the batch, a convolution A (x W)."""
        outputs = self.linear(values)
        return self.norm(outputs if spread is None else spread(outputs), weight)


class JointNetwork(nn.Module):
    """Encoders, graph layers of each modality and of both together, heads, and decoders of both.

    It is used on batches while training and never to encode, so it keeps no running statistics. A pair hears from
    another by its similarity times that pair's weight, and from its own other half by its own weight; statistics of
    batches are weighted. With weights of 1 that is the program's network, with weights of 0 and 1 the program's on the
    pairs that have a 1.

    Args:
        d_image: Width of the image features.
        d_text: Width of the caption features.
        n_bits: Code length.
        width: Width of all layers between.
    """

    def __init__(self, d_image: int, d_text: int, n_bits: int, width: int) -> None:
        super().__init__()
        self.encode_image, self.encode_text = NormalisedLinear(d_image, width), NormalisedLinear(d_text, width)
        self.graph_image, self.graph_text, self.graph_joint = (NormalisedLinear(width, width) for _ in range(3))
        self.head_joint = NormalisedLinear(width, n_bits)
        self.head_image, self.head_text = NormalisedLinear(2 * width, n_bits), NormalisedLinear(2 * width, n_bits)
        self.head = NormalisedLinear(3 * n_bits, n_bits)
        self.decode_image_1, self.decode_image_2 = NormalisedLinear(n_bits, width), NormalisedLinear(width, d_image)
        self.decode_text_1, self.decode_text_2 = NormalisedLinear(n_bits, width), NormalisedLinear(width, d_text)

    def forward(self, image: Tensor, text: Tensor, structure: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        """One batch.

        Args:
            image: (b, d_image) features.
            text: (b, d_text) features.
            structure: (b, b) S between the pairs.
            weight: (b,) trust in the pairs.

        Returns:
            HI, HT, H, each (b, n_bits), and the rebuilt features, (b, d_image) and (b, d_text).
        """
        heard = structure * weight
        heard = heard - torch.diag(heard.diagonal()) + torch.diag(structure.diagonal())
        v_image = normalize(relu(self.encode_image(image, weight)))
        v_text = normalize(relu(self.encode_text(text, weight)))
        g_image = relu(self.graph_image(v_image, weight, heard.mm))
        g_text = relu(self.graph_text(v_text, weight, heard.mm))

        def spread(values: Tensor) -> Tensor:
            """The block matrix [[S, I], [I, S]] times (2b, width) values."""
            of_image, of_text = values.split(len(weight))
            link = weight[:, None]
            return torch.cat([heard @ of_image + link * of_text, link * of_image + heard @ of_text])

        both = self.graph_joint(torch.cat([v_image, v_text]), torch.cat([weight, weight]), spread)
        joint = relu(sum(both.split(len(weight))))
        h_joint = self.head_joint(joint, weight)
        h_image = self.head_image(torch.cat([g_image, joint], dim=1), weight)
        h_text = self.head_text(torch.cat([joint, g_text], dim=1), weight)
        h = self.head(torch.cat([h_image, h_joint, h_text], dim=1), weight).tanh()
        rebuilt_image = self.decode_image_2(relu(self.decode_image_1(h + h_image.tanh(), weight)), weight)
        rebuilt_text = self.decode_text_2(relu(self.decode_text_1(h + h_text.tanh(), weight)), weight)
        return h_image, h_text, h, rebuilt_image, rebuilt_text
