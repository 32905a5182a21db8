"""Parts of a sweep for machines that no engine connects: ``--shard 2/3``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

from harness.cells.cell import Cell
from harness.errors import HarnessError


class HasCell(Protocol):
    """A job."""

    @property
    def cell(self) -> Cell:
        """Its cell."""


Item = TypeVar("Item", bound=HasCell)


def read_shard(text: str) -> tuple[int, int]:
    """``"2/3"`` to ``(2, 3)``.

    Raises:
        HarnessError: The text is none of a part and a number of parts.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise HarnessError(
            f"--shard {text}: expected PART/PARTS with parts counted from 1, for example 2/3 for the second of three."
        )
    return part, parts


def shard(jobs: Sequence[Item], part: int, parts: int) -> list[Item]:
    """One part of the jobs.

    The parts of the same jobs are disjoint and together hold every job; they differ by at most one job in all and
    within each method, whatever has been done already. Within a method and data set the jobs are dealt in the order
    of their hashes, so that no part gets all large codes or all cells of one seed.

    Args:
        jobs: All jobs of a sweep.
        part: Which part, from 1.
        parts: How many there are.

    Returns:
        The part's jobs in the order of ``jobs``.
    """
    order = sorted(
        range(len(jobs)),
        key=lambda at: (str(jobs[at].cell.facts["method"]), str(jobs[at].cell.facts["dataset"]), jobs[at].cell.hash),
    )
    return [jobs[at] for at in sorted(order[part - 1 :: parts])]
