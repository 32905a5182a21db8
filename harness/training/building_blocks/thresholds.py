"""Linear codes with a threshold for each bit, and the weighted median that is one."""

from __future__ import annotations

from torch import Tensor

from harness.plugin.interfaces import Run
from harness.training.building_blocks.linear import LinearCodes


class ThresholdedCodes(LinearCodes):
    """Outputs are (x - mean) @ projection - threshold.

    ``fit`` of a subclass sets :attr:`thresholds`, (n_bits,) float64 for each modality, beside means and projections.
    """

    thresholds: tuple[Tensor, ...]

    def encode_image(self, image: Tensor) -> Tensor:
        """(m, n_bits) float64."""
        return super().encode_image(image) - self.thresholds[0]

    def encode_text(self, text: Tensor) -> Tensor:
        """(m, n_bits) float64."""
        return super().encode_text(text) - self.thresholds[1]

    def state(self) -> dict[str, Tensor]:
        """Means, projections and thresholds of both modalities."""
        return {**super().state(), "image.threshold": self.thresholds[0], "text.threshold": self.thresholds[1]}

    def restore(self, state: dict[str, Tensor], run: Run) -> None:
        """The inverse of :meth:`state`."""
        super().restore(state, run)
        self.thresholds = tuple(state[f"{name}.threshold"].to(run.device) for name in ("image", "text"))


def weighted_median(values: Tensor, weight: Tensor) -> Tensor:
    """Median of each column, each row counted as many times as its weight says.

    With weights of 1 it is the usual median, for an even number of rows the mean of the two in the middle.

    Args:
        values: (n, k) float64.
        weight: (n,) float64, above 0.

    Returns:
        (k,) float64.
    """
    ordered, order = values.sort(dim=0)
    reached = weight[order].cumsum(dim=0)
    half = reached[-1] / 2
    lower = (reached < half).sum(dim=0)
    upper = (reached <= half).sum(dim=0)
    return (ordered.gather(0, lower[None]) + ordered.gather(0, upper[None]))[0] / 2
