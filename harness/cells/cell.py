"""Cells: points of the grid with every choice made, and their content hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.cells.request import BY_NAME, LATER_SETTINGS
from harness.text import counted

SCHEMA = 2
"""Version of the record's layout; harness/records/migrations.py brings older records up to it."""

CORE_VERSIONS = {"split": 1, "standardise": 1, "noise_order": 1, "training_loop": 1}
"""Raise an entry when the core turns the same cell into another result; it is part of every hash."""

MOST_BITS = 2**16
"""Longest code; the field uses up to a few hundred bits."""


def content_hash(identity: Mapping[str, Any]) -> str:
    """12 hexadecimal digits of the SHA-256 of canonical JSON."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Cell:
    """A point of the grid with every choice made.

    Attributes:
        facts: What the record shows under ``cell``.
        identity: Everything that determines the result; it is hashed, and stored in the record.
    """

    facts: Mapping[str, Any]
    identity: Mapping[str, Any]

    @cached_property
    def hash(self) -> str:
        """Content hash of the identity."""
        return content_hash(self.identity)

    @property
    def place(self) -> tuple[str, str, str]:
        """Method, data set and hash: where its record belongs (:meth:`harness.records.store.RunStore.find`)."""
        return self.facts["method"], self.facts["dataset"], self.hash

    @property
    def title(self) -> str:
        """One line for people: what is run."""
        facts = self.facts
        noise = "as given" if facts["noise"] is None else f"{facts['noise']:g}"
        parts = [
            f"{facts['row']} on {facts['dataset']}",
            f"noise {noise}",
            counted(facts["bits"], "bit"),
            f"seed {facts['seed']}",
        ]
        titled = ("protocol", "trusted", "data_seed", "standardise", "limit", "precision", *LATER_SETTINGS)
        said = [BY_NAME[name].title(facts[name], short=True) for name in titled if name in facts]
        return ", ".join([*parts, *filter(None, said)])
