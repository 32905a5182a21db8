"""Where runs are: the one way by which facts of a record, or of the index, become the path of a run folder."""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import HarnessError
from harness.files.paths import path_below, relative_parts

FILES = ("arrays.npz", "log.txt", "model.safetensors", "record.json")
"""What a run folder holds; nothing else is taken over from other folders."""

HASH = re.compile(r"[0-9a-f]{12}")
"""Hashes of cells, as :func:`harness.cells.cell.content_hash` makes them."""


def run_place(method: str, dataset: str, cell_hash: str) -> str:
    """Where the run of a cell belongs below ``results/runs``.

    Args:
        method, dataset: Names; signs that not every system takes become ``-``.
        cell_hash: The hash of the cell.

    Returns:
        ``METHOD/DATASET/HASH``.

    Raises:
        HarnessError: The hash is none of this program's.
    """
    if not HASH.fullmatch(cell_hash):
        raise HarnessError(f"the hash {cell_hash[:80]!r} is none of this program's, which are 12 hex digits.")
    return f"{_part(method)}/{_part(dataset)}/{cell_hash}"


def run_folder(runs: Path, place: str) -> Path:
    """The folder of a run.

    Args:
        runs: The folder ``results/runs``.
        place: ``METHOD/DATASET/HASH``, as of :func:`run_place`, or as a walk or an index has it.

    Returns:
        The folder, which need not be there.

    Raises:
        HarnessError: It is no such place, or a link in it leads out of ``runs``.
    """
    parts = relative_parts(place, "place of a run")
    if len(parts) != 3 or any(part.startswith(".") for part in parts):
        raise HarnessError(f"{place[:200]!r} is no place of a run (METHOD/DATASET/HASH) below {runs}.")
    return path_below(runs, place, "place of a run")


def _part(name: str) -> str:
    """A name that is safe as a folder on every system."""
    return (
        "".join(character if character.isalnum() or character in "-_." else "-" for character in name).lstrip(".")
        or "unnamed"
    )
