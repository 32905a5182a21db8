"""Linear codes: a bit says on which side of a hyperplane an item lies, one set of hyperplanes for each modality."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.plugin.interfaces import Run


def usable_weights(weight: Tensor) -> Tensor:
    """Weights for a closed form as float64, (n,); ones where all are 0, as nothing can be fitted on nothing."""
    weight = weight.double()
    return weight if bool((weight > 0).any()) else torch.ones_like(weight)


class LinearCodes:
    """Encoding, state and restoring of a hasher with (x - mean) @ projection for outputs.

    ``fit`` of a subclass sets :attr:`means`, (d_image,) and (d_text,) float64, and :attr:`projections`, (d_image,
    n_bits) and (d_text, n_bits) float64.
    """

    means: tuple[Tensor, ...]
    projections: tuple[Tensor, ...]

    def encode_image(self, image: Tensor) -> Tensor:
        """(m, n_bits) float64."""
        return (image.double() - self.means[0]) @ self.projections[0]

    def encode_text(self, text: Tensor) -> Tensor:
        """(m, n_bits) float64."""
        return (text.double() - self.means[1]) @ self.projections[1]

    def state(self) -> dict[str, Tensor]:
        """Means and projections of both modalities."""
        names = ("image", "text")
        return {
            **{f"{name}.mean": mean for name, mean in zip(names, self.means, strict=True)},
            **{f"{name}.projection": projection for name, projection in zip(names, self.projections, strict=True)},
        }

    def restore(self, state: dict[str, Tensor], run: Run) -> None:
        """The inverse of :meth:`state`."""
        self.means = tuple(state[f"{name}.mean"].to(run.device) for name in ("image", "text"))
        self.projections = tuple(state[f"{name}.projection"].to(run.device) for name in ("image", "text"))
