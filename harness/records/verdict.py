"""Status of a finished cell: ``ok``, or ``invalid`` where its numbers break what must hold of any codes."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records.schema import Failure, Status

KIND = "InvariantViolation"
"""Stands in the place of an exception's name."""

NOTE = "not valid: "
"""How the remarks about violations begin."""

TOLD = 10
"""Violations that are told; one mistake often breaks many invariants."""


def verdict(violations: Sequence[str]) -> tuple[Status, Failure | None]:
    """Status and error of a record that has numbers.

    Args:
        violations: One sentence each, without the final stop.

    Returns:
        "ok" and nothing, or "invalid" and the first violation.
    """
    if not violations:
        return "ok", None
    more = f"; {len(violations) - 1} more, see the notes of the record" if len(violations) > 1 else ""
    return "invalid", Failure(kind=KIND, message=f"{violations[0]}{more}.", traceback=[])


def violation_notes(violations: Sequence[str]) -> list[str]:
    """Remarks for the record, the first few violations."""
    more = [f"{NOTE}{len(violations) - TOLD} more violations"] if len(violations) > TOLD else []
    return [f"{NOTE}{sentence}" for sentence in violations[:TOLD]] + more
