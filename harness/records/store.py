"""Records on disk. A run is a folder that either is complete or is not there.

``results/runs/<method>/<dataset>/<hash>/`` holds ``record.json``, and for finished runs ``arrays.npz``,
``model.safetensors`` and ``log.txt``. Everything is written into a temporary folder beside it, synced, and renamed.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import HarnessError
from harness.records.schema import RunRecord, record_from_json

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

MODEL_LIMIT_BYTES = 64 * 2**20
"""Models up to this size are saved with the run."""


STALE_SECONDS = 24 * 3600
"""Temporary folders older than this are nobody's any more."""


@dataclass(frozen=True)
class StoredRun:
    """A record and the folder it was read from."""

    folder: Path
    record: RunRecord


class RunStore:
    """The runs of a results folder."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.runs = results / "runs"

    def check_writable(self) -> None:
        """Find out before a long run whether it could be saved.

        Raises:
            HarnessError: The folder cannot be made or written.
        """
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.runs):
                pass
            for left in self.runs.glob("*/*/.*.new-*"):  # of a process that was killed while it wrote
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
        except OSError as error:
            raise HarnessError(
                f"--results {self.results}: cannot be written ({error.strerror}); name a folder that can."
            ) from error

    def folder(self, method: str, dataset: str, cell_hash: str) -> Path:
        """Where the run of a cell belongs."""
        return self.runs / _path_name(method) / _path_name(dataset) / cell_hash

    def find(self, method: str, dataset: str, cell_hash: str) -> StoredRun | None:
        """The stored run of a cell, or None."""
        folder = self.folder(method, dataset, cell_hash)
        self._recover(folder)
        if not (folder / "record.json").is_file():
            return None
        try:
            return StoredRun(folder, _read(folder / "record.json"))
        except ValueError as error:
            log.warning(
                "%s is not a record of this version and counts as missing: %s", folder / "record.json", _short(error)
            )
            return None

    def all(self) -> Iterator[StoredRun]:
        """Every readable record, sorted by path; others are named in a note and left out."""
        self._recover_all()
        for path in sorted(self.runs.glob("*/*/*/record.json")):
            if any(part.startswith(".") for part in path.relative_to(self.runs).parts):
                continue
            try:
                yield StoredRun(path.parent, _read(path))
            except (OSError, ValueError) as error:
                log.warning("%s is left out: %s", path, _short(error))

    def lookup(self, name: str) -> StoredRun:
        """The run that a user means: a folder, a ``record.json``, or the beginning of a hash.

        Raises:
            HarnessError: There is none, or several.
        """
        self._recover_all()
        path = Path(name)
        for candidate in (path / "record.json", path):
            if candidate.name == "record.json" and candidate.is_file():
                try:
                    return StoredRun(candidate.parent, _read(candidate))
                except ValueError as error:
                    raise HarnessError(f"{candidate} is not a record of this version: {_short(error)}.") from error
        found = (
            [folder for folder in self.runs.glob(f"*/*/{name.lower()}*") if (folder / "record.json").is_file()]
            if _is_hash(name)
            else []
        )
        if not found:
            raise HarnessError(
                f"no run {name!r} in {self.runs}: give a run folder or the beginning of a hash, as `harness table "
                "--runs` lists them."
            )
        if len(found) > 1:
            raise HarnessError(
                f"{name!r} begins the hashes of {len(found)} runs: "
                f"{', '.join(sorted(folder.name for folder in found)[:5])}; give more digits."
            )
        return self.lookup(str(found[0]))

    def write(
        self,
        record: RunRecord,
        arrays: Mapping[str, np.ndarray] | None = None,
        model: Mapping[str, Tensor] | None = None,
        log_lines: list[str] | None = None,
    ) -> Path:
        """Write a run whole or not at all, in the place of an older one of the same cell.

        Args:
            record: The record.
            arrays: For ``arrays.npz``.
            model: For ``model.safetensors``; left out above 64 MB.
            log_lines: For ``log.txt``.

        Returns:
            The folder.

        Raises:
            HarnessError: It cannot be written; nothing that was there is lost.
        """
        folder = self.folder(record.cell.method, record.cell.dataset, record.hash)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{record.hash}.new-", dir=folder.parent))
        except OSError as error:
            raise HarnessError(f"results cannot be written to {folder.parent}: {error.strerror}.") from error
        try:
            if arrays is not None:
                np.savez_compressed(temporary / "arrays.npz", allow_pickle=False, **arrays)  # type: ignore[arg-type]
            if model and sum(tensor.numel() * tensor.element_size() for tensor in model.values()) <= MODEL_LIMIT_BYTES:
                from safetensors.torch import save_file

                save_file(
                    {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.items()},
                    temporary / "model.safetensors",
                )
            if log_lines is not None:
                (temporary / "log.txt").write_text("\n".join(log_lines) + "\n", encoding="utf-8")
            (temporary / "record.json").write_text(json.dumps(record.to_json(), indent=1) + "\n", encoding="utf-8")
            for file in temporary.iterdir():
                _sync(file)
            temporary.chmod(0o755)
            self._put(temporary, folder)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise HarnessError(
                f"run {record.hash} could not be written to {folder}: {error.strerror or error}."
            ) from error
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return folder

    def _put(self, temporary: Path, folder: Path) -> None:
        """Rename into place; an older run steps aside first and comes back if the rename fails."""
        aside = folder.with_name(f".{folder.name}.old")
        if folder.exists():
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
        try:
            temporary.rename(folder)
        except OSError:
            if aside.exists() and not folder.exists():
                aside.rename(folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)
        _sync(folder.parent)

    def _recover_all(self) -> None:
        """Put back all runs that a killed process had set aside."""
        for aside in self.runs.glob("*/*/.*.old"):
            self._recover(aside.with_name(aside.name[1:].removesuffix(".old")))

    def _recover(self, folder: Path) -> None:
        """Finish what a process left that was killed between two renames."""
        aside = folder.with_name(f".{folder.name}.old")
        if aside.exists() and not folder.exists():
            try:
                aside.rename(folder)
            except OSError:
                log.warning("%s was left by a killed run and cannot be put back", aside)


def _read(path: Path) -> RunRecord:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    return record_from_json(content)


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])


def _path_name(name: str) -> str:
    """A name that is safe as a folder on every system."""
    return (
        "".join(character if character.isalnum() or character in "-_." else "-" for character in name).lstrip(".")
        or "unnamed"
    )


def _is_hash(name: str) -> bool:
    return len(name) >= 3 and all(character in "0123456789abcdef" for character in name.lower())


def _sync(path: Path) -> None:
    """Flush a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
