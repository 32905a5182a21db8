"""Records on disk. A run is a folder that either is complete or is not there.

``results/runs/<method>/<dataset>/<hash>/`` holds ``record.json``, and for finished runs ``arrays.npz``,
``model.safetensors`` and ``log.txt``. Everything is written into a temporary folder beside it, synced, and renamed.
Any number of processes may write at once, also the same cell: the last one stays.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.files.json_text import json_text
from harness.files.whole import read_plain_file, temporary_for
from harness.records.leftovers import clear_aside, is_near, put_back, remove_abandoned, step_aside
from harness.records.run_files import array_bytes, model_bytes, run_folder, run_place, sync_folder, write_file
from harness.records.walk import walk
from harness.text import shortened

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from harness.records.schema import RunRecord

log = logging.getLogger(__name__)

ATTEMPTS = 1000
"""Renames before a writer gives up; each one fails because another process wrote the same cell in between."""

LOOKS, LOOK_SECONDS = 50, 0.002
"""How often a record that its writers may be replacing is looked for, and how long it takes between two looks."""

ADVICE = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.ENOENT: "make the folder again",
}
"""Number of an error of the system to what the user can do; for all others, take another folder."""

OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


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
        """Find out before a long run whether it could be saved; make the folder, and clear what killed runs left.

        Raises:
            HarnessError: The folder cannot be made or written.
        """
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.runs):
                pass
        except OSError as error:
            raise HarnessError(
                f"--results {self.results}: cannot be written ({error.strerror}); name a folder that can."
            ) from error
        remove_abandoned(self.runs)

    def folder(self, method: str, dataset: str, cell_hash: str) -> Path:
        """Where the run of a cell belongs.

        Raises:
            HarnessError: As :func:`harness.records.run_files.run_place` and ``run_folder``.
        """
        return run_folder(self.runs, run_place(method, dataset, cell_hash))

    def find(self, method: str, dataset: str, cell_hash: str) -> StoredRun | None:
        """The stored run of a cell, or None. For many cells see :func:`harness.records.index.ends_of`."""
        folder = self.folder(method, dataset, cell_hash)
        absent = 0
        for _ in range(LOOKS):
            put_back(folder)
            try:
                return StoredRun(folder, read_run(folder))
            except (FileNotFoundError, NotADirectoryError):
                # Not there, or its writers are between two renames; what is gone at two looks in a row is gone.
                absent = 0 if is_near(folder) else absent + 1
            except (OSError, ValueError) as error:
                log.warning("%s is no sound record and counts as missing: %s", folder / "record.json", short(error))
                return None
            if absent == 2:
                break
            time.sleep(LOOK_SECONDS)
        return None

    def all(self) -> Iterator[StoredRun]:
        """Every readable record, sorted by path; others are named in a note and left out."""
        for seen in walk(self.runs):
            folder = self.runs / seen.folder
            try:
                yield StoredRun(folder, read_run(folder))
            except FileNotFoundError:
                continue  # removed meanwhile
            except (OSError, ValueError) as error:
                log.warning("%s is left out: %s", folder / "record.json", short(error))

    def lookup(self, name: str) -> StoredRun:
        """The run that a user means: a folder, a ``record.json``, or the beginning of a hash.

        Raises:
            HarnessError: There is none, or several.
        """
        path = Path(name)
        for candidate in (path / "record.json", path):
            if candidate.name == "record.json" and candidate.is_file():
                return _looked_up(candidate)
        folders = (
            [seen.folder for seen in walk(self.runs) if seen.folder.rpartition("/")[2].startswith(name.lower())]
            if _is_hash(name)
            else []
        )
        if not folders:
            raise HarnessError(
                f"no run {name!r} in {self.runs}: give a run folder or the beginning of a hash (three digits or more), "
                "as `harness table --runs` lists them."
            )
        if len(folders) > 1:
            hashes = sorted({folder.rpartition("/")[2] for folder in folders})
            which = ", ".join(hashes[:5]) if len(hashes) > 1 else ", ".join(sorted(folders)[:5])
            hint = "give more digits" if len(hashes) > 1 else f"name one by its folder in {self.runs}"
            raise HarnessError(f"{name!r} begins the hashes of {len(folders)} runs: {which}; {hint}.")
        return _looked_up(self.runs / folders[0] / "record.json")

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
            HarnessError: It cannot be written; nothing that was there is lost. A results folder that is not there, or
                no longer, is not made here but by :meth:`check_writable`.
        """
        files: dict[str, bytes] = {}
        if arrays is not None:
            files["arrays.npz"] = array_bytes(arrays)
        saved = model_bytes(model)
        if saved is not None:
            files["model.safetensors"] = saved
        if log_lines is not None:
            files["log.txt"] = ("\n".join(log_lines) + "\n").encode("utf-8", errors="replace")
        files["record.json"] = record_bytes(record)
        return self.write_files(record.cell.method, record.cell.dataset, record.hash, files)

    def write_files(self, method: str, dataset: str, cell_hash: str, files: Mapping[str, bytes]) -> Path:
        """Store a run as :meth:`write` does, from its files: path below the run folder, with ``/``, to content."""
        folder = self.folder(method, dataset, cell_hash)
        temporary = temporary_for(folder)
        try:
            for above in (folder.parent.parent, folder.parent):
                above.mkdir(exist_ok=True)
            temporary.mkdir()
            for name, content in files.items():
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_file(path, content)
            sync_folder(temporary)
            _put(temporary, folder)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise HarnessError(self._not_written(cell_hash, folder, error)) from error
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return folder

    def _not_written(self, cell_hash: str, folder: Path, error: OSError) -> str:
        """The error that a run could not be written, which says what to do."""
        if error.errno == errno.ENOENT and not self.runs.is_dir():
            return (
                f"run {cell_hash} could not be written: the results folder {self.runs} is not there, or no longer; "
                "make it again or name another one with --results, and repeat the command."
            )
        advice = ADVICE.get(error.errno or 0)
        return (
            f"run {cell_hash} could not be written to {folder}: {error.strerror or error}; "
            f"{advice + ' or ' if advice else ''}name another folder with --results, and repeat the command: finished "
            "runs stay."
        )


def _put(temporary: Path, folder: Path) -> None:
    """Rename into place; an older run steps aside first, and comes back if the rename fails."""
    moved: list[Path] = []
    try:
        for attempt in range(ATTEMPTS):
            try:
                temporary.rename(folder)
                break
            except OSError as error:
                if error.errno not in OCCUPIED or attempt == ATTEMPTS - 1:
                    raise
            aside = step_aside(folder)
            if aside is not None:
                moved.append(aside)
            elif attempt:
                time.sleep(0.001)
    except BaseException:
        with contextlib.suppress(OSError):
            for aside in reversed(moved):
                if aside.exists() and not folder.exists():
                    aside.rename(folder)
        if folder.exists():
            clear_aside(folder, moved)
        raise
    clear_aside(folder, moved)
    sync_folder(folder.parent)


def record_bytes(record: RunRecord) -> bytes:
    """A record as the bytes of a ``record.json``."""
    return (json_text(record.to_json()) + "\n").encode()


def read_record(path: Path) -> RunRecord:
    """Read a ``record.json``, of this version's schema or an older one.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no record, one of a newer version, or its numbers cannot be; the message says which.
    """
    from pydantic_core import from_json

    from harness.records.plausible import implausible
    from harness.records.schema import record_from_json

    try:
        text = read_plain_file(path)
    except OSError as error:
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP):
            to = "to itself" if error.errno == errno.ELOOP else "nowhere"
            raise ValueError(f"it is a link that leads {to}") from error
        raise
    try:
        content: Any = from_json(text)
    except ValueError as error:
        raise ValueError(f"it is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    record = record_from_json(content)
    problem = implausible(record)
    if problem:
        raise ValueError(problem)
    return record


def read_run(folder: Path) -> RunRecord:
    """Read the record of a folder that is named after its hash.

    Raises:
        OSError: As :func:`read_record`.
        ValueError: As :func:`read_record`, or its hash is another one.
    """
    record = read_record(folder / "record.json")
    if record.hash != folder.name:
        raise ValueError(f"its hash {record.hash} is not the name of its folder")
    return record


def _looked_up(path: Path) -> StoredRun:
    try:
        return StoredRun(path.parent, read_record(path))
    except ValueError as error:
        raise HarnessError(f"{path} is no sound record: {short(error)}.") from error
    except OSError as error:
        raise HarnessError(f"{path} cannot be read: {error.strerror}.") from error


def short(error: Exception) -> str:
    """The message of an error on one line, cut where it is long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shortened(" ".join(lines[:3]), 300)


def _is_hash(name: str) -> bool:
    return len(name) >= 3 and all(character in "0123456789abcdef" for character in name.lower())
