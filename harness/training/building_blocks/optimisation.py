"""What training steps of hashers share: one kernel for all weights, the step itself, a falling learning rate."""

from __future__ import annotations

import torch
from torch import Tensor


def has_fused_steps(device: torch.device) -> bool:
    """Whether torch's optimisers update all weights in one kernel there (their argument ``fused``)."""
    return device.type in ("cpu", "cuda")


def take_step(loss: Tensor, *optimisers: torch.optim.Optimizer) -> None:
    """New gradients of a 0-d loss, then one step of each optimiser."""
    for optimiser in optimisers:
        optimiser.zero_grad()
    loss.backward()
    for optimiser in optimisers:
        optimiser.step()


def lower_learning_rate(optimiser: torch.optim.Optimizer, factor: float, smallest: float) -> None:
    """Multiply the learning rate by a factor; it does not fall below ``smallest``."""
    for group in optimiser.param_groups:
        group["lr"] = max(group["lr"] * factor, smallest)
