"""Text files that a user names, read within bounds."""

from __future__ import annotations

from pathlib import Path

from harness.errors import HarnessError
from harness.files.regular_file import other_kind

LARGEST_TEXT = 2**20
"""Bytes of a plan, a card or another file that people write."""


def read_text_file(path: Path, where: str, largest: int = LARGEST_TEXT) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Args:
        path: The file; links are followed.
        where: It with what named it, for messages ("plan mine.toml").
        largest: Bytes that it may have.

    Returns:
        The text; ends of lines are ``\\n``.

    Raises:
        HarnessError: It is missing or no regular file, cannot be read, has more than ``largest`` bytes, or is no text
            in UTF-8.
    """
    try:
        kind = other_kind(path)
        if kind:
            raise HarnessError(f"{where} is no file but {kind}.")
        with path.open("rb") as opened:
            content = opened.read(largest + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise HarnessError(f"{where}: there is no such file.") from None
    except (OSError, ValueError) as error:  # too long a name, a link to itself, a null byte
        raise HarnessError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if len(content) > largest:
        raise HarnessError(f"{where} is larger than {largest / 2**20:g} MiB, and files of its kind never are.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HarnessError(f"{where} is no text in UTF-8 (byte {error.start + 1}).") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
