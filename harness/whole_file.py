"""Small files that are there whole or not at all, and read as a whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

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
