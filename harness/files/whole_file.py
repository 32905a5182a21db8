"""Files that are there whole or not at all, and read as a whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from harness.errors import HarnessError
from harness.files.regular_file import other_kind
from harness.files.unfinished import clear_beside, temporary_for
from harness.text import printable

LARGEST_BYTES = 256 * 2**20
"""Size of a file that is read; the largest of ours is the list of a sweep's cells, 20 MB for 100,000."""


def replace_text(path: Path, text: str) -> None:
    """Write a file under another name and rename it, so that a reader never sees half of it.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)  # a link of that name would be followed
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def read_plain_file(path: Path, largest: int = LARGEST_BYTES) -> bytes:
    """The bytes of a file.

    Args:
        path: The file.
        largest: Bytes that it may have.

    Raises:
        OSError: It cannot be read.
        ValueError: It is a pipe, a device or something else that is no plain file, or it is larger.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no plain file")
        if found.st_size > largest:
            raise ValueError(f"it is larger than {largest >> 20} MB")
        content = os.read(descriptor, found.st_size)
        while len(content) < found.st_size and (more := os.read(descriptor, found.st_size - len(content))):
            content += more  # a single call reads 2 GB at most
        return content
    finally:
        os.close(descriptor)


def write_whole(output: Path, option: str, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file that a user names under another name and rename it.

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
    temporary = temporary_for(target) if target.name else target
    try:
        with suppress(FileNotFoundError):
            if kind := other_kind(target):
                raise HarnessError(f"{where} is {kind}: name a file{' in it' if target.is_dir() else ''}.")
        clear_beside(target)
        with temporary.open("wb") as opened:
            write(opened)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(target)
    except OSError as error:
        raise HarnessError(
            f"{where} cannot be written: {error.strerror or error}; name a file in a folder that can."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(output: Path, option: str, text: str) -> None:
    """Write a text that a user asked for, in UTF-8 whatever the system's encoding, and printable.

    Raises:
        HarnessError: As :func:`write_whole`.
    """
    write_whole(output, option, lambda opened: opened.write(printable(text).encode()))
