"""Paths made of names that files give: the one way by which such a name becomes a path of ours.

Cards, plans, records, archives, annotations and marks come from strangers. A name in them is a relative path of plain
parts, and what it leads to, symbolic links followed, lies below the folder that the user named (docs/security.md). Only
regular files are opened there: to open a pipe waits for ever, a device never ends.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

from harness.errors import HarnessError

LONGEST_PART = 255
"""Bytes of a file name that file systems take."""

LONGEST_PATH = 4000
"""Bytes of a whole path; Linux takes 4,096 with the folder before it."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
"""Names of data sets, methods and other things that become the name of a folder."""

OTHER_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
"""What a path may lead to that is no regular file: the test of its mode, and the words for it."""


def relative_parts(name: str, what: str) -> tuple[str, ...]:
    """The parts of a relative path that a file gives.

    Args:
        name: The path, with ``/``; "" and "." are the folder itself.
        what: Where it was found, for the message ("dataset card 'x': key 'layout.folder'").

    Returns:
        Its parts without ".".

    Raises:
        HarnessError: It is absolute, has a part "..", a backslash, a drive or a control character, or is longer than
            file systems take.
    """
    pure = PurePosixPath(name)
    if pure.is_absolute() or "\\" in name or PureWindowsPath(name).drive or ".." in pure.parts:
        raise HarnessError(f"{what}: {name[:200]!r} is no path below its folder; give a relative path without '..'.")
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        raise HarnessError(f"{what}: {name[:200]!r} holds control characters.")
    try:
        lengths = [len(part.encode()) for part in pure.parts]
    except UnicodeEncodeError:
        raise HarnessError(f"{what}: {name[:200]!r} is no valid Unicode.") from None
    if sum(lengths) + len(lengths) > LONGEST_PATH or any(length > LONGEST_PART for length in lengths):
        raise HarnessError(f"{what}: {name[:60]!r}... is longer than a path may be.")
    return pure.parts


def path_below(folder: Path, name: str, what: str) -> Path:
    """The path of a name that a file gives, below a folder that the user named.

    Args:
        folder: The folder; it may be a link itself.
        name: The relative path, with ``/``.
        what: Where the name was found, for the message.

    Returns:
        ``folder`` with ``name``; nothing needs to be there.

    Raises:
        HarnessError: As :func:`relative_parts`, or it leads out of the folder through a symbolic link.
    """
    path = folder.joinpath(*relative_parts(name, what))
    try:
        target, base = path.resolve(), folder.resolve()
        inside = target.is_relative_to(base)
        for step in (target, *target.parents) if inside else ():
            if step == base:
                break
            if step.is_symlink():  # to itself: from Python 3.13 on resolve() leaves it as it is
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    except (OSError, RuntimeError) as error:  # a link that leads to itself
        said = getattr(error, "strerror", None) or error
        raise HarnessError(f"{what}: {path} cannot be followed: {said}.") from error
    if not inside:
        raise HarnessError(
            f"{what}: {path} is a link that leads out of {folder}; move what it leads to into that folder, or make the "
            "folder itself the link."
        )
    return path


def pattern_parts(pattern: str, what: str) -> tuple[str, ...]:
    """The parts of a relative path in which ``*`` stands for any name within a folder.

    Raises:
        HarnessError: As :func:`relative_parts`, or it is empty or has ``**``, which would search whole trees.
    """
    parts = relative_parts(pattern, what)
    if not parts or "**" in pattern:
        raise HarnessError(f"{what}: {pattern[:200]!r} is no path or pattern; '*' stands for any name within a folder.")
    return parts


def file_name(name: str, what: str) -> str:
    """A name of one file in a folder, which is not hidden.

    Args:
        name: The name; other than a plain name it may hold blanks and letters of any language.
        what: Where it was found, for the message.

    Returns:
        The name.

    Raises:
        HarnessError: It is empty, begins with ``.``, or is no single part as of :func:`relative_parts`.
    """
    if name.startswith(".") or relative_parts(name, what) != (name,):
        raise HarnessError(f"{what}: {name[:200]!r} is no plain name of a file; give one without folders.")
    return name


def plain_name(name: str, what: str) -> str:
    """A name that may be the name of a folder on every system.

    Args:
        name: The name.
        what: What it names, for the message.

    Returns:
        The name.

    Raises:
        HarnessError: It has other characters than letters, digits, ``.``, ``_``, ``+`` and ``-``, begins with one of
            the signs, or has more than 100 characters.
    """
    if not PLAIN_NAME.fullmatch(name):
        raise HarnessError(
            f"{what}: {name[:120]!r} is no plain name; use letters, digits, '.', '_', '+' and '-', beginning with a "
            "letter or digit, 100 at most."
        )
    return name


def require_regular(path: Path, what: str = "") -> Path:
    """The path of a file that may be opened; symbolic links are followed.

    Args:
        path: The file.
        what: What to call it in messages: "image"; "" where its path says enough.

    Raises:
        HarnessError: It is missing, cannot be reached, or is a folder, a pipe, a device or a socket.
    """
    name = f"{what} {path}".lstrip()
    try:
        kind = other_kind(path)
    except (FileNotFoundError, NotADirectoryError):
        raise HarnessError(f"{name} is missing.") from None
    except (OSError, ValueError) as error:  # a path with a NUL, or longer than paths may be
        raise HarnessError(f"{name[:300]} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if kind:
        raise HarnessError(f"{name} is no file but {kind}.")
    return path


def other_kind(path: Path) -> str:
    """What lies at a path in place of a file: "a folder", "a pipe"; "" where it is a regular file.

    Raises:
        OSError: Nothing is there, or it cannot be reached.
    """
    mode = path.stat().st_mode
    return (
        "" if stat.S_ISREG(mode) else next((words for test, words in OTHER_KINDS if test(mode)), "of an unknown kind")
    )
