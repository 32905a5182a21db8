"""Only regular files are opened where a name comes from a file: to open a pipe waits for ever, a device never ends."""

from __future__ import annotations

import stat
from pathlib import Path

from harness.errors import HarnessError

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


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
    return "" if stat.S_ISREG(mode) else next((words for test, words in KINDS if test(mode)), "of an unknown kind")
