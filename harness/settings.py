"""How cells are run, as opposed to what they are: recorded, never hashed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunSettings:
    """Settings that are the same for all cells of a grid and leave their hash alone.

    Attributes:
        device: As ``--device`` says it: "auto", "cpu", "cuda", "cuda:1".
        threads: Threads of one cell (torch, numba, BLAS). Sums are added up in another order with other threads, so
            results may differ in the last digits.
        deterministic: Only deterministic algorithms of torch, and an error where there is none.
        trackers: Names of trackers that hear of the cells.
    """

    device: str = "auto"
    threads: int = 1
    deterministic: bool = False
    trackers: tuple[str, ...] = ()
