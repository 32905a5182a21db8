"""Images that a data set names and that are not there: found in one place, whatever reader named them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from harness.data.raw import RawDataset, paths_of
from harness.errors import HarnessError, MissingFilesError
from harness.files.paths import other_kind

NAMED = 3
"""Files that a sentence names; the error has all of them."""


def names_in(folder: Path) -> set[str]:
    """Names of all files and folders in a folder; none if it is not there. A link that leads nowhere is no file.

    Raises:
        HarnessError: The folder cannot be read.
    """
    return _names(folder, lambda entry: not entry.is_symlink() or Path(entry.path).exists())


def absent_images(raw: RawDataset) -> list[int]:
    """Numbers of the images whose files are not there, or are no regular files, in ascending order.

    Folders are listed, and no file is opened.
    """
    listed: dict[str, set[str]] = {}
    absent = []
    for number, path in enumerate(paths_of(raw.images)):
        folder, name = os.path.split(path)
        if folder not in listed:
            listed[folder] = _names(Path(folder), os.DirEntry.is_file)
        if name not in listed[folder]:
            absent.append(number)
    return absent


def _names(folder: Path, keep: Callable[[os.DirEntry[str]], bool]) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if keep(entry)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except (OSError, ValueError) as error:  # a path with a NUL, or longer than paths may be
        said = getattr(error, "strerror", None) or error
        raise HarnessError(f"{str(folder)[:300]} cannot be read: {said}.") from error


def refuse_absent(raw: RawDataset) -> None:
    """Refuse data of which an image file is missing.

    Raises:
        MissingFilesError: Some are not.
    """
    absent = absent_images(raw)
    if absent:
        paths = paths_of(raw.images)
        raise MissingFilesError(
            f"data set {raw.name!r}: {said_of_absent([paths[number] for number in absent], len(raw))}; `harness data "
            "check` lists all that is missing, and a run with --skip-broken leaves it out.",
            [str(paths[number]) for number in absent],
        )


def said_of_absent(paths: Sequence[Path], number: int) -> str:
    """``2 of 24 images are missing: DIR/a.jpg, DIR/b.jpg``, with a few names at most.

    Args:
        paths: Those that are missing, at least one.
        number: Of how many.
    """
    shown = ", ".join(f"{path}{_near(path)}" for path in paths[:NAMED]) + (", ..." if len(paths) > NAMED else "")
    return f"{len(paths)} of {number} images {'is' if len(paths) == 1 else 'are'} missing: {shown}"


def _near(path: Path) -> str:
    """What is there instead, or called almost so, in brackets; or nothing."""
    with suppress(OSError, ValueError):
        return f" (no file but {other_kind(path)})"
    wanted = unicodedata.normalize("NFC", path.name)
    for name in sorted(names_in(path.parent)):
        normal = unicodedata.normalize("NFC", name)
        if normal == wanted:
            return " (there is one whose name differs only in its Unicode form)"
        if normal.casefold() == wanted.casefold():
            return f" (there is {name}, which differs in upper and lower case)"
    return ""
