"""Files that a user names: looked at before they are opened, and read within bounds.

Whoever opens a pipe waits for someone to write into it, and a device has no end.
"""

from __future__ import annotations

import stat
from pathlib import Path

from harness.errors import HarnessError

LARGEST_TEXT = 2**20
"""Bytes of a plan, a card or another file that people write."""


def check_is_file(path: Path, where: str) -> None:
    """A path leads to a file, which ends.

    Args:
        path: The path; links are followed.
        where: It with what named it, for messages ("--plugin mine.py").

    Raises:
        HarnessError: There is nothing, or a folder, a pipe, a device or a socket, or it cannot be reached.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise HarnessError(f"{where}: there is no such file.") from None
    except (OSError, ValueError) as error:  # too long a name, a link to itself, a null byte
        raise HarnessError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if stat.S_ISDIR(mode):
        raise HarnessError(f"{where} is a folder: name a file.")
    if not stat.S_ISREG(mode):
        raise HarnessError(f"{where} is a pipe, a device or a socket: name a file, which can be read again.")


def read_text_file(path: Path, where: str, largest: int = LARGEST_TEXT) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        where: It with what named it, for messages.
        largest: Bytes that it may have.

    Returns:
        The text; ends of lines are ``\\n``.

    Raises:
        HarnessError: As :func:`check_is_file`, or it has more than ``largest`` bytes, or is no text in UTF-8.
    """
    check_is_file(path, where)
    try:
        with path.open("rb") as opened:
            content = opened.read(largest + 1)
    except OSError as error:
        raise HarnessError(f"{where} cannot be read: {error.strerror}.") from error
    if len(content) > largest:
        raise HarnessError(f"{where} is larger than {largest / 2**20:g} MiB, and files of its kind never are.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HarnessError(f"{where} is no text in UTF-8 (byte {error.start + 1}).") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
