"""Steps and learning rates that hashers share."""

from __future__ import annotations

import pytest
import torch

from harness.training.building_blocks.more_bits import kept_directions
from harness.training.building_blocks.optimisation import lower_learning_rate, take_step


def test_a_step_uses_the_gradients_of_its_own_loss_alone():
    weights = torch.tensor([1.0, 1.0], requires_grad=True)
    optimisers = [torch.optim.SGD([weights], lr=0.1)]
    for _ in range(2):
        take_step((weights * torch.tensor([1.0, 2.0])).sum(), *optimisers)
    assert weights.tolist() == pytest.approx([0.8, 0.6])


def test_the_learning_rate_falls_to_its_floor():
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    rates = []
    for _ in range(3):
        lower_learning_rate(optimiser, 0.5, 0.3)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == [0.5, 0.3, 0.3]


def test_directions_that_are_rounding_are_not_kept_and_one_always_is():
    values = torch.tensor([2.0, 1.0, 1e-12])
    assert [kept_directions(values, bits) for bits in (1, 2, 8)] == [1, 2, 2]
    assert kept_directions(torch.zeros(3), 8) == 1
