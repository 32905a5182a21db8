"""Run folders: where they lie, and their files, written so that an error is an error and read as they belong together.

:func:`run_folder` is the one way by which facts of a record, or of the index, become the path of a run folder.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.files.paths import path_below, relative_parts
from harness.records.walk import signature_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MODEL_LIMIT_BYTES = 64 * 2**20
"""Models up to this size are saved with the run."""


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


def array_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as the bytes of an npz file.

    Made in memory: where the disk is full, zipfile fails a second time while it cleans up, and hides why.

    Raises:
        ValueError: An array holds Python objects.
    """
    import numpy as np

    made = io.BytesIO()
    np.savez_compressed(made, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    return made.getvalue()


def model_bytes(model: Mapping[str, Tensor] | None) -> bytes | None:
    """Tensors as the bytes of a safetensors file; None for no tensors, or more than :data:`MODEL_LIMIT_BYTES`."""
    if not model or sum(tensor.numel() * tensor.element_size() for tensor in model.values()) > MODEL_LIMIT_BYTES:
        return None
    return tensor_bytes(model)


def tensor_bytes(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Tensors, and texts about them, as the bytes of a safetensors file."""
    from safetensors.torch import save

    copied = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    made: bytes = save(copied, metadata)
    return made


def write_file(path: Path, content: bytes) -> None:
    """Write a file and flush it to the disk.

    Raises:
        OSError: Not all of it could be written.
    """
    with path.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def sync_folder(path: Path) -> None:
    """Flush a folder's list of names to the disk.

    Raises:
        OSError: It cannot.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_files(folder: Path, names: Collection[str] = ()) -> dict[str, bytes]:
    """The files of a run folder, of one and the same run also where it is replaced meanwhile.

    Args:
        folder: The run folder.
        names: Those that are wanted; all of them where none is named.

    Returns:
        Path below the folder, with ``/``, to content, sorted; links are left out.

    Raises:
        OSError: They cannot be read, or the run is replaced again and again.
    """
    for _ in range(20):
        before = signature_of(folder / "record.json")
        try:
            files = {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in (map(folder.__truediv__, sorted(names)) if names else sorted(folder.rglob("*")))
                if path.is_file() and not path.is_symlink()
            }
        except FileNotFoundError:
            if not (folder / "record.json").exists():
                raise
            continue
        if before is not None and before == signature_of(folder / "record.json"):
            return files
    raise OSError(None, "it is replaced while it is read")
