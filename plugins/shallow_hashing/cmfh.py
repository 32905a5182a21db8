"""CMFH (Ding, Guo, Zhou, CVPR 2014; TKDE version): both modalities are factorised with one common factor.

With X_t, (n, d_t), the common factor V, (n, k), and pairs of weight w_i, it makes the sum over both modalities of

    a_t sum_i w_i (||x_i - v_i U_t||^2 + mu ||v_i - x_i W_t||^2 + gamma ||v_i||^2)
    + a_t (gamma ||U_t||^2 + mu r_t ||W_t||^2)

smallest; x W_t is the output of modality t. In the paper mu r_t is gamma, too, and U, V and W are updated one after the
other. With mu = 100 that needs hundreds of sweeps, as V cannot leave the W fitted to it before; V and W together are
a linear problem with a closed solution, so that is one update here unless the paper's are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness import PairTrust, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.canonical import centred
from harness.training.building_blocks.counted_rows import counted_rows
from harness.training.building_blocks.linear import LinearCodes
from harness.training.building_blocks.ridge import ABSOLUTE, RELATIVE, RidgeRegression


def update_bases(views: tuple[Tensor, ...], factor: Tensor, weight: Tensor, gamma: float) -> list[Tensor]:
    """U_t = (V' w V + gamma I)^-1 V' w X_t, each (k, d_t)."""
    weighed = factor * weight[:, None]
    inverted = torch.linalg.inv(weighed.T @ factor + gamma * torch.eye(factor.shape[1]).to(factor))
    return [inverted @ (weighed.T @ view) for view in views]


def update_factor(
    views: tuple[Tensor, ...],
    bases: Sequence[Tensor],
    functions: Sequence[Tensor],
    shares: Sequence[float],
    mu: float,
    gamma: float,
) -> Tensor:
    """V = (sum_t a_t X_t (U_t' + mu W_t)) (sum_t a_t (U_t U_t' + (mu + gamma) I))^-1, (n, k); weights drop out."""
    terms = list(zip(views, bases, functions, shares, strict=True))
    target = sum(share * view @ (base.T + mu * function) for view, base, function, share in terms)
    gram = sum(share * base @ base.T for _, base, _, share in terms)
    assert isinstance(target, Tensor)  # there are terms
    assert isinstance(gram, Tensor)
    return torch.linalg.solve(gram + sum(shares) * (mu + gamma) * torch.eye(len(gram)).to(gram), target.T).T


class JointUpdate:
    """V for fixed U if each W_t follows V as its ridge regression.

    Then mu ||V - X_t W_t||^2 + mu r_t ||W_t||^2 is mu tr(V' w (I - H_t) V) with the projector H_t of the regression,
    and V solves V G + (mu + gamma) V - mu (sum_t a_t H_t) V = sum_t a_t X_t U_t', where G = sum_t a_t U_t U_t': one
    shifted system for each eigenvector of G. The sum of projectors is Z Z' with few columns (Woodbury's formula).
    """

    def __init__(
        self,
        views: tuple[Tensor, ...],
        regressions: Sequence[RidgeRegression],
        weight: Tensor,
        shares: Sequence[float],
        mu: float,
        gamma: float,
    ) -> None:
        self.views, self.shares, self.mu, self.gamma = views, shares, mu, gamma
        self.root = weight.sqrt()[:, None]
        thin = torch.cat(
            [
                share**0.5 * self.root * view @ regression.spectrum.power(-0.5)
                for view, regression, share in zip(views, regressions, shares, strict=True)
            ],
            dim=1,
        )
        self.values, vectors = torch.linalg.eigh(thin.T @ thin)
        self.directions = thin @ vectors

    def __call__(self, bases: Sequence[Tensor]) -> Tensor:
        """(n, k) for U_t, (k, d_t)."""
        gram = sum(share * base @ base.T for share, base in zip(self.shares, bases, strict=True))
        values, turn = torch.linalg.eigh(gram)
        target = sum(
            share * view @ (base.T @ turn) for share, view, base in zip(self.shares, self.views, bases, strict=True)
        )
        target = self.root * target
        shifted = values.clamp(min=0) + self.mu + self.gamma
        correction = self.mu / (shifted[None] - self.mu * self.values[:, None].clamp(max=1))
        solved = (target + self.directions @ (correction * (self.directions.T @ target))) / shifted
        return solved @ turn.T / self.root


def objective(
    views: tuple[Tensor, ...],
    bases: Sequence[Tensor],
    factor: Tensor,
    functions: Sequence[Tensor],
    weight: Tensor,
    shares: Sequence[float],
    mu: float,
    gamma: float,
    shifts: Sequence[float],
) -> Tensor:
    """What the updates make smaller, 0-d; shifts are the r_t."""
    total = torch.zeros((), dtype=torch.float64, device=factor.device)
    for view, base, function, share, shift in zip(views, bases, functions, shares, shifts, strict=True):
        rows = (view - factor @ base).square().sum(1) + mu * (factor - view @ function).square().sum(1)
        rows = rows + gamma * factor.square().sum(1)
        total = total + share * (weight @ rows + gamma * base.square().sum() + mu * shift * function.square().sum())
    return total


class CollectiveMatrixFactorization(LinearCodes):
    """Signs of the linear functions that predict the common factor."""

    def __init__(
        self, *, mu: float, gamma: float, image_share: float, ridge: float, ridge_unit: str, iterations: int,
        updates: str, projection: str,
    ) -> None:  # fmt: skip
        self.mu, self.gamma, self.image_share = mu, gamma, image_share
        self.ridge, self.ridge_unit, self.iterations = ridge, ridge_unit, iterations
        self.joint, self.slip = updates == "joint", projection == "released"

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """A fixed number of sweeps; pairs count with their weight."""
        image, text, weight = counted_rows(pairs, trust)
        views, self.means = zip(*(centred(view, weight) for view in (image, text)), strict=True)
        shares = (self.image_share, 1 - self.image_share)
        ridge, unit = (self.ridge, RELATIVE) if self.ridge_unit == RELATIVE else (self.gamma / self.mu, ABSOLUTE)
        regressions = [RidgeRegression(view, weight, ridge, unit) for view in views]
        shifts = [regression.shift for regression in regressions]
        generator = run.generator("cmfh")

        def draw(*shape: int) -> Tensor:  # numbers in [0, 1), as in the program
            return torch.rand(*shape, generator=generator, device=run.device).double()

        factor = draw(len(weight), run.n_bits)
        functions = [draw(view.shape[1], run.n_bits) for view in views]
        joint_update = JointUpdate(views, regressions, weight, shares, self.mu, self.gamma) if self.joint else None
        for iteration in range(self.iterations):
            bases = update_bases(views, factor, weight, self.gamma)
            if joint_update is not None:
                factor = joint_update(bases)
            else:
                factor = update_factor(views, bases, functions, shares, self.mu, self.gamma)
            functions = [regression(factor) for regression in regressions]
            if self.slip:
                # "mu * A \ B" is (mu A) \ B in MATLAB, where A^-1 mu B was meant: mu^2 times too small.
                functions = [function / self.mu**2 for function in functions]
            loss = objective(views, bases, factor, functions, weight, shares, self.mu, self.gamma, shifts)
            run.report(phase="factorisation", epoch=iteration + 1, epochs=self.iterations, loss=loss)
        self.projections = tuple(functions)
