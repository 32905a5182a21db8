"""A home, a working folder, data and results in which hostile files are read, with a picture of it before and after.

Names that lead out (``../..``, absolute paths) lead to somewhere in here, so that a hole harms nothing but the test.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOM = Path(tempfile.gettempdir()) / f"harness-fuzz-{os.getpid()}"
"""Everything. It is four folders above what is under test: no hostile name goes up further."""

ABROAD = ROOM / "abroad"
"""What absolute paths of hostile files name."""


class Sandbox:
    """Folders of a user.

    Attributes:
        home, work, data, results, temporary: Home, working folder, data root, results folder and $TMPDIR.
        given: Where the file lies that is read.
        out: Where commands may write.
    """

    def __init__(self) -> None:
        deep = ROOM / "one" / "two" / "three"
        self.home, self.work, self.data = deep / "home", deep / "work", deep / "data"
        self.results, self.temporary = self.work / "results", deep / "temporary"
        self.given, self.out = self.work / "given", self.work / "out"
        self._first: dict[str, tuple[int | str, ...]] = {}

    def fresh(self) -> Sandbox:
        """As it was at the beginning."""
        now = picture(ROOM, ()) if ROOM.exists() else {}
        if not self._first or any(now.get(path) != about for path, about in self._first.items()):
            self._make()
            return self
        for path in sorted(now.keys() - self._first.keys()):
            if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
                shutil.rmtree(path)
            elif os.path.lexists(path):  # otherwise gone with its folder
                os.unlink(path)  # noqa: PTH108
        return self

    def _make(self) -> None:
        shutil.rmtree(ROOM, ignore_errors=True)
        for folder in (self.home, self.data, self.results, self.temporary, self.given, self.out):
            folder.mkdir(parents=True)
        for file in (
            ABROAD / "victim" / "keep.txt", ROOM / "one" / "victim" / "keep.txt", self.home / ".ssh" / "key",
            self.data / "other" / "keep.txt", self.data / "victim" / "keep.txt", self.work / "victim" / "keep.txt",
        ):  # fmt: skip
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("mine")
        self._first = picture(ROOM, ())

    def file(self, name: str, content: bytes) -> Path:
        """Write what is to be read."""
        path = self.given / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    @contextmanager
    def untouched(self, *named: Path) -> Iterator[None]:
        """Nothing changes meanwhile, but below the folders that the user has named."""
        before = picture(ROOM, named)
        yield
        after = picture(ROOM, named)
        differing = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        assert not differing, f"{len(differing)} changed: {differing[:3]}"


def picture(folder: Path, named: tuple[Path, ...]) -> dict[str, tuple[int | str, ...]]:
    """Kind, permissions, size, time of change and inode, or target, of everything below a folder but for some."""
    found: dict[str, tuple[int | str, ...]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if Path(entry.path) in named:
                continue
            about = entry.stat(follow_symlinks=False)
            if entry.is_symlink():
                found[entry.path] = (about.st_mode, os.readlink(entry.path))  # noqa: PTH115
            elif entry.is_dir():
                found[entry.path] = (about.st_mode,)
                found |= picture(Path(entry.path), named)
            else:
                found[entry.path] = (about.st_mode, about.st_size, about.st_mtime_ns, about.st_ino)
    return found
