"""Weighted batch normalisation against torch's own."""

from __future__ import annotations

import torch

from harness.training.building_blocks.normalisation import WeightedBatchNorm


def pair():
    torch.manual_seed(0)
    mine, theirs = WeightedBatchNorm(3).double(), torch.nn.BatchNorm1d(3).double()
    for norm in (mine, theirs):
        norm.weight.data, norm.bias.data = (
            torch.tensor([0.5, 2.0, -1.0]).double(),
            torch.tensor([1.0, 0.0, 3.0]).double(),
        )
    return mine, theirs, torch.randn(9, 3).double() * 3 + 1


def test_weights_of_one_are_plain_batch_normalisation_and_0_and_1_a_selection():
    mine, theirs, values = pair()
    assert torch.allclose(mine(values, torch.ones(9).double()), theirs(values))
    kept = torch.tensor([1, 0, 1, 1, 0, 1, 0, 0, 1]).bool()
    assert torch.allclose(mine(values, kept.double())[kept], theirs(values[kept]))


def test_a_weight_counts_as_copies_and_gradients_are_right():
    mine, theirs, values = pair()
    copies = torch.tensor([1, 2, 0, 3, 1, 1, 2, 1, 1])
    weighed, copied = mine(values, copies.double()), theirs(values.repeat_interleave(copies, dim=0))
    assert torch.allclose(weighed.repeat_interleave(copies, dim=0), copied)
    assert torch.autograd.gradcheck(mine, (values.requires_grad_(), torch.rand(9).double().requires_grad_()))


def test_constant_columns_and_no_weight_at_all_stay_finite():
    mine, _, values = pair()
    values[:, 1] = 7
    for weight in (torch.ones(9), torch.zeros(9)):
        out = mine(values, weight.double())
        assert torch.isfinite(out).all()
    assert torch.allclose(mine(values, torch.ones(9).double())[:, 1], torch.zeros(9).double())
