"""CMFH: every update is the minimum of its block, the objective falls, and it comes to rest where no gradient is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import torch
from harness_plugins.shallow_hashing import cmfh
from reference import shallow

from harness.training.building_blocks.canonical import centred
from harness.training.building_blocks.ridge import RidgeRegression

SHARES, MU, GAMMA, SHIFTS = (0.3, 0.7), 5.0, 0.2, (1.5, 0.8)


@pytest.fixture
def problem():
    """Two centred views, weights, and a random V, U and W."""
    x, y, weight = shallow.two_views(12, 4, 3)
    weight = torch.from_numpy(weight)
    views = [centred(torch.from_numpy(view), weight)[0] for view in (x, y)]
    generator = torch.Generator().manual_seed(0)
    factor, *rest = (
        torch.randn(*shape, generator=generator).double() for shape in ((12, 2), (2, 4), (2, 3), (4, 2), (3, 2))
    )
    return views, weight, factor, rest[:2], rest[2:]


def slow_objective(views, weight, factor, bases, functions) -> float:
    """The formula of the module's text, pair by pair."""
    total = 0.0
    for view, base, function, share, shift in zip(views, bases, functions, SHARES, SHIFTS, strict=True):
        for i in range(len(factor)):
            total += share * weight[i] * np.sum((view[i] - factor[i] @ base) ** 2)
            total += share * weight[i] * MU * np.sum((factor[i] - view[i] @ function) ** 2)
            total += share * weight[i] * GAMMA * np.sum(factor[i] ** 2)
        total += share * (GAMMA * np.sum(base**2) + MU * shift * np.sum(function**2))
    return total


def value(problem, factor, bases, functions):
    views, weight = problem[:2]
    return cmfh.objective(views, bases, factor, functions, weight, SHARES, MU, GAMMA, SHIFTS)


def regressions(problem):
    views, weight = problem[:2]
    return [RidgeRegression(view, weight, shift) for view, shift in zip(views, SHIFTS, strict=True)]


def test_objective_is_the_formula(problem):
    views, weight, factor, bases, functions = problem
    numbers = [
        [part.numpy() for part in parts] if isinstance(parts, list) else parts.numpy()
        for parts in (views, weight, factor, bases, functions)
    ]
    assert float(value(problem, factor, bases, functions)) == pytest.approx(slow_objective(*numbers))


def smallest(problem, which: str) -> dict:
    """The minimum over one block found by scipy from the random start, all else fixed."""
    _, _, factor, bases, functions = problem
    parts = {"V": [factor], "U": list(bases), "W": list(functions)}
    moved = parts[which]
    shapes = [part.shape for part in moved]

    def unpack(flat):
        pieces = torch.from_numpy(flat).split([shape.numel() for shape in shapes])
        return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]

    def loss(flat):
        leaf = torch.from_numpy(flat).requires_grad_()
        pieces = leaf.split([shape.numel() for shape in shapes])
        now = parts | {which: [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]}
        total = value(problem, now["V"][0], now["U"], now["W"])
        return total.item(), torch.autograd.grad(total, leaf)[0].numpy()

    start = torch.cat([part.reshape(-1) for part in moved]).numpy()
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9})
    return {which: unpack(found.x)}


def test_each_update_is_the_minimum_of_its_block(problem):
    views, weight, factor, bases, functions = problem
    updates = {
        "U": cmfh.update_bases(views, factor, weight, GAMMA),
        "V": [cmfh.update_factor(views, bases, functions, SHARES, MU, GAMMA)],
        "W": [regression(factor) for regression in regressions(problem)],
    }
    for which, found in updates.items():
        for one, other in zip(found, smallest(problem, which)[which], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_joint_update_is_the_minimum_over_factor_and_functions_together(problem):
    views, weight, _, bases, functions = problem
    regress = regressions(problem)
    factor = cmfh.JointUpdate(views, regress, weight, SHARES, MU, GAMMA)(bases)
    assert torch.allclose(factor, cmfh.update_factor(views, bases, [r(factor) for r in regress], SHARES, MU, GAMMA))
    # Separate updates come to the same place, in many steps.
    for _ in range(4000):
        step = cmfh.update_factor(views, bases, functions, SHARES, MU, GAMMA)
        functions = [r(step) for r in regress]
    assert torch.allclose(step, factor, atol=1e-8)


def losses_of(**settings) -> list[float]:
    x, y, weight = shallow.two_views(40)
    heard = []
    shallow.fit(shallow.made("cmfh", **settings), x, y, 4, weight, listener=heard.append)
    assert [news.epoch for news in heard] == list(range(1, settings["iterations"] + 1))
    return [news.loss for news in heard]


def test_the_objective_never_rises_and_the_joint_update_is_sooner_there():
    separate, joint = (losses_of(iterations=60, updates=updates) for updates in ("separate", "joint"))
    for losses in (separate, joint):
        assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(losses))
    assert joint[24] < separate[24]


def test_it_comes_to_rest_where_no_gradient_is(problem):
    views, weight, factor, _, _ = problem
    regress = regressions(problem)
    update = cmfh.JointUpdate(views, regress, weight, SHARES, MU, GAMMA)
    for _ in range(3000):
        bases = cmfh.update_bases(views, factor, weight, GAMMA)
        factor = update(bases)
    leaves = [part.requires_grad_() for part in (factor, *bases, *(r(factor.detach()) for r in regress))]
    gradients = torch.autograd.grad(value(problem, leaves[0], leaves[1:3], leaves[3:]), leaves)
    assert max(float(gradient.abs().max()) for gradient in gradients) < 1e-5


def test_a_weight_counts_as_so_many_copies():
    x, y, _ = shallow.two_views(20)
    copies = np.random.default_rng(1).integers(1, 4, 20)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(20, 3, generator=generator).double()

    def functions(x, y, weight, factor):
        weight = torch.from_numpy(weight).double()
        views = [centred(torch.from_numpy(view), weight)[0] for view in (x, y)]
        regress = [RidgeRegression(view, weight, shift) for view, shift in zip(views, SHIFTS, strict=True)]
        update = cmfh.JointUpdate(views, regress, weight, SHARES, MU, GAMMA)
        for _ in range(10):
            factor = update(cmfh.update_bases(views, factor, weight, GAMMA))
        return [r(factor) for r in regress]

    weighed = functions(x, y, copies, start)
    again = [np.repeat(part, copies, axis=0) for part in (x, y, start.numpy())]
    copied = functions(again[0], again[1], np.ones(copies.sum()), torch.from_numpy(again[2]))
    for one, other in zip(weighed, copied, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_released_functions_are_mu_squared_times_too_small():
    x, y, _ = shallow.two_views()
    usual, released = (
        shallow.outputs(shallow.fit(shallow.made("cmfh", iterations=1, mu=3.0, projection=form), x, y), x, y)
        for form in ("exact", "released")
    )
    for one, other in zip(usual, released, strict=True):
        np.testing.assert_allclose(one, 9 * other, rtol=1e-9)
