"""Weighted errors between cosine matrices, against plain loops."""

from __future__ import annotations

import pytest
import torch

from harness.training.building_blocks.structure import (
    cosines,
    joint_similarity,
    shares_of_pairs,
    weighted_mean,
    weighted_mean_square,
    weighted_product,
    weighted_row_cosines,
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


def test_products_and_row_cosines_count_columns_with_their_weight(matrix):
    other = torch.randn(7, 7, generator=torch.Generator().manual_seed(3)).double()
    weight = torch.rand(7, generator=torch.Generator().manual_seed(2)).double()
    expected = sum(weight[k] * matrix[2, k] * other[5, k] for k in range(7))
    lengths = [sum(weight[k] * row[k] ** 2 for k in range(7)) ** 0.5 for row in (matrix[2], other[5])]
    product, cosine = weighted_product(matrix, other, weight), weighted_row_cosines(matrix, other, weight)
    assert product[2, 5].item() == pytest.approx((expected / weight.sum()).item())
    assert cosine[2, 5].item() == pytest.approx((expected / lengths[0] / lengths[1]).item())


def test_joint_similarity_adds_both_with_their_factors(matrix):
    joint = joint_similarity(matrix, -matrix, 0.25, 0.5)
    assert torch.allclose(joint.diagonal(), torch.full((7,), 0.75).double())
    cosine = (matrix[1] @ matrix[4]) / matrix[1].norm() / matrix[4].norm()
    assert joint[1, 4].item() == pytest.approx(0.75 * (2 * cosine - 1).item())
