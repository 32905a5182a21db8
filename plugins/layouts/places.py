"""Where the files of a data set are: shared by all readers, so that they all say alike what is missing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from harness import HarnessError
from harness.data.dataset_folder import LAYOUT, looked_for, own_folder
from harness.paths_below import path_below

ANY = "."
"""A layout whose data root is the data set's own folder."""


def folder_of(card: Any, root: Path | None, needed: Sequence[str] = (), remark: str = "") -> Path:
    """The folder of a data set: below the data root, or the data root itself.

    Args:
        card: The card, with a layout.
        root: The data root, or the data set's own folder.
        needed: Files or folders that it holds, as patterns; any of them tells that it is the one.
        remark: What else to say of what it must hold.

    Returns:
        The folder.

    Raises:
        HarnessError: There is no root, or the card names something that leads out of it.
    """
    layout = card.layout
    if layout is None:
        raise HarnessError(f"dataset card {card.name!r} lacks the table [layout].")
    wanted = wanted_of(card, remark)
    if root is None:
        raise HarnessError(
            f"dataset {card.name!r} needs its files: give --data-root DIR or set HARNESS_DATA, where DIR holds "
            f"{wanted}."
        )
    names = [layout.folder, *layout.other_folders]
    for name in names:
        if (folder := own_folder(root, name)).is_dir():
            return folder
    if root.is_dir() and any(next(looked_for(root, name), None) for name in needed if name):
        return root
    return own_folder(root, layout.folder)


def wanted_of(card: Any, remark: str = "") -> str:
    """What the data root must hold, in words."""
    layout = card.layout
    below = "" if layout.folder == ANY else f"{layout.folder}/"
    if remark:
        return remark.replace("{folder}/", below)
    number = f" with {card.images} images" if card.images else ""
    return f"{below}{layout.annotations} and {below}{layout.images}/{number}"


def place_of(folder: Path, name: str) -> Path:
    """Where a file or folder is that a card names.

    Raises:
        HarnessError: It leads out of the data set's folder.
    """
    return path_below(folder, name, LAYOUT)


def first_there(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of some files or folders that is there.

    Raises:
        HarnessError: One of them leads out of the folder.
    """
    return next((place for name in names if (place := place_of(folder, name)).exists()), None)


def images_of(card: Any, folder: Path) -> Path | None:
    """The folder of the images, by one of the names that the card gives it; None if none is there."""
    return first_there(folder, [card.layout.images, *card.layout.other_images])


def refuse_missing(card: Any, root: Path | None, missing: Iterable[Path], remark: str = "") -> None:
    """Name the files and folders that are missing, if any are, and what there must be.

    Args:
        card: The card, with a layout.
        root: The data root, or the data set's own folder.
        missing: What is not there.
        remark: What the data root must hold, with ``{folder}``; what the card says of it if it is left out.

    Raises:
        HarnessError: Something is missing.
    """
    absent = " and ".join(map(str, missing))
    if absent:
        wanted = remark.replace("{folder}", card.layout.folder) or wanted_of(card)
        raise HarnessError(f"dataset {card.name!r}: {absent} missing; --data-root {root} must hold {wanted}.")


def images_there(card: Any, folder: Path, names: Sequence[str]) -> list[Path]:
    """Paths of images, each of which is there.

    Args:
        card: The card, for messages.
        folder: Folder of the images.
        names: Their names below it, with ``/``.

    Returns:
        The paths.

    Raises:
        HarnessError: A name leads out of the folder, or images are missing; the message counts them and names the
            first.
    """
    listed: dict[str, set[str]] = {}
    absent = []
    for name in names:
        parent, _, last = name.rpartition("/")
        if parent not in listed:
            check_inside(card, name, str(folder))
            listed[parent] = names_in(folder / parent)
        if last not in listed[parent]:
            check_inside(card, name, str(folder))
            absent.append(name)
    if absent:
        raise HarnessError(
            f"dataset {card.name!r}: {len(absent)} of {len(names)} images are missing in {folder}, the first is "
            f"{absent[0]}."
        )
    return [folder / name for name in names]


def check_inside(card: Any, name: str, folder: str) -> None:
    """A name that a file gives stays within the folder.

    Raises:
        HarnessError: It leads out of it.
    """
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.name:
        raise HarnessError(f"dataset {card.name!r}: the image name {name!r} is no file below {folder}.")


def names_in(folder: Path) -> set[str]:
    """Names of all files and folders in a folder; none if it is not there."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def read_text(path: Path, encoding: str = "utf-8-sig") -> str:
    """A text file; a byte order mark is no part of it.

    Raises:
        HarnessError: It is not there, or in another encoding.
    """
    try:
        return path.read_text(encoding=encoding)
    except FileNotFoundError:
        raise HarnessError(f"{path} is missing.") from None
    except OSError as error:
        raise HarnessError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path} {not_utf8(error)}.") from error


def not_utf8(error: UnicodeDecodeError) -> str:
    """What is wrong with a text in another encoding."""
    byte = error.object[error.start]
    return f"is no text in UTF-8 (byte 0x{byte:02x} at position {error.start}): save it in that encoding"


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        HarnessError: It cannot be read, is in another encoding, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path} cannot be read as JSON: it {not_utf8(error)}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise HarnessError(f"{path} cannot be read as JSON: {error}.") from error
