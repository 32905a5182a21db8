"""Checks of what detectors say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.plugin.interfaces import PairTrust

if TYPE_CHECKING:
    from torch import Tensor


def trust_of_shape(trust: Any, n: int, detector: str) -> PairTrust:
    """The trust as float32 without gradient, if weight and target are tensors of n numbers.

    Raises:
        HarnessError: They are not; the message names the detector.
    """
    weight = weight_of_shape(getattr(trust, "weight", trust), n, detector, "weight")
    target = getattr(trust, "target", None)
    return PairTrust(weight, None if target is None else weight_of_shape(target, n, detector, "target"))


def weight_of_shape(values: Any, n: int, detector: str, what: str = "weight") -> Tensor:
    """(n,) float32 without gradient.

    Raises:
        HarnessError: ``values`` is no tensor of that shape.
    """
    import torch

    if not isinstance(values, torch.Tensor):
        raise HarnessError(
            f"detector {detector!r}: {what} must be a torch tensor of shape ({n},), not {type(values).__name__}."
        )
    if tuple(values.shape) != (n,):
        raise HarnessError(f"detector {detector!r}: {what} must have shape ({n},); it has {tuple(values.shape)}.")
    return values.detach().float()


def outside(trust: PairTrust) -> Tensor:
    """Whether any weight or target is outside [0, 1] or NaN, as a 0-d bool tensor that stays on the device."""
    bad = ~((trust.weight >= 0) & (trust.weight <= 1)).all()
    return bad if trust.target is None else bad | ~((trust.target >= 0) & (trust.target <= 1)).all()


def refuse_outside(bad: Tensor, detector: str) -> None:
    """Look at a flag of :func:`outside`.

    Raises:
        HarnessError: It is set.
    """
    if bool(bad):
        raise HarnessError(f"detector {detector!r} gave weights outside [0, 1] or NaN.")
