"""SHA-256 of files, remembered with the stamp that each file had, so that a second run need not open them.

A file's stamp is its size, the times of its last change of content and of its last change of any kind (``mtime`` and
``ctime``, in nanoseconds), and its inode. A program can set ``mtime`` back, as ``cp -p`` and ``rsync -t`` do, but not
``ctime``: the system sets it whenever content, times, owner or links change. So a file that was edited in place,
overwritten or replaced has another stamp, whatever its size and date say, and is read again. Two cases are left:

- A change within the resolution of the file system's clock could leave the stamp as it was. Files that changed less
  than :data:`SETTLED_SECONDS` before they were read are therefore not remembered (git does the same with its index).
- Where ``ctime`` is no such thing (Windows, some network and user-space file systems), or a disk was written to below
  the file system: ``--rehash``, or ``HARNESS_REHASH=1``, reads every file again and corrects what was remembered.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from harness.data.cache import cache_folder

SETTLED_SECONDS = 2.0
"""Younger changes are not remembered; the coarsest file system in use (FAT) has a clock of two seconds."""

REHASH = "HARNESS_REHASH"
"""Environment variable that makes every file be read, also in the processes of a sweep."""

Stamp = list[int]


class FileHashes:
    """The remembered hashes of one cache, one file for each folder of hashed files.

    Losing what another process wrote at the same moment costs that file another reading, never a wrong hash.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self._known: dict[Path, dict[str, tuple[Stamp, str]]] = {}
        self._new: dict[Path, dict[str, tuple[Stamp, str]]] = {}

    def hash_of(self, path: Path) -> str:
        """SHA-256 of a file's content, 64 hexadecimal digits.

        Raises:
            OSError: The file cannot be read.
        """
        place = path.absolute()
        folder = place.parent
        if folder not in self._known:
            self._known[folder] = self._read(folder)
        found = self._known[folder].get(place.name)
        if found is not None and not os.environ.get(REHASH) and found[0] == _stamp(place.stat()):
            return found[1]
        with place.open("rb") as opened:
            before = os.fstat(opened.fileno())
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            after = os.fstat(opened.fileno())
        settled = time.time() - max(after.st_mtime, after.st_ctime) > SETTLED_SECONDS
        if settled and _stamp(before) == _stamp(after):
            entry = (_stamp(after), digest)
            self._known[folder][place.name] = entry
            self._new.setdefault(folder, {})[place.name] = entry
        return digest

    def save(self) -> None:
        """Write what is new. A cache that cannot be written is no error: the files are then read again."""
        for folder, entries in self._new.items():
            merged = {**self._read(folder), **entries}
            content = {
                "folder": str(folder),
                "files": {name: [*stamp, digest] for name, (stamp, digest) in merged.items()},
            }
            path = self._file(folder)
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
                with os.fdopen(handle, "w", encoding="utf-8") as opened:
                    json.dump(content, opened)
                Path(temporary).replace(path)
        self._new = {}

    def _file(self, folder: Path) -> Path:
        return self.cache / "hashes" / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:24]}.json"

    def _read(self, folder: Path) -> dict[str, tuple[Stamp, str]]:
        """What is remembered of a folder; nothing if the file is missing, damaged or of another folder."""
        try:
            content = json.loads(self._file(folder).read_text(encoding="utf-8"))
            if content["folder"] != str(folder):
                return {}
            found = {
                str(name): ([int(number) for number in stamp], str(digest))
                for name, (*stamp, digest) in content["files"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}
        return {name: entry for name, entry in found.items() if len(entry[1]) == 64}


def _stamp(status: os.stat_result) -> Stamp:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


_caches: dict[Path, FileHashes] = {}


def file_hashes() -> FileHashes:
    """Those of the cache in use, shared by the whole process."""
    cache = cache_folder()
    return _caches.setdefault(cache, FileHashes(cache))
