"""Unpacking archives from strangers: nothing leaves the target folder, and nothing grows without bounds."""

from __future__ import annotations

import errno
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from harness.errors import HarnessError
from harness.files.paths import relative_parts
from harness.text import shortened

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Endings of names of archives that are unpacked here."""

FOREIGN = {b"Rar!\x1a\x07": "RAR", b"7z\xbc\xaf\x27\x1c": "7z"}
"""First bytes of archives for which Python has no reader."""

JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What file managers leave in archives."""

CONTRADICTIONS = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
"""Errors of names that cannot be side by side, or not at all."""

LONGEST_EXTENSION = 1 << 20
"""Bytes that a tar may spend on the name and the attributes of one member; tarfile takes them into the memory."""

PIECE = 1 << 20

Watch = Callable[[int, int | None], None]


class ArchiveError(HarnessError):
    """The archive itself is to blame, not the disk: trying again with the same file is of no use."""


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to; beyond it counts as a bomb.

    Attributes:
        ratio: Unpacked bytes for each byte of the archive; images give 1, text 10.
        least: Unpacked bytes that are allowed whatever the ratio.
        bytes: Unpacked bytes.
        members: Files and folders.
    """

    ratio: float = 100.0
    least: int = 1 << 20
    bytes: int = 1 << 40
    members: int = 5_000_000


def is_archive(name: str) -> bool:
    """Whether a file of that name is to be unpacked."""
    return name.lower().endswith(ARCHIVES)


def unpack(
    archive: Path,
    folder: Path,
    limits: Limits | None = None,
    watch: Watch = lambda done, total: None,
    *,
    ignored: Collection[str] = (),
) -> None:
    """Unpack an archive into a folder that is new.

    Only files and folders are made; permissions, owners and times in the archive are ignored.

    Args:
        archive: zip, or tar with or without compression.
        folder: The folder to make; it is removed if anything goes wrong.
        limits: Beyond which the archive is refused.
        watch: Progress in unpacked bytes; the total where the archive says it.
        ignored: Names of files and folders that are left out, besides :data:`JUNK`.

    Raises:
        ArchiveError: It is no such archive, damaged, encrypted, or holds links, devices, names that lead out of the
            folder, or more than the limits allow.
        HarnessError: It cannot be read, or the disk does not take what it holds.
    """
    folder.mkdir(parents=True)
    left_out = {name.casefold() for name in (*JUNK, *ignored)}  # some file systems know no case
    try:
        _unpack(archive, folder, limits or Limits(), watch, left_out)
    except BaseException:  # Ctrl-C, too
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _unpack(archive: Path, folder: Path, limits: Limits, watch: Watch, left_out: Collection[str]) -> None:
    """Unpack into a folder that is there; errors of the libraries become sentences."""
    try:
        with archive.open("rb") as opened:
            beginning = opened.read(8)
        for magic, name in FOREIGN.items():
            if beginning.startswith(magic):
                raise ArchiveError(f"{archive.name} is a {name} archive, which Python cannot unpack.")
        if beginning.startswith(b"PK") and zipfile.is_zipfile(archive):
            _write(archive, folder, limits, watch, _zip_members(archive), left_out)
        else:
            _write(archive, folder, limits, watch, _tar_members(archive), left_out)
    except (
        zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError, RuntimeError,
        NotImplementedError, ValueError, MemoryError,
    ) as error:  # fmt: skip
        said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ArchiveError(f"{archive.name} is damaged, or packed in a way that is not known: {said}.") from error
    except OSError as error:
        if error.errno is None:  # bz2 and gzip say so of damaged data
            raise ArchiveError(f"{archive.name} is damaged: {error}.") from error
        to_blame = ArchiveError if error.errno in CONTRADICTIONS else HarnessError
        raise to_blame(f"{archive.name} cannot be unpacked into {folder}: {error.strerror}.") from error


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    open: Callable[[], IO[bytes] | None] | None
    """None for a folder."""


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16) if member.create_system == 3 else 0
            if kind and kind not in (stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError(_holds(archive, member.filename, _kind(stat.S_ISLNK(kind))))
            if member.flag_bits & 1:
                raise ArchiveError(f"{archive.name} is encrypted: unpack it by hand.")
        for member in members:
            is_folder = member.filename.endswith("/")  # is_dir() fails on an empty name before Python 3.12
            yield _Member(member.filename, member.file_size, None if is_folder else partial(opened.open, member))


class _TarInfo(tarfile.TarInfo):
    """A header, which is looked at before what it announces is read."""

    EXTENSIONS = (
        tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
    )  # fmt: skip

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _TarInfo:
        header = super().frombuf(buf, encoding, errors)
        if header.type in cls.EXTENSIONS and header.size > LONGEST_EXTENSION:
            raise ValueError(f"a member has {header.size} bytes of attributes")
        return header


def _tar_members(archive: Path) -> Iterator[_Member]:
    opened = None
    try:
        with tarfile.open(archive, "r:*", tarinfo=_TarInfo) as opened:
            for member in opened:
                if not (member.isreg() or member.isdir()):
                    raise ArchiveError(_holds(archive, member.name, _kind(member.issym() or member.islnk())))
                read = None if member.isdir() else partial(opened.extractfile, member)
                yield _Member(member.name, member.size, read)
    except tarfile.ReadError as error:
        if opened is not None:
            raise
        raise ArchiveError(
            f"{archive.name} is no zip or tar archive, whatever its name says, or it is damaged."
        ) from error


def _write(
    archive: Path, folder: Path, limits: Limits, watch: Watch, members: Iterator[_Member], left_out: Collection[str]
) -> None:
    """Write members one by one, counting."""
    most = min(limits.bytes, max(int(limits.ratio * archive.stat().st_size), limits.least))
    written = 0
    for number, member in enumerate(members):
        if number >= limits.members:
            raise ArchiveError(f"{archive.name} holds more than {limits.members} files: it is refused as a bomb.")
        place = _place(archive, folder, member.name, left_out)
        if place is None:
            continue
        if member.open is None:
            place.mkdir(parents=True, exist_ok=True)
            continue
        if member.size > shutil.disk_usage(folder).free:
            raise HarnessError(
                f"{archive.name}: {shortened(member.name)} needs {member.size} bytes, more than the disk has free."
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, place.open("wb") as target:  # type: ignore[union-attr]
            while piece := source.read(PIECE):  # what a header says of the size is not believed
                written += len(piece)
                if written > most:
                    raise ArchiveError(f"{archive.name} unpacks to more than {most} bytes: it is refused as a bomb.")
                target.write(piece)
                watch(written, None)


def _place(archive: Path, folder: Path, name: str, left_out: Collection[str]) -> Path | None:
    """Where a member goes; None for what is left out."""
    try:
        parts = relative_parts(name.replace("\\", "/").rstrip("/"), "")
    except HarnessError as error:
        raise ArchiveError(_holds(archive, name, "a name that leads out of its folder, or none at all")) from error
    if not parts or any(part.casefold() in left_out or part.startswith("._") for part in parts):
        return None
    return folder.joinpath(*parts)


def _kind(link: bool) -> str:
    return "a link" if link else "a device or pipe"


def _holds(archive: Path, name: str, what: str) -> str:
    return f"{archive.name} holds {what} ({shortened(name)!r}): it is refused, and nothing of it was kept."
