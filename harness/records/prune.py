"""What may go from a results folder: runs that did not finish, and what killed processes left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.records.leftovers import remove
from harness.records.walk import signature_of


@dataclass(frozen=True)
class Doomed:
    """A run that is to be removed.

    Attributes:
        folder: Its folder.
        why: "failed", "limited" or "old code".
        signature: Signature of its ``record.json`` when it was marked.
    """

    folder: Path
    why: str
    signature: tuple[int, int, int, int] | None


def doom(folder: Path, why: str) -> Doomed:
    """Mark a run for removal."""
    return Doomed(folder, why, signature_of(folder / "record.json"))


def prune(doomed: Iterable[Doomed]) -> tuple[int, list[Path]]:
    """Remove runs, each whole.

    Args:
        doomed: The runs.

    Returns:
        How many were removed, and the folders of those that were replaced since they were marked, and stay.

    Raises:
        HarnessError: A folder cannot be removed.
    """
    removed, kept = 0, []
    for run in doomed:
        if run.signature is None or signature_of(run.folder / "record.json") != run.signature:
            kept.append(run.folder)
            continue
        try:
            remove(run.folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HarnessError(
                f"{run.folder} cannot be removed: {error.strerror}; {removed} were removed before it."
            ) from error
        removed += 1
    return removed, kept
