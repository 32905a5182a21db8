"""Whether what was asked for makes sense by itself, before any data are read."""

from __future__ import annotations

from harness.cells import CellRequest
from harness.data.standardise import CHOICES as STANDARDISE
from harness.errors import HarnessError, unknown_name
from harness.noise.plan import NoisePlan


def check_plan_against(request: CellRequest, plan: NoisePlan) -> None:
    """What the plan says must not contradict what was asked for (a known trap of older code: it read the file whatever
    the rate said).

    Raises:
        HarnessError: It does.
    """
    if request.noise is not None and plan.rate is not None and abs(request.noise - plan.rate) > 1e-9:
        raise HarnessError(
            f"--noise {request.noise:g} contradicts --noise-plan {request.noise_plan}, which was drawn at rate "
            f"{plan.rate:g}: leave out --noise."
        )
    if request.noise and plan.rate is None:
        raise HarnessError(
            f"--noise {request.noise:g} contradicts --noise-plan {request.noise_plan}, which holds natural noise: "
            "leave out --noise."
        )
    if request.protocol is not None and request.protocol != plan.protocol:
        raise HarnessError(
            f"--protocol {request.protocol} contradicts --noise-plan {request.noise_plan}, drawn by {plan.protocol!r}: "
            "leave out --protocol."
        )


def check_numbers(request: CellRequest) -> None:
    """Numbers that mean something.

    Raises:
        HarnessError: One does not.
    """
    check_shares_and_seeds(request.noise, request.trusted, request.seed, request.data_seed)
    if request.bits < 1:
        raise HarnessError(f"--bits {request.bits}: expected at least 1.")
    if request.limit is not None and request.limit < 1:
        raise HarnessError(f"--limit {request.limit}: expected at least 1.")
    if request.method.epochs is not None and request.method.epochs < 1:
        raise HarnessError(f"--epochs {request.method.epochs}: expected at least 1.")
    if request.standardise not in STANDARDISE:
        raise unknown_name("value of --standardise", request.standardise, STANDARDISE)


def check_shares_and_seeds(noise: float | None, trusted: float | None, seed: int, data_seed: int | None) -> None:
    """Shares lie in [0, 1), seeds are not negative.

    Raises:
        HarnessError: One does not.
    """
    for option, value in (("--noise", noise), ("--trusted", trusted)):
        if value is not None and not 0 <= value < 1:
            raise HarnessError(f"{option} {value:g}: expected a share from 0 up to, but not including, 1.")
    for option, number in (("--seed", seed), ("--data-seed", data_seed)):
        if number is not None and number < 0:
            raise HarnessError(f"{option} {number}: expected 0 or more.")
