"""Whether a record agrees with itself: what it says of the cell, what was hashed, and the hash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cells.cell import content_hash

if TYPE_CHECKING:
    from harness.records.schema import CellFacts, RunRecord

NOT_THE_FACT = ("split",)
"""Entries of an identity that hold something else than the fact of their name: the codes of the split."""

OF_THE_MACHINE = ("revisions",)
"""Facts that follow from what was downloaded, not from the cell."""


def contradictions(record: RunRecord, folder: Path) -> list[str]:
    """What in a record cannot be true together, whatever the cell.

    Args:
        record: The record.
        folder: The folder that it was read from.

    Returns:
        One phrase for each contradiction.
    """
    phrases = []
    if folder.name != record.hash:
        phrases.append(f"the hash is {record.hash}, and the folder is called {folder.name}")
    try:
        hashed = content_hash(record.identity)
    except ValueError:
        hashed = "none, for it holds numbers that are not finite"
    if hashed != record.hash:
        phrases.append(f"the hash is {record.hash}, and that of the identity is {hashed}")
    facts = record.cell.model_dump(mode="json")
    identity = {name: value for name, value in record.identity.items() if name in facts and name not in NOT_THE_FACT}
    return phrases + [
        f"{name} is {told(facts[name])}, and in the identity {told(value)}"
        for name, value in identity.items()
        if facts[name] != value
    ]


def differing_facts(before: CellFacts, after: CellFacts) -> list[str]:
    """The facts in which a repeated cell differs.

    Args:
        before: Facts of a record; choices that were added after it was written are left out.
        after: Facts of the same cell, run again.

    Returns:
        One phrase for each.
    """
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return [
        f"{name} is {told(old[name])}, and now {told(new[name])}"
        for name in old
        if name in before.model_fields_set and name not in OF_THE_MACHINE and old[name] != new[name]
    ]


def told(value: Any) -> str:
    """A value in a phrase."""
    text = ", ".join(f"{name}={part}" for name, part in value.items()) if isinstance(value, Mapping) else str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
