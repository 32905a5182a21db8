"""Batch normalisation in which pairs count by their weight."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightedBatchNorm(nn.Module):
    """Normalises each column by the weighted mean and variance of the batch; for networks that only see batches.

    With weights of 1 it is ``torch.nn.BatchNorm1d`` while training. With weights of 0 and 1 the rows that have a 1
    come out as if the others were not in the batch. There are no running statistics.

    Args:
        width: Columns.
        eps: Added to the variance.
    """

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width)), eps

    def forward(self, values: Tensor, weight: Tensor) -> Tensor:
        """(b, width) values and (b,) weights, not negative, to (b, width)."""
        share = weight / weight.sum().clamp(min=1e-12)
        apart = values - share @ values
        return torch.addcmul(self.bias, apart, self.weight * (share @ apart.square() + self.eps).rsqrt())
