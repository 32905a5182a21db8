"""A results folder as one file, and back.

The archive holds ``index.csv`` and the run folders under ``runs/``, sorted, without times, owners or host: the same
records make the same bytes. Unpacked it is a results folder. Taking one in trusts nothing: a member that would land
outside of the folder, or is a link or device, refuses the whole archive.
"""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from harness.errors import HarnessError
from harness.records.run_files import read_files

TAR = (".tar.gz", ".tgz")
ZIP = (".zip",)


def is_archive(path: Path) -> bool:
    """Whether a name is that of an archive."""
    return path.name.endswith((*TAR, *ZIP))


def write_archive(opened: IO[bytes], name: str, runs: Path, folders: list[str], index_csv: str) -> None:
    """Write runs as an archive.

    Args:
        opened: The file to write to.
        name: Its name in the end, which decides the format.
        runs: The folder ``results/runs``.
        folders: The run folders below it.
        index_csv: Content of ``index.csv``.

    Raises:
        HarnessError: A run cannot be read.
        OSError: The archive cannot be written.
    """
    members = _members(runs, folders, index_csv)
    if name.endswith(ZIP):
        with zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as packed:
            for member, content in members:
                info = zipfile.ZipInfo(member, date_time=(1980, 1, 1, 0, 0, 0))
                info.external_attr = (stat.S_IFREG | 0o644) << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                packed.writestr(info, content)
        return
    with (
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=opened, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tarred,
    ):
        for member, content in members:
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode = len(content), 0o644
            tarred.addfile(entry, io.BytesIO(content))


def _members(runs: Path, folders: list[str], index_csv: str) -> Iterator[tuple[str, bytes]]:
    yield "index.csv", index_csv.encode()
    for folder in folders:
        try:
            files = read_files(runs / folder)
        except OSError as error:
            raise HarnessError(
                f"{runs / folder} cannot be read: {error.strerror or error}; nothing was written."
            ) from error
        for name, content in files.items():
            yield f"runs/{folder}/{name}", content


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """Unpack an archive into a temporary results folder ($TMPDIR), which is removed afterwards.

    Args:
        archive: The file.

    Yields:
        The folder.

    Raises:
        HarnessError: It cannot be read or unpacked, or holds something that has no place in such an archive.
    """
    with tempfile.TemporaryDirectory(prefix="harness-merge-") as place:
        try:
            for name, is_file, source in _entries(archive):
                target = Path(place, *_safe(archive, name, is_file))
                if source is not None:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with source, target.open("wb") as opened:
                        shutil.copyfileobj(source, opened, 2**20)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
            raise HarnessError(f"{archive} is damaged or no archive: {error}; nothing was copied.") from error
        except OSError as error:
            raise HarnessError(
                f"{archive} cannot be unpacked: {error.strerror or error}; nothing was copied."
            ) from error
        yield Path(place)


def _entries(archive: Path) -> Iterator[tuple[str, bool, IO[bytes] | None]]:
    """Name, whether it is a plain file or folder, and the content of files."""
    if archive.name.endswith(ZIP):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
                yield info.filename, plain, packed.open(info) if plain and not info.is_dir() else None
        return
    with tarfile.open(archive, "r:gz") as tarred:
        for entry in tarred:
            yield entry.name, entry.isreg() or entry.isdir(), tarred.extractfile(entry) if entry.isreg() else None


def _safe(archive: Path, name: str, is_plain: bool) -> tuple[str, ...]:
    """The parts of a member's name.

    Raises:
        HarnessError: It is no plain file or folder, or its name is none that this program gives.
    """
    parts = PurePosixPath(name).parts
    ours = parts[:1] == ("runs",) or parts in (("index.csv",), (".",), ())
    if not is_plain or not ours or ".." in parts or name.startswith("/") or "\\" in name or ":" in parts[0:1]:
        raise HarnessError(
            f"{archive} is none of this program's archives: its member {name!r} is a link, or lies outside of runs/; "
            "nothing was copied."
        )
    return parts
