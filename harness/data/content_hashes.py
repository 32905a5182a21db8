"""Content hashes of files, in threads, and remembered: a file that did not change is not read again.

A file counts as unchanged while its size, both of its times, its device and its number on it are what they were. The
time of the last change of status (``st_ctime_ns``) is the system's own and no program can set it back, so that a file
that was written anew with an old date is read again. A file that changed in the last moments before it was hashed is
not remembered: a second change could bear the same time.

What is left are file systems whose ``st_ctime_ns`` is no such thing (Windows, some network and user-space ones), and
disks that were written to below the file system: with ``--rehash``, or HARNESS_REHASH=1, every file is read again, and
what was remembered is corrected.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.data.cache import cache_folder
from harness.errors import HarnessError
from harness.files.json_text import read_json
from harness.files.paths import require_regular

SETTLED = 2_000_000_000
"""Nanoseconds since its last change after which a file's hash is remembered: longer than any file system's clock."""

AT_ONCE = 64
"""Files that a thread looks at in one task."""

THREADS = 8
"""Files read at a time: hashing lets go of the interpreter's lock, and a cold disk or a network answers several."""

REHASH = "HARNESS_REHASH"
"""Environment variable that makes every file be read, also in the processes of a sweep."""

WORTH_REMEMBERING = 16
"""Files from which on hashes are remembered: to read fewer again is faster than to look them up."""

Stamp = list[int]


def hash_file(path: Path, what: str = "image") -> str:
    """SHA-256 of a file, in hexadecimal.

    Args:
        path: The file.
        what: What to call it in messages.

    Raises:
        HarnessError: It is missing, no regular file, or cannot be read.
    """
    require_regular(path, what)
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise HarnessError(f"{what} {path} cannot be read: {error.strerror}.") from error


_of_this_process: dict[str, tuple[Stamp, str]] = {}


def hash_remembered(path: Path, what: str) -> str:
    """As :func:`hash_file`; a large file that does not change is read once in each process."""
    name = os.path.abspath(path)  # noqa: PTH100
    before = _stamp(name)
    known = _of_this_process.get(name)
    if known is not None and known[0] == before and not os.environ.get(REHASH):
        return known[1]
    digest = hash_file(path, what)
    if before is not None and _settled(before, time.time_ns()):
        _of_this_process[name] = (before, digest)
    return digest


def hash_files(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of many files, in their order.

    Args:
        paths: The files.

    Returns:
        Their hashes; of unchanged files from memory.

    Raises:
        HarnessError: One is missing or cannot be read.
    """
    if len(paths) < WORTH_REMEMBERING:
        return [hash_file(path) for path in paths]
    names = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - ten times faster than pathlib, for 100,000 files
    memory = _memory_of(names)
    known = {} if os.environ.get(REHASH) else _read(memory)
    now = time.time_ns()

    def look(place: int) -> tuple[Stamp | None, str]:
        stamp = _stamp(names[place])
        remembered = known.get(names[place])
        if remembered is not None and stamp is not None and remembered[:-1] == stamp:
            return stamp, remembered[-1]
        return stamp, hash_file(paths[place])

    with ThreadPoolExecutor(THREADS, thread_name_prefix="hashing") as pool:
        # Threads take a task for each item, whatever chunks `map` is asked for, and most items are known.
        chunks = (range(at, min(at + AT_ONCE, len(paths))) for at in range(0, len(paths), AT_ONCE))
        looked = [
            found for chunk in pool.map(lambda places: [look(place) for place in places], chunks) for found in chunk
        ]
    remembered = {
        name: [*stamp, digest]
        for name, (stamp, digest) in zip(names, looked, strict=True)
        if stamp is not None and _settled(stamp, now)
    }
    if any(known.get(name) != entry for name, entry in remembered.items()):
        _write(memory, {**known, **remembered})
    return [digest for _, digest in looked]


def _stamp(name: str) -> Stamp | None:
    """Size, times, device and number of a file; None if it is not there."""
    try:
        status = os.stat(name)  # noqa: PTH116
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino]


def _settled(stamp: Stamp, now: int) -> bool:
    """Whether the last change is so long ago that another one would have another time."""
    return now - max(stamp[1], stamp[2]) > SETTLED


def _memory_of(names: Sequence[str]) -> Path:
    """One memory for the files below one folder."""
    folder = os.path.commonpath(names)
    return cache_folder() / "content-hashes" / f"{hashlib.sha256(folder.encode()).hexdigest()[:24]}.json"


def _read(memory: Path) -> dict[str, list]:
    try:
        content = read_json(memory)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(memory: Path, content: dict[str, list]) -> None:
    """Write the memory, whole or not at all; where that is impossible, the next run takes longer and nothing else."""
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".", dir=memory.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                json.dump(content, opened)
            Path(temporary).replace(memory)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
    except OSError:
        pass
