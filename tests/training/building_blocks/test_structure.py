"""Weighted errors between cosine matrices, against plain loops."""

from __future__ import annotations

import pytest
import torch

from harness.training.building_blocks.structure import (
    cosines,
    shares_of_pairs,
    weighted_mean,
    weighted_mean_square,
)


@pytest.fixture
def matrix():
    return torch.randn(7, 7, generator=torch.Generator().manual_seed(1)).double()


def test_entries_count_with_the_weights_of_both_their_pairs(matrix):
    weight = torch.rand(7, generator=torch.Generator().manual_seed(2)).double()
    above = sum(weight[i] * weight[j] * matrix[i, j] ** 2 for i in range(7) for j in range(7))
    below = sum(weight[i] * weight[j] for i in range(7) for j in range(7))
    assert weighted_mean_square(matrix, weight).item() == pytest.approx((above / below).item())
    assert weighted_mean_square(matrix, torch.ones(7).double()).item() == pytest.approx(matrix.square().mean().item())


def test_weights_of_0_and_1_are_a_selection(matrix):
    kept = torch.tensor([1, 0, 1, 1, 0, 0, 1]).bool()
    selected = weighted_mean_square(matrix, kept.double())
    assert selected.item() == pytest.approx(matrix[kept][:, kept].square().mean().item())
    values = matrix[0]
    assert weighted_mean(values, kept.double()).item() == pytest.approx(values[kept].mean().item())


def test_no_weight_at_all_gives_zero_with_a_finite_gradient(matrix):
    matrix.requires_grad_()
    loss = weighted_mean_square(matrix, torch.zeros(7).double()) + weighted_mean(matrix[0], torch.zeros(7).double())
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(matrix.grad).all()


def test_shares_of_the_pairs_have_the_loss_as_their_mean(matrix):
    assert shares_of_pairs(matrix).mean().item() == pytest.approx(matrix.square().mean().item())


def test_cosines_of_rows_of_zeros_are_zero():
    a = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert cosines(a, a).tolist() == [[pytest.approx(1.0), 0.0], [0.0, 0.0]]
