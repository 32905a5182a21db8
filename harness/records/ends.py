"""How the records of many cells ended, read in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FEW = 40
"""Up to so many cells their records are read one by one, which needs no index."""


@dataclass(frozen=True)
class End:
    """What is known of a cell's record without reading the whole of it.

    Attributes:
        status: Its status.
        finished: When (ISO 8601).
        error: What went wrong, or "".
    """

    status: str
    finished: str
    error: str = ""


def ends_of(results: Path, cells: Sequence[tuple[str, str, str]]) -> dict[str, End]:
    """Hash to end of those cells that have a record.

    Args:
        results: The results folder; it need not exist.
        cells: Method, data set and hash of each.
    """
    from harness.records.store import RunStore

    store = RunStore(results)
    if not store.runs.is_dir():
        return {}
    if len(cells) > FEW:
        from harness.records.index import open_index

        wanted = {cell_hash for _, _, cell_hash in cells}
        with open_index(results) as index:
            rows = index.rows(["hash", "status", "finished", "error"])
        return {row[0]: End(row[1], row[2], row[3] or "") for row in rows if row[0] in wanted}
    found = {}
    for method, dataset, cell_hash in cells:
        stored = store.find(method, dataset, cell_hash)
        if stored is not None:
            error = stored.record.error
            found[cell_hash] = End(stored.record.status, stored.record.finished, error.message if error else "")
    return found
