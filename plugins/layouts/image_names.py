"""Names of images that a file gives, and the files that they mean: shared by all readers."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness import HarnessError
from harness.data.absent import names_in
from harness.files.paths import relative_parts
from harness.text import counted, shown

log = logging.getLogger(__name__)


def image_paths(names: Iterable[str], folders: Sequence[Path], source: Path) -> list[Path]:
    """The files that names of images mean.

    A file is looked for in each folder in turn, by its name as it is written or in another Unicode form (an accented
    letter as one character, or as two). Symbolic links below the folders are the user's own, and are followed: stores
    of large files are made of them.

    Args:
        names: The names, with ``/``.
        folders: Where they go from, at least one.
        source: The file that gives the names, for messages.

    Returns:
        One path for each name, the same for all spellings of one file; for a file that is not there the place in the
        first folder where it belongs.

    Raises:
        HarnessError: A name leads out of the folders, or can be no name of a file.
    """
    lookup = _Lookup(folders, f"{source}: image name")
    paths = [lookup.path(name) for name in names]
    if lookup.respelt:
        found = next(iter(lookup.respelt.values()))
        number = counted(len(lookup.respelt), "name is", "names are")
        log.warning(
            "%s: %s written in another Unicode form than the files, which are taken: %s.", source, number, found
        )
    return paths


def name_of_image(value: Any, where: str) -> str:
    """The name of an image, without blanks around it.

    Args:
        value: What the file gives.
        where: File and place, for the message.

    Raises:
        HarnessError: It is no text, or blank.
    """
    if not isinstance(value, str) or not value.strip():
        raise HarnessError(f"{where} is {shown(value)}, expected the name of an image.")
    return value.strip()


class _Lookup:
    """Finds files by name; each folder is listed once."""

    def __init__(self, folders: Sequence[Path], what: str) -> None:
        self.folders, self.what = folders, what
        self.places: dict[str, list[Path]] = {}
        self.listed: dict[Path, set[str]] = {}
        self.by_form: dict[Path, dict[str, str]] = {}
        self.respelt: dict[Path, Path] = {}

    def path(self, name: str) -> Path:
        parent, _, last = name.rpartition("/")
        if parent not in self.places or not last.isprintable():
            parts = relative_parts(name, self.what)
            self.places[parent] = [self._below(folder, parts[:-1]) for folder in self.folders]
        places = self.places[parent]
        for place in places:
            if last in self._names(place):
                return place / last
        if relative_parts(name, self.what)[-1:] != (last,):
            raise HarnessError(f"{self.what} {shown(name)} is no name of a file.")
        spelt = ((place, self._spelt(place, last)) for place in places)
        return next((place / found for place, found in spelt if found is not None), places[0] / last)

    def _below(self, place: Path, parts: Sequence[str]) -> Path:
        for part in parts:
            place = place / (self._spelt(place, part) or part)
        return place

    def _spelt(self, place: Path, name: str) -> str | None:
        """A name as its file or folder is spelt; None if it is not there."""
        if name in self._names(place):
            return name
        if place not in self.by_form:
            self.by_form[place] = {unicodedata.normalize("NFC", there): there for there in sorted(self._names(place))}
        found = self.by_form[place].get(unicodedata.normalize("NFC", name))
        if found is not None:
            self.respelt[place / name] = place / found
        return found

    def _names(self, place: Path) -> set[str]:
        if place not in self.listed:
            self.listed[place] = names_in(place)
        return self.listed[place]
