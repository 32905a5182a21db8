"""RFDH, linear form (Wang, Wang, Gao, TCSVT 28(10), 2018): a robust factorisation with binary codes.

With X_m, (n, d_m), codes B in {0, 1}, (n, k), each bit 1 for half of the pairs, and l_1 + l_2 = 1 it makes

    sum_m l_m^L sum_i w_i ||x_i - b_i F_m|| + gamma / 2 ||F_m||^2

smallest: lengths and not squares, so that a pair that fits badly counts less in its modality. Each iteration bounds
the lengths by squares of weight d_i = 1 / ||x_i - b_i F_m|| and updates l, then B bit by bit, then F. Linear functions
of each modality to rotated codes are fitted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness import PairTrust, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.counted_rows import centred_if, counted_rows
from harness.training.building_blocks.ridge import RidgeRegression
from harness.training.building_blocks.thresholds import ThresholdedCodes

SMALLEST = 1e-6
"""Residuals below this share of a modality's root mean square length count as that long: no division by 0."""


def residual_weights(view: Tensor, codes: Tensor, basis: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """1 / ||x_i - b_i F||, (n,), and the weighted sum of these lengths, 0-d."""
    size = (weight @ view.square().sum(1) / weight.sum()).sqrt()
    floor = SMALLEST * torch.where(size > 0, size, torch.ones_like(size))
    length = (view - codes @ basis).norm(dim=1).clamp(min=floor)
    return 1 / length, weight @ length


def update_basis(view: Tensor, codes: Tensor, weight: Tensor, ridge: Tensor | float) -> Tensor:
    """F = (B' w B + ridge I)^-1 B' w X, (k, d)."""
    weighed = codes * weight[:, None]
    return torch.linalg.solve(weighed.T @ codes + ridge * torch.eye(codes.shape[1]).to(codes), weighed.T @ view)


def view_shares(residuals: list[Tensor], exponent: float, released: bool) -> Tensor:
    """l_m, (2,), from the summed residuals H_m.

    l_m is proportional to (L H_m)^(1 / (1 - L)), which makes sum_m l_m^L H_m smallest. The released program has
    the exponent 1 / (L - 1), so that the modality that fits worse counts more.
    """
    power = 1 / (exponent - 1) if released else 1 / (1 - exponent)
    grown = (torch.stack(residuals) / max(residuals)) ** power
    return grown / grown.sum()


def cheaper_half(cost: Tensor, weight: Tensor) -> Tensor:
    """(n,) 1.0 for the pairs of least cost that make up half of the weight, otherwise 0.0; n / 2 is rounded up."""
    order = cost.argsort(stable=True)
    sorted_weight = weight[order]
    middle = sorted_weight.cumsum(0) - sorted_weight / 2
    return torch.zeros_like(cost).scatter_(0, order, (middle <= weight.sum() / 2).to(cost.dtype))


def update_codes(
    codes: Tensor,
    views: tuple[Tensor, ...],
    bases: Sequence[Tensor],
    strengths: Sequence[Tensor],
    weight: Tensor,
    passes: int,
) -> Tensor:
    """B bit by bit, all pairs at once; (n, k) to (n, k).

    Setting bit k of pair i costs sum_m s_mi (f_k (b_i F - x_i)' without bit k + f_k f_k' / 2), with s_mi = l_m^L d_mi.

    Args:
        codes: B, (n, k) of 0.0 and 1.0.
        views: X_m, (n, d_m).
        bases: F_m, (k, d_m).
        strengths: s_m, (n,).
        weight: (n,), for the balance of each bit.
        passes: Rounds over all bits; it ends early where one changes nothing.
    """
    codes = codes.clone()
    grams = [basis @ basis.T for basis in bases]
    # Products f_k (b_i F - x_i)' of all pairs and bits; a changed bit changes one row of them.
    products = [codes @ gram - view @ basis.T for gram, view, basis in zip(grams, views, bases, strict=True)]
    for _ in range(passes):
        changed = False
        for bit in range(codes.shape[1]):
            old = codes[:, bit]
            cost = sum(
                strength * (product[:, bit] + (0.5 - old) * gram[bit, bit])
                for strength, product, gram in zip(strengths, products, grams, strict=True)
            )
            new = cheaper_half(cost, weight)  # type: ignore[arg-type]  # the sum of at least one tensor
            rows = torch.nonzero(new != old)[:, 0]
            if len(rows):
                changed = True
                step = (new - old)[rows, None]
                for product, gram in zip(products, grams, strict=True):
                    product[rows] += step * gram[bit]
                codes[:, bit] = new
        if not changed:
            break
    return codes


def fit_rotation(codes: Tensor, latent: Tensor, weight: Tensor, form: str, gamma: float) -> Tensor:
    """R, (k, k), for codes of -1 and 1 and latent T, (n, k), so that codes are close to T R.

    "orthogonal" is the rotation that is best, "regression" ridge regression of B on T. The released program regresses T
    on B, the other way round ("released").
    """
    weighed = latent * weight[:, None]
    if form == "orthogonal":
        left, _, right = torch.linalg.svd(weighed.T @ codes)
        return left @ right
    identity = gamma * torch.eye(codes.shape[1]).to(codes)
    if form == "regression":
        return torch.linalg.solve(weighed.T @ latent + identity, weighed.T @ codes)
    return torch.linalg.solve(codes.T @ (codes * weight[:, None]) + identity, codes.T @ weighed)


class RobustFlexibleDiscreteHashing(ThresholdedCodes):
    """Signs of linear functions that predict the rotated joint codes of the training pairs."""

    def __init__(
        self, *, exponent: float, gamma: float, iterations: int, passes: int, shares: str, eta: float, rotation: str,
        function_iterations: int, ridge: float, ridge_unit: str, centring: bool,
    ) -> None:  # fmt: skip
        self.exponent, self.gamma, self.iterations, self.passes = exponent, gamma, iterations, passes
        self.shares_released, self.eta, self.rotation = shares == "released", eta, rotation
        self.function_iterations, self.ridge, self.ridge_unit = function_iterations, ridge, ridge_unit
        self.centring = centring

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """A fixed number of iterations; pairs count with their weight."""
        image, text, weight = counted_rows(pairs, trust)
        views, self.means = zip(*(centred_if(view, weight, self.centring) for view in (image, text)), strict=True)
        generator = run.generator("rfdh")
        codes = self.learn_codes(views, weight, generator, run)
        functions, offsets, rotation = self.learn_functions(views, 2 * codes - 1, weight, generator, run)
        self.projections = tuple(function @ rotation for function in functions)
        self.thresholds = tuple(offset @ rotation for offset in offsets)

    def learn_codes(self, views: tuple[Tensor, ...], weight: Tensor, generator: torch.Generator, run: Run) -> Tensor:
        """Joint codes of the training pairs, (n, n_bits) of 0.0 and 1.0; never used for an item that is encoded."""
        draw = torch.rand(len(weight), run.n_bits, generator=generator, device=run.device)
        codes = (draw > 0.5).double()
        bases = [update_basis(view, codes, weight, self.gamma) for view in views]
        for iteration in range(self.iterations):
            fits = [residual_weights(view, codes, basis, weight) for view, basis in zip(views, bases, strict=True)]
            shares = view_shares([length for _, length in fits], self.exponent, self.shares_released)
            powers = shares**self.exponent
            strengths = [power * inverse for power, (inverse, _) in zip(powers, fits, strict=True)]
            codes = update_codes(codes, views, bases, strengths, weight, self.passes)
            bases = [
                update_basis(view, codes, weight * inverse, self.gamma / power)
                for view, power, (inverse, _) in zip(views, powers, fits, strict=True)
            ]
            loss = sum(
                power * residual_weights(view, codes, basis, weight)[1] + self.gamma / 2 * basis.square().sum()
                for power, view, basis in zip(powers, views, bases, strict=True)
            )
            run.report(phase="factorisation", epoch=iteration + 1, epochs=self.iterations, loss=loss)
        return codes

    def learn_functions(
        self, views: tuple[Tensor, ...], codes: Tensor, weight: Tensor, generator: torch.Generator, run: Run
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """P_m (d_m, k), u_m (k,) and R (k, k) so that (x P_m - u_m) R is close to the codes of -1 and 1.

        Alternates ridge regressions for P, the latent T = argmin sum_m ||T - X_m P_m + u_m||^2 + eta ||B - T R||^2, R
        and the offsets u.
        """
        k = codes.shape[1]
        draw = lambda *shape: torch.randn(*shape, generator=generator, device=run.device).double()  # noqa: E731
        rotation, latent, offsets = draw(k, k), draw(len(weight), k), [draw(k), draw(k)]
        if self.rotation == "orthogonal":
            rotation = torch.linalg.qr(rotation)[0]
        regressions = [RidgeRegression(view, weight, self.ridge, self.ridge_unit) for view in views]
        functions = []
        for _ in range(self.function_iterations):
            functions = [regression(latent + offset) for regression, offset in zip(regressions, offsets, strict=True)]
            outputs = [view @ function for view, function in zip(views, functions, strict=True)]
            target = sum(output - offset for output, offset in zip(outputs, offsets, strict=True))
            gram = self.eta * rotation @ rotation.T + 2 * torch.eye(k).to(codes)
            latent = torch.linalg.solve(gram, (target + self.eta * codes @ rotation.T).T).T
            rotation = fit_rotation(codes, latent, weight, self.rotation, self.gamma)
            offsets = [weight @ (output - latent) / weight.sum() for output in outputs]
        return functions, offsets, rotation
