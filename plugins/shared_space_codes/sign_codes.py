"""``clip-sign`` and ``lsh``: bits that say on which side of a hyperplane of a shared space an item lies.

Which caption belongs to which image is never looked at; weights of pairs count in means and principal directions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness import HarnessError, PairTrust, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.canonical import centred
from harness.training.building_blocks.linear import LinearCodes, usable_weights
from harness.training.building_blocks.rotation import random_rotation
from harness.training.building_blocks.structure import weighted_mean


class SharedSpaceCodes(LinearCodes):
    """Means of both modalities, or zeros, and one projection for both."""

    centre: bool

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """Closed form.

        Raises:
            HarnessError: Image and caption features differ in width.
        """
        d, d_text = pairs.image.shape[1], pairs.text.shape[1]
        if d != d_text:
            raise HarnessError(
                f"this hasher gives both modalities the same hyperplanes, and features of images and captions have {d} "
                f"and {d_text} numbers: use the two towers of one model."
            )
        weight = usable_weights(trust.weight)
        views = [view.double() for view in (pairs.image, pairs.text)]
        self.means = tuple(
            centred(view, weight)[1] if self.centre else torch.zeros(d, dtype=torch.float64, device=run.device)
            for view in views
        )
        shifted = [view - mean for view, mean in zip(views, self.means, strict=True)]
        # Each modality counts alike, however wide it spreads: so `scalar` standardisation makes no difference.
        spreads = [weighted_mean(view.square().mean(dim=1), weight).sqrt() for view in shifted]
        both = torch.cat([view / (spread if spread > 0 else 1) for view, spread in zip(shifted, spreads, strict=True)])
        self.projections = (self.projection(both, weight.repeat(2), run),) * 2

    def projection(self, both: Tensor, weight: Tensor, run: Run) -> Tensor:
        """(d, n_bits) float64.

        Args:
            both: (2n, d) float64 features of images and captions, centred or not, of mean square 1 in each modality.
            weight: (2n,) float64.
            run: The run.
        """
        raise NotImplementedError


class RandomHyperplanes(SharedSpaceCodes):
    """b = sign(x W), W normal, the same for both modalities."""

    def __init__(self, *, centre: bool) -> None:
        self.centre = centre

    def projection(self, both: Tensor, weight: Tensor, run: Run) -> Tensor:
        """(d, n_bits) normal random numbers."""
        shape = (both.shape[1], run.n_bits)
        return torch.randn(shape, generator=run.generator("hyperplanes"), device=run.device).double()


class SignCodes(SharedSpaceCodes):
    """b = sign(x) with as many bits as dimensions; see ``fewer_bits`` for other lengths."""

    def __init__(self, *, centre: bool, fewer_bits: str) -> None:
        self.centre, self.fewer_bits = centre, fewer_bits

    def projection(self, both: Tensor, weight: Tensor, run: Run) -> Tensor:
        """The identity, principal directions turned at random, the first dimensions, or a tight frame."""
        d, n_bits = both.shape[1], run.n_bits
        identity = torch.eye(d, dtype=torch.float64, device=run.device)
        if n_bits > d:
            return random_rotation(d, n_bits, run)
        if n_bits == d or self.fewer_bits == "first":
            return identity[:, :n_bits]
        # The first principal directions vary most, and a bit cannot say so: turned, all bits say equally much.
        values, vectors = torch.linalg.eigh((both * weight[:, None]).T @ both)
        real = int((values > 1e-10 * values[-1]).sum())  # few items span few directions
        directions = vectors[:, -max(1, min(n_bits, real)) :]
        return directions @ random_rotation(directions.shape[1], n_bits, run)
