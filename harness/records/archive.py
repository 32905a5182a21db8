"""A results folder as one file, and back.

The archive holds ``index.csv`` and the run folders under ``runs/``, sorted, without times, owners or host: the same
records make the same bytes. Unpacked it is a results folder. Taking one in trusts nothing: it is unpacked by the rules
of :mod:`harness.files.unpack`, and what is no part of a results folder refuses the whole archive.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from harness.errors import HarnessError
from harness.files.unpack import Limits, unpack
from harness.records.run_files import FILES, read_files, run_folder

TAR = (".tar.gz", ".tgz")
ZIP = (".zip",)

LIMITS = Limits(ratio=200.0, least=1 << 28)
"""Thousands of records that differ in a seed alone shrink to a hundredth in a tar.gz."""


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
        run = run_folder(runs, folder)
        try:
            files = read_files(run, FILES)
        except OSError as error:
            raise HarnessError(f"{run} cannot be read: {error.strerror or error}; nothing was written.") from error
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
        HarnessError: It cannot be unpacked, or holds something that has no place in such an archive.
    """
    with tempfile.TemporaryDirectory(prefix="harness-merge-") as temporary:
        folder = Path(temporary, "results")
        try:
            unpack(archive, folder, LIMITS)
        except HarnessError as error:
            raise HarnessError(f"{archive} cannot be taken in, and nothing was copied: {error}") from error
        foreign = [path.name for path in folder.iterdir() if path.name not in ("runs", "index.csv")]
        if foreign:
            raise HarnessError(
                f"{archive} is none of this program's archives: {foreign[0]!r} has no place in it; nothing was copied."
            )
        yield folder
