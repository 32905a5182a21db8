"""RFDH: every update against exhaustive search or a gradient, the objective falls, weights are copies."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
import scipy.optimize
import torch
from harness_plugins.shallow_hashing import rfdh
from reference import shallow


@pytest.fixture
def problem():
    """Eight pairs, three bits: views, codes, bases, strengths of pairs."""
    x, y, _ = shallow.two_views(8, 4, 3)
    generator = torch.Generator().manual_seed(1)
    codes = (torch.rand(8, 3, generator=generator) > 0.5).double()
    bases = [torch.randn(3, d, generator=generator).double() for d in (4, 3)]
    strengths = [torch.rand(8, generator=generator).double() + 0.2 for _ in range(2)]
    return [torch.from_numpy(view) for view in (x, y)], codes, bases, strengths


def quadratic(views, codes, bases, strengths) -> float:
    return sum(
        float(strength @ (view - codes @ basis).square().sum(1))
        for view, basis, strength in zip(views, bases, strengths, strict=True)
    )


def test_one_pass_sets_every_bit_as_exhaustive_search_over_balanced_bits_would(problem):
    views, codes, bases, strengths = problem
    expected = codes.clone()
    for bit in range(3):
        best = None
        for chosen in combinations(range(8), 4):
            candidate = expected.clone()
            candidate[:, bit] = 0
            candidate[list(chosen), bit] = 1
            loss = quadratic(views, candidate, bases, strengths)
            if best is None or loss < best[0]:
                best = (loss, candidate)
        expected = best[1]
    found = rfdh.update_codes(codes, views, bases, strengths, torch.ones(8).double(), passes=1)
    assert torch.equal(found, expected)


def test_passes_end_where_nothing_changes(problem):
    views, codes, bases, strengths = problem
    weight = torch.ones(8).double()
    many = rfdh.update_codes(codes, views, bases, strengths, weight, passes=50)
    assert torch.equal(rfdh.update_codes(many, views, bases, strengths, weight, passes=1), many)


@pytest.mark.parametrize(("n", "expected"), [(4, 2), (5, 3), (1, 1), (60, 30)])
def test_half_of_the_pairs_are_ones(n, expected):
    assert rfdh.cheaper_half(torch.randn(n).double(), torch.ones(n).double()).sum() == expected


def test_half_of_the_weight_is_ones():
    cost, weight = torch.tensor([5.0, 1, 3, 4]).double(), torch.tensor([1.0, 2, 1, 2]).double()
    assert rfdh.cheaper_half(cost, weight).tolist() == [0, 1, 1, 0]
    copied = rfdh.cheaper_half(cost.repeat_interleave(weight.long()), torch.ones(6).double())
    assert copied.tolist() == [0, 1, 1, 1, 0, 0]


def test_shares_make_the_weighted_sum_smallest():
    residuals = [torch.tensor(7.0).double(), torch.tensor(3.0).double()]

    def loss(first):
        return first**3 * 7 + (1 - first) ** 3 * 3

    best = scipy.optimize.minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-10}).x
    shares = rfdh.view_shares(residuals, 3.0, released=False)
    assert float(shares[0]) == pytest.approx(best, abs=1e-6)
    assert float(shares.sum()) == pytest.approx(1)
    assert rfdh.view_shares(residuals, 3.0, released=True)[0] > 0.5 > shares[0]


def test_basis_has_no_gradient_left(problem):
    views, codes, _, (strength, _) = problem
    basis = rfdh.update_basis(views[0], codes, strength, 0.3).requires_grad_()
    loss = strength @ (views[0] - codes @ basis).square().sum(1) + 0.3 * basis.square().sum()
    assert torch.autograd.grad(loss, basis)[0].abs().max() < 1e-10


def test_residual_weights_bound_the_lengths(problem):
    views, codes, bases, _ = problem
    weight = torch.rand(8).double()
    inverse, total = rfdh.residual_weights(views[0], codes, bases[0], weight)
    lengths = (views[0] - codes @ bases[0]).norm(dim=1)
    assert torch.allclose(inverse, 1 / lengths)
    assert torch.allclose(total, weight @ lengths)
    perfect, _ = rfdh.residual_weights(codes @ bases[0], codes, bases[0], weight)
    assert torch.isfinite(perfect).all()


def test_the_objective_never_rises_once_the_bits_are_balanced():
    x, y, _ = shallow.two_views(40)
    heard = []
    shallow.fit(shallow.made("rfdh"), x, y, 6, listener=heard.append)
    losses = [news.loss for news in heard]
    assert len(losses) == 20
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(losses))
    assert losses[-1] < 0.98 * losses[0]


def test_a_weight_counts_as_so_many_copies(problem):
    views, codes, _, _ = problem
    copies = torch.tensor([1, 3, 2, 1, 1, 2, 1, 1])
    weight = copies.double()
    again = [part.repeat_interleave(copies, dim=0) for part in (*views, codes)]
    assert torch.allclose(
        rfdh.update_basis(views[0], codes, weight, 0.1), rfdh.update_basis(again[0], again[2], torch.ones(12), 0.1)
    )
    for form in ("orthogonal", "regression", "released"):
        latent = codes + 0.3 * torch.randn(8, 3, generator=torch.Generator().manual_seed(2)).double()
        one = rfdh.fit_rotation(2 * codes - 1, latent, weight, form, 0.1)
        other = rfdh.fit_rotation(2 * again[2] - 1, latent.repeat_interleave(copies, dim=0), torch.ones(12), form, 0.1)
        assert torch.allclose(one, other, atol=1e-9)


def test_rotations_are_what_their_names_say():
    generator = torch.Generator().manual_seed(3)
    codes, latent = torch.randn(50, 4, generator=generator).double().sign(), torch.randn(50, 4, generator=generator)
    latent, weight = latent.double(), torch.ones(50).double()
    expected, _ = scipy.linalg.orthogonal_procrustes(latent.numpy(), codes.numpy())
    np.testing.assert_allclose(rfdh.fit_rotation(codes, latent, weight, "orthogonal", 1e-4), expected, atol=1e-10)
    expected = np.linalg.lstsq(latent.numpy(), codes.numpy(), rcond=None)[0]
    np.testing.assert_allclose(rfdh.fit_rotation(codes, latent, weight, "regression", 1e-9), expected, atol=1e-8)


def test_linear_functions_predict_the_rotated_codes():
    x, y, _ = shallow.two_views(200, 12, 10)
    hasher = shallow.made("rfdh", ridge=0.01)
    run, weight = shallow.run_of(4), torch.ones(200).double()
    views = [torch.from_numpy(view - view.mean(0)) for view in (x, y)]
    codes = hasher.learn_codes(views, weight, run.generator("rfdh"), run)
    assert (codes.mean(0) == 0.5).all()
    functions, offsets, rotation = hasher.learn_functions(views, 2 * codes - 1, weight, run.generator("rfdh"), run)
    for view, function, offset in zip(views, functions, offsets, strict=True):
        predicted = ((view @ function - offset) @ rotation > 0).double()
        assert (predicted == codes).double().mean() > 0.8


def test_a_pair_that_fits_badly_counts_less():
    """A few features that are far off move the bases less than by least squares."""
    x = shallow.two_views(100)[0]
    view, weight = torch.from_numpy(x), torch.ones(100).double()
    codes = (torch.rand(100, 5, generator=torch.Generator().manual_seed(1)) > 0.5).double()
    spoilt = view.clone()
    spoilt[:5] += 30 * torch.randn(5, 9, generator=torch.Generator().manual_seed(2)).double()

    def robust(view):
        basis = rfdh.update_basis(view, codes, weight, 1e-4)
        for _ in range(30):
            basis = rfdh.update_basis(view, codes, rfdh.residual_weights(view, codes, basis, weight)[0], 1e-4)
        return basis

    moved = (robust(spoilt) - robust(view)).norm()
    assert moved < 0.2 * (rfdh.update_basis(spoilt, codes, weight, 1e-4) - robust(view)).norm()
