"""Checks of objectives by themselves: per-pair losses of outputs and trust."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.plugin.interfaces import PairTrust
from harness.testing.outcomes import CheckFailed, CheckWarning, check
from harness.testing.subject import Subject

ROWS, BITS = 6, 8


def _objective(subject: Subject) -> Any:
    method = subject.method()
    return subject.declaration.load()(**method.arguments("objective"))


def _outputs(rows: int = ROWS, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    pair = [torch.randn(rows, BITS, generator=random).requires_grad_() for _ in range(2)]
    return pair[0], pair[1]


def _trust(rows: int = ROWS, value: float = 1.0) -> PairTrust:
    return PairTrust(torch.full((rows,), value))


@check("objective", hint="return one loss for each row; the hasher sums or averages.")
def check_one_loss_per_pair(subject: Subject) -> None:
    """(b, n_bits) outputs give (b,) floating-point losses that are finite, also for one pair."""
    objective = _objective(subject)
    for rows in (ROWS, 2, 1):
        losses = objective(*_outputs(rows), _trust(rows))
        if not isinstance(losses, Tensor) or tuple(losses.shape) != (rows,):
            shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise CheckFailed(f"for {rows} pairs it returned {shape}, not ({rows},).")
        if not losses.dtype.is_floating_point or not bool(torch.isfinite(losses).all()):
            raise CheckFailed(f"for {rows} pairs it returned {losses.dtype} with NaN or infinite losses.")


@check("objective", hint="no detach(), no torch.no_grad() and no numpy between outputs and loss.")
def check_gradients(subject: Subject) -> None:
    """The losses carry a finite gradient to the outputs of both modalities."""
    z_image, z_text = _outputs()
    _objective(subject)(z_image, z_text, _trust()).sum().backward()
    for name, z in (("image", z_image), ("text", z_text)):
        if z.grad is None or not bool(torch.isfinite(z.grad).all()):
            raise CheckFailed(f"the gradient of the {name} outputs is missing or not finite.")
        if not bool(z.grad.any()):
            raise CheckFailed(f"the gradient of the {name} outputs is 0 everywhere.")


@check("objective", hint="multiply by trust.weight, or use trust.soft_target().")
def check_trust_counts(subject: Subject) -> None:
    """Trust makes a difference, and trust 0 in every pair still gives finite losses and gradients."""
    objective = _objective(subject)
    z_image, z_text = _outputs()
    full = objective(z_image, z_text, _trust())
    half = objective(z_image, z_text, PairTrust(torch.linspace(0, 1, ROWS)))
    if torch.equal(full, half):
        raise CheckFailed("weights of 1 and weights from 0 to 1 give the same losses: the trust is not applied.")
    nothing = objective(z_image, z_text, _trust(value=0.0))
    nothing.sum().backward()
    if not bool(torch.isfinite(nothing).all()) or not bool(torch.isfinite(z_image.grad).all()):  # type: ignore[arg-type]
        raise CheckFailed("trust 0 in every pair gives NaN or infinite losses or gradients.")


@check("objective", hint="add a small number to norms and to what logarithms take.")
def check_extreme_outputs(subject: Subject) -> None:
    """Outputs of 0, of the same row throughout, and very large ones give finite losses."""
    objective = _objective(subject)
    for what, outputs in (
        ("0", torch.zeros(ROWS, BITS)),
        ("one and the same row", torch.ones(ROWS, BITS)),
        ("10,000 times the usual", 1e4 * _outputs()[0].detach()),
    ):
        losses = objective(outputs, outputs.clone(), _trust())
        if not bool(torch.isfinite(losses).all()):
            raise CheckFailed(f"outputs of {what} give NaN or infinite losses.")


@check("objective")
def check_order_of_pairs(subject: Subject) -> None:
    """Pairs in another order have the same losses."""
    objective = _objective(subject)
    z_image, z_text = (z.detach() for z in _outputs())
    trust = PairTrust(torch.linspace(0.2, 1, ROWS))
    order = torch.arange(ROWS).flip(0)
    usual = objective(z_image, z_text, trust)
    if not torch.allclose(objective(z_image[order], z_text[order], trust.at(order)), usual[order], atol=1e-5):
        raise CheckWarning("losses depend on the order of the pairs in a batch: fine only if random numbers are drawn")
