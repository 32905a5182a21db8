"""A cache of arrays on disk, keyed by everything that determines them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from harness.files.json_text import read_json

log = logging.getLogger(__name__)

UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError, MemoryError)
"""What is raised where an entry is not there, damaged, or of another key."""

FILLED = "filled.npy"
"""In the folder of an entry that is being made: what is there already."""


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """``HARNESS_CACHE``, or ``harness`` in the user's cache folder."""
    if environment.get("HARNESS_CACHE"):
        return Path(environment["HARNESS_CACHE"])
    base = environment.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
    return Path(base) / "noisy-hashing-harness"


@dataclass(frozen=True)
class Use:
    """One look into the cache.

    Attributes:
        folder: The entry's folder.
        about: What it holds.
        hit: Whether it was there.
        seconds: What the look took, or computing the arrays.
        lost: Why they are not kept; "" where they are.
    """

    folder: Path
    about: Mapping[str, Any]
    hit: bool
    seconds: float
    lost: str = ""


_watchers: list[list[Use]] = []


@contextmanager
def uses_noted() -> Iterator[list[Use]]:
    """A list to which every look into the cache is added in a ``with`` block."""
    uses: list[Use] = []
    _watchers.append(uses)
    try:
        yield uses
    finally:
        _watchers[:] = [one for one in _watchers if one is not uses]  # equal lists may watch, too


class Workspace:
    """Where arrays are filled: memory maps in the cache, so that they may be larger than the memory.

    A folder that cannot be written, or has no room left, is no error here: the arrays are then in memory.

    Attributes:
        folder: Where the arrays lie; None before the first one.
        kept: What is filled was noted, for a later process to go on from.
    """

    def __init__(self, folder: Path, alone: bool) -> None:
        """Arrays for an entry; ``alone`` says that no other process can be at work on it."""
        self._entry, self._alone, self._arrays = folder, alone, list[NDArray[np.float32]]()
        self.folder: Path | None = None
        self.kept = False

    def empty(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """An array of that shape to be filled, float32; its content is arbitrary."""
        try:
            if self.folder is None:
                self._entry.parent.mkdir(parents=True, exist_ok=True)
                self.folder = self._new_folder()
            path = self.folder / f"{len(self._arrays)}.npy"
            array: NDArray[np.float32] = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
            with path.open("r+b") as opened:  # a disk that fills up later would end the process with a signal
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(opened.fileno(), 0, path.stat().st_size)
        except OSError:
            array = np.empty(shape, dtype=np.float32)
        self._arrays.append(array)
        return array

    def _new_folder(self) -> Path:
        if not self._alone:
            return Path(tempfile.mkdtemp(prefix=f".{self._entry.name}-", dir=self._entry.parent))
        shutil.rmtree(self._begun, ignore_errors=True)
        self._begun.mkdir()
        return self._begun

    @property
    def _begun(self) -> Path:
        return self._entry.with_name(f".{self._entry.name}-begun")

    def begun(self, number: int, rows: int) -> tuple[list[NDArray[np.float32]], NDArray[np.bool_]] | None:
        """What a process that was stopped had filled.

        Args:
            number: How many arrays there are.
            rows: Rows of each.

        Returns:
            The arrays, which are those of :meth:`empty` now, and (number, rows) bool, what is filled; None if there is
            nothing of that shape.
        """
        try:
            filled = np.load(self._begun / FILLED, allow_pickle=False)
            arrays = [np.load(self._begun / f"{at}.npy", mmap_mode="r+", allow_pickle=False) for at in range(number)]
        except UNREADABLE:
            return None
        shapes = {array.shape for array in arrays}
        floats = all(array.dtype == np.float32 for array in arrays)
        if not self._alone or filled.shape != (number, rows) or filled.dtype != bool or not floats or len(shapes) > 1:
            return None
        if arrays[0].ndim != 2 or len(arrays[0]) != rows:
            return None
        self.folder, self._arrays, self.kept = self._begun, arrays, True
        return arrays, filled

    def note(self, filled: NDArray[np.bool_]) -> None:
        """Write down what is filled, (number, rows) bool, so that it outlives this process and this machine's power."""
        arrays = [array for array in self._arrays if isinstance(array, np.memmap)]
        if self.folder != self._begun or len(arrays) < len(self._arrays):
            return
        with suppress(OSError):  # without room there is nothing to go on from
            for array in arrays:
                array.flush()
            if not self.kept:
                np.lib.format.open_memmap(self.folder / FILLED, mode="w+", dtype=bool, shape=filled.shape)
                self.kept = True
            noted = np.load(self.folder / FILLED, mmap_mode="r+", allow_pickle=False)
            noted[:] = filled  # only after the rows themselves are on the disk
            noted.flush()

    def discard(self) -> None:
        """Remove what was not stored, unless it was noted."""
        if self.folder is not None and not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)


def cached_arrays(
    key: Mapping[str, Any], compute: Callable[[], list[NDArray]], about: Mapping[str, Any] | None = None
) -> tuple[list[NDArray], bool]:
    """As :func:`filled_arrays`, for arrays that are made in memory; they, too, come back as read-only maps."""
    return filled_arrays(key, lambda workspace: compute(), about)


def filled_arrays(
    key: Mapping[str, Any],
    compute: Callable[[Workspace], list[NDArray]],
    about: Mapping[str, Any] | None = None,
    *,
    key_afterwards: Callable[[], Mapping[str, Any]] | None = None,
) -> tuple[list[NDArray], bool]:
    """Arrays from the cache, or computed and put there.

    Entries are written under a temporary name and renamed, so several processes may share a cache and a killed one
    leaves no half of an entry, but what :meth:`Workspace.begun` finds. Of several processes that miss the same entry,
    one computes and the others wait for it.
    A cache that cannot be written costs a note, not the run.

    Args:
        key: JSON-serialisable description of everything that determines the arrays.
        compute: Makes them; those it gets from the workspace, in the order in which it returns them, are filled where
            the cache keeps them.
        about: JSON-serialisable remarks for people who list the cache; they determine nothing.
        key_afterwards: Gives the key under which they are kept, where computing may settle what it holds; None for
            ``key``.

    Returns:
        The arrays, and whether they came from the cache; computed just now or not, they are read-only memory maps of
        the entry, which the processes of a machine share. Where it could not be written, they are what was computed.
    """
    started = time.monotonic()
    arrays, use = _look_up(key, compute, about or {}, key_afterwards or (lambda: key))
    if use.hit:
        with suppress(OSError):  # when it was last of use, for `harness features prune`
            os.utime(use.folder / "key.json")
    for uses in _watchers:
        uses.append(replace(use, seconds=time.monotonic() - started))
    return arrays, use.hit


def _entry_of(key: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]]:
    """The folder of an entry, and its key as it will be read back."""
    text = json.dumps(key, sort_keys=True)
    return cache_folder() / "features" / hashlib.sha256(text.encode()).hexdigest()[:24], json.loads(text)


def is_cached(key: Mapping[str, Any]) -> bool:
    """Whether there is an entry of that key; whether it is damaged is not looked at."""
    return (_entry_of(key)[0] / "key.json").is_file()


def _look_up(
    key: Mapping[str, Any],
    compute: Callable[[Workspace], list[NDArray]],
    about: Mapping[str, Any],
    key_afterwards: Callable[[], Mapping[str, Any]],
) -> tuple[list[NDArray], Use]:
    """The arrays, from the cache or computed, and which of the two."""
    folder, key = _entry_of(key)
    arrays = _read(folder, key)
    if arrays is not None:
        return arrays, Use(folder, about, True, 0.0)
    with _only_one(folder) as alone:
        arrays = _read(folder, key)
        if arrays is not None:
            return arrays, Use(folder, about, True, 0.0)
        workspace = Workspace(folder, alone)
        try:
            arrays = compute(workspace)
            folder, key = _entry_of(key_afterwards())
            try:
                _write(folder, key, arrays, workspace, about)
            except OSError as error:
                lost = str(error.strerror or error)
                log.warning(
                    "features are not cached: %s cannot be written (%s); set HARNESS_CACHE to a folder that can.",
                    folder, lost,
                )  # fmt: skip
                return arrays, Use(folder, about, False, 0.0, lost)
        finally:
            workspace.discard()
        return _read(folder, key) or arrays, Use(folder, about, False, 0.0)  # what was computed leaves the memory


def _read(folder: Path, key: Mapping[str, Any]) -> list[NDArray] | None:
    """The arrays of an entry; None if it is not there, of another key, or damaged."""
    try:
        return stored_entry(folder, key)[1]
    except UNREADABLE:
        return None


def stored_entry(folder: Path, key: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], list[NDArray]]:
    """What lies in the folder of an entry.

    Args:
        folder: The folder.
        key: The key that it must have; None for any.

    Returns:
        The content of its ``key.json``, and its arrays as read-only memory maps.

    Raises:
        UNREADABLE: One of these errors: it is not there, damaged, or of another key.
    """
    stored = read_json(folder / "key.json")
    if key is not None and stored["key"] != key:
        raise KeyError("key")
    return stored, [
        np.load(folder / f"{number}.npy", mmap_mode="r", allow_pickle=False) for number in range(stored["count"])
    ]


def lock_file(folder: Path) -> Path:
    """The lock that a process holds while it computes or writes an entry."""
    return folder.parent.parent / "locks" / f"{folder.name}.lock"


@contextmanager
def _only_one(folder: Path) -> Iterator[bool]:
    """Hold the lock of an entry in a ``with`` block; False, and nothing is locked, where the file system has no locks
    or this process holds it already.
    """
    path = lock_file(folder)
    lock = FileLock(path, is_singleton=True)  # one process may ask twice
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):
        yield False
        return
    try:
        yield lock.lock_counter == 1
    finally:
        lock.release()


def _write(
    folder: Path, key: Mapping[str, Any], arrays: list[NDArray], workspace: Workspace, about: Mapping[str, Any]
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    if workspace.folder is None:
        workspace.folder = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    temporary = workspace.folder
    try:
        for number, array in enumerate(arrays):
            path = temporary / f"{number}.npy"
            if isinstance(array, np.memmap) and array.filename is not None and Path(array.filename) == path:
                array.flush()
            else:
                with path.open("wb") as opened:
                    # Not the file itself, which numpy would hand to C, where the reason of a failure is lost.
                    np.save(SimpleNamespace(write=opened.write), array, allow_pickle=False)
        (temporary / "key.json").write_text(
            json.dumps(
                {"key": key, "count": len(arrays), "about": dict(about), "made": time.time()}, sort_keys=True, indent=1
            ),
            encoding="utf-8",
        )
        (temporary / FILLED).unlink(missing_ok=True)
        if folder.exists():  # damaged, or of a colliding key: replace it
            shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except OSError:
        if not (folder / "key.json").is_file():  # another process was not faster either
            raise
