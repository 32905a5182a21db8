"""Where the files of a data set are: shared by all readers, so that they all say alike what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness import HarnessError
from harness.data.cards import DatasetCard, Layout
from harness.data.sets.folder import LAYOUT, looked_for, own_folder
from harness.errors import MissingFilesError
from harness.files.looks_like import looks_like, why_unreadable
from harness.files.paths_below import path_below
from harness.files.regular_file import require_regular

ANY = "."
"""A layout whose data root is the data set's own folder."""


def layout_of(card: DatasetCard) -> Layout:
    """Where the card says that the files lie.

    Raises:
        HarnessError: It does not say.
    """
    if card.layout is None:
        raise HarnessError(f"dataset card {card.name!r} lacks the table [layout].")
    return card.layout


def folder_of(card: DatasetCard, root: Path | None, needed: Sequence[str] = (), remark: str = "") -> Path:
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
    layout = layout_of(card)
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


def wanted_of(card: DatasetCard, remark: str = "") -> str:
    """What the data root must hold, in words."""
    layout = layout_of(card)
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


def images_of(card: DatasetCard, folder: Path) -> Path | None:
    """The folder of the images, by one of the names that the card gives it; None if none is there."""
    layout = layout_of(card)
    return first_there(folder, [layout.images, *layout.other_images])


def refuse_missing(card: DatasetCard, root: Path | None, missing: Iterable[Path], remark: str = "") -> None:
    """Name the files and folders that are missing, if any are, and what there must be.

    Args:
        card: The card, with a layout.
        root: The data root, or the data set's own folder.
        missing: What is not there.
        remark: What the data root must hold, with ``{folder}``; what the card says of it if it is left out.

    Raises:
        MissingFilesError: Something is missing.
    """
    absent = [str(path) for path in missing]
    if absent:
        wanted = remark.replace("{folder}", layout_of(card).folder) or wanted_of(card)
        raise MissingFilesError(
            f"dataset {card.name!r}: {' and '.join(absent)} missing; --data-root {root} must hold {wanted}.", absent
        )


def read_text(path: Path, encoding: str = "utf-8-sig") -> str:
    """A text file; a byte order mark is no part of it.

    Raises:
        HarnessError: It is missing, no regular file, or in another encoding.
    """
    try:
        return require_regular(path).read_text(encoding=encoding)
    except OSError as error:
        raise HarnessError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path} {not_utf8(path, error)}.") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file. They end at line breaks alone, not at what Unicode calls a separator.

    Raises:
        HarnessError: As :func:`read_text`.
    """
    return read_text(path).split("\n")


def whole_number(text: str) -> int | None:
    """The number that digits write; None for other texts, and for numbers that no array can hold."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def not_utf8(path: Path, error: UnicodeDecodeError) -> str:
    """What is wrong with a file in another encoding, or what it is instead of a text."""
    seen = looks_like(path, "text")
    if seen:
        return f"is no text: it is {seen}"
    byte = error.object[error.start]
    return f"is no text in UTF-8 (byte 0x{byte:02x} at position {error.start}): save it in that encoding"


def read_json(path: Path) -> Any:
    """The content of a JSON file; a byte order mark is no part of it.

    Raises:
        HarnessError: It cannot be read, is in another encoding, or is no JSON; the message says what it looks like
            instead.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise HarnessError(f"{path} cannot be read as JSON: its brackets are nested too deep.") from error
    except ValueError as error:
        raise HarnessError(f"{path} cannot be read as JSON: {why_unreadable(path, error, 'text')}.") from error
