"""Old records keep loading: each step brings a record of one schema to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.cells.cell import SCHEMA
from harness.wording import shown


def _from_1(content: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 added what a cell cost."""
    return {**content, "cost": {}}


STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
"""Schema to the step that leaves it."""


def migrated(content: dict[str, Any]) -> dict[str, Any]:
    """A record in the layout of this version.

    Args:
        content: ``record.json`` as read.

    Returns:
        A new dictionary whose ``schema`` is :data:`harness.cells.cell.SCHEMA`.

    Raises:
        ValueError: The schema is missing, no number, or newer than this program.
    """
    schema = content.get("schema")
    if type(schema) is not int or schema < 1:
        raise ValueError(f"schema {shown(schema)} is no schema of a record")
    if schema > SCHEMA:
        raise ValueError(
            f"schema {shown(schema)} is newer than this program, which knows up to {SCHEMA}: update the harness"
        )
    content = dict(content)
    for step in range(schema, SCHEMA):
        content = {**STEPS[step](content), "schema": step + 1}
    return content
