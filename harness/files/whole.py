"""Files and folders that are there whole or not at all: read and written as a whole, under a name that says who writes.

``.NAME.new-OWNER`` lies beside what it will become, and is cleared away when its writer was killed. OWNER is
``HOST-KERNEL-PID-TOKEN``. KERNEL tells machines and containers apart that call themselves alike, in which a process
number means another process.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import secrets
import socket
import stat
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import IO

from harness.errors import HarnessError
from harness.files.paths import other_kind
from harness.runtime.processes import process_exists
from harness.text import printable

LARGEST_BYTES = 256 * 2**20
"""Size of a file that is read; the largest of ours is the list of a sweep's cells, 20 MB for 100,000."""

LARGEST_TEXT = 2**20
"""Bytes of a plan, a card or another text that people write."""

STALE_SECONDS = 24 * 3600
"""Temporary files and folders older than this count as abandoned, whoever made them."""

OWNER_PATTERN = re.compile(r"(?P<machine>.+-[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]+")


def replace_text(path: Path, text: str) -> None:
    """Write a file of our own in UTF-8, whole or not at all; a link of that name is replaced.

    Raises:
        OSError: It cannot be written.
    """
    _replace(path, lambda opened: opened.write(text.encode()))


def _replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file under another name and rename it once it is on the disk, so that nobody ever sees half of it."""
    clear_beside(path)
    temporary = temporary_for(path)
    try:
        with temporary.open("xb") as opened:  # a link of that name is not followed
            write(opened)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


class TooLargeError(ValueError):
    """A file has more bytes than are read."""


def read_plain_file(path: Path, largest: int = LARGEST_BYTES) -> bytes:
    """The bytes of a file.

    Args:
        path: The file.
        largest: Bytes that it may have.

    Raises:
        OSError: It cannot be read.
        TooLargeError: It is larger.
        ValueError: It is a pipe, a device or something else that is no plain file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no plain file")
        if status.st_size > largest:
            raise TooLargeError(f"it is larger than {largest >> 20} MB")
        with open(descriptor, "rb", closefd=False) as opened:
            return opened.read(status.st_size)
    finally:
        os.close(descriptor)


def read_text_file(path: Path, where: str, largest: int = LARGEST_TEXT) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Args:
        path: The file; links are followed.
        where: What it is and its name, for messages ("plan mine.toml").
        largest: Bytes that it may have.

    Returns:
        The text; ends of lines are ``\\n``.

    Raises:
        HarnessError: It is missing or no regular file, cannot be read, has more than ``largest`` bytes, or is no text
            in UTF-8.
    """
    try:
        if kind := other_kind(path):
            raise HarnessError(f"{where} is no file but {kind}.")
        text = read_plain_file(path, largest).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise HarnessError(f"{where}: there is no such file.") from None
    except TooLargeError:
        raise HarnessError(
            f"{where} is larger than {largest / 2**20:g} MiB, and files of its kind never are."
        ) from None
    except UnicodeDecodeError as error:
        raise HarnessError(f"{where} is no text in UTF-8 (byte {error.start + 1}).") from error
    except (OSError, ValueError) as error:  # too long a name, a link to itself, a null byte
        raise HarnessError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write_whole(output: Path, option: str, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file that a user names.

    A link stays one: what it leads to is replaced. A pipe or a device is refused, which renaming would replace by a
    file.

    Args:
        output: The file.
        option: Option that named it, for messages.
        write: Writes its bytes.

    Raises:
        HarnessError: It is a folder, a pipe or a device, or cannot be written.
    """
    where = f"{option} {output}"
    target = Path(os.path.realpath(output))
    try:
        with contextlib.suppress(FileNotFoundError):
            if kind := other_kind(target):
                raise HarnessError(f"{where} is {kind}: name a file{' in it' if target.is_dir() else ''}.")
        _replace(target, write)
    except OSError as error:
        raise HarnessError(
            f"{where} cannot be written: {error.strerror or error}; name a file in a folder that can."
        ) from error


def write_text(output: Path, option: str, text: str) -> None:
    """Write a text that a user asked for, in UTF-8 whatever the system's encoding, and printable.

    Raises:
        HarnessError: As :func:`write_whole`.
    """
    write_whole(output, option, lambda opened: opened.write(printable(text).encode()))


@lru_cache(maxsize=1)
def _machine() -> str:
    """Host, and a fingerprint of what its process numbers count for: this boot, this container."""
    known = ""
    with contextlib.suppress(OSError):
        known += Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    with contextlib.suppress(OSError):
        known += str(Path("/proc/self/ns/pid").stat().st_ino)
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()) or "host"
    return f"{host[:64]}-{hashlib.sha256(known.encode()).hexdigest()[:8]}"


def owner() -> str:
    """A new name that says which process of which machine writes."""
    return f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"


def temporary_for(folder: Path) -> Path:
    """A new name beside a file or folder, under which it is written or removed."""
    return folder.with_name(f".{folder.name}.new-{owner()}")


def is_abandoned(path: Path) -> bool:
    """Whether a temporary folder has lost its owner: a process of this machine that is no more, or it is very old."""
    if path.name.endswith(".old"):  # of a version before this one
        return True
    said = OWNER_PATTERN.fullmatch(path.name.partition(".new-")[2] or path.name)
    try:
        made = path.stat().st_mtime
    except OSError:
        return False  # its owner has just finished
    if said and said["machine"] == _machine() and not process_exists(int(said["pid"]), before=made):
        return True
    return time.time() - made > STALE_SECONDS


def clear_beside(file: Path) -> None:
    """Remove what processes left that were killed while they wrote a file, which need not be there itself."""
    for left in file.parent.glob(f".{glob.escape(file.name)}.new-*"):
        if is_abandoned(left):
            with contextlib.suppress(OSError):  # another process clears as well
                left.unlink()
