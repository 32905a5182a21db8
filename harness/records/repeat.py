"""From a stored record back to the cell that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.cells.command import request_of
from harness.cells.identity import differences
from harness.cells.request import CellRequest
from harness.errors import HarnessError
from harness.records.schema import RunRecord


def request_of_record(record: RunRecord) -> CellRequest:
    """What was asked for when the record was made.

    Args:
        record: The record.

    Returns:
        The request, with absolute paths.

    Raises:
        HarnessError: The record holds codes of another program, or its command cannot be read.
    """
    if not record.command:
        raise HarnessError(
            f"run {record.hash} ({record.cell.row}) cannot be repeated: its codes came from another program."
        )
    try:
        return request_of(record.command)
    except HarnessError as error:
        raise HarnessError(f"run {record.hash} cannot be repeated: {error}") from error


def threads_of_record(record: RunRecord) -> int | None:
    """Threads the cell was run with; None where the record does not say."""
    threads = record.environment.get("threads")
    return threads if isinstance(threads, int) and threads > 0 else None


def deterministic_in(record: RunRecord) -> bool:
    """Whether the cell was run under ``--deterministic``."""
    settings = record.environment.get("settings")
    return isinstance(settings, dict) and settings.get("deterministic") is True


def nothing_replaced(requests: Sequence[CellRequest], base: CellRequest | None) -> bool:
    """Whether a grid is the stored cell alone; the folder of the data may be another one."""
    return base is not None and [replace(request, data_root=base.data_root) for request in requests] == [base]


def changed_since(record: RunRecord, cell_hash: str, identity: Mapping[str, Any]) -> str | None:
    """What has changed in a cell since it was recorded, as a sentence.

    Args:
        record: The record that is repeated.
        cell_hash: Hash of the cell that would run now.
        identity: Its identity.

    Returns:
        One sentence; None if it is the same cell.
    """
    if cell_hash == record.hash:
        return None
    changed = differences(record.identity, identity)
    # A record written under an older layout of the identity may differ in form alone.
    reason = "; ".join(changed) if changed else "the layout of its identity"
    return f"the cell of run {record.hash} is now {cell_hash}: what differs is {reason}."
