"""Whether what was asked for makes sense by itself, before any data are read."""

from __future__ import annotations

from harness.cells.cell import MOST_BITS
from harness.cells.request import CellRequest
from harness.data.assemble import STANDARDISATIONS
from harness.errors import HarnessError, unknown_name
from harness.noise.plan import NoisePlan
from harness.quantities import check_whole

MOST_EPOCHS = 10_000_000
"""More is a slip of the keyboard."""


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
    check_whole("--bits", request.bits, 1, MOST_BITS)
    check_whole("--limit", request.limit, 1)
    check_whole("--epochs", request.method.epochs, 1, MOST_EPOCHS)
    if request.standardise not in STANDARDISATIONS:
        raise unknown_name("value of --standardise", request.standardise, STANDARDISATIONS)


def check_shares_and_seeds(noise: float | None, trusted: float | None, seed: int, data_seed: int | None) -> None:
    """Shares lie in [0, 1), seeds from 0 to 2^63 - 1.

    Raises:
        HarnessError: One does not.
    """
    for option, value in (("--noise", noise), ("--trusted", trusted)):
        if value is not None and not 0 <= value < 1:
            raise HarnessError(f"{option} {value:g}: expected a share from 0 up to, but not including, 1.")
    check_whole("--seed", seed)
    check_whole("--data-seed", data_seed)
