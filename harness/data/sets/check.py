"""Are the files of a data set complete and in order? What is missing, where it belongs, what is wrong with the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.absent import absent_images, said_of_absent
from harness.data.cards import DatasetCard, Expected
from harness.data.decoding import complaints
from harness.data.features.sources import read_dataset
from harness.data.raw import RawDataset, paths_of
from harness.data.sets.folder import LAYOUT, alternatives, find_folder, found_below, names_of_folder, own_folder
from harness.errors import HarnessError, MissingFilesError
from harness.files.paths import path_below
from harness.files.unpack import is_archive
from harness.text import counted

if TYPE_CHECKING:
    from harness.plugin.loading import Registry

IMAGES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp"}
"""Endings of image files."""

NAMED = 5
"""Files that a sentence names; the list of a finding has them all."""

Watch = Callable[[str, int, int], None]
"""Called with what is done, how many are done, and of how many."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: "missing", "wrong" or "damaged"; "stray" for files that nothing asks for, and "size" for other numbers of
            images than the card's, which harm nothing.
        path: The file or folder.
        text: One sentence.
        files: All files that it concerns, where it is more than one.
    """

    kind: str
    path: Path
    text: str
    files: tuple[str, ...] = ()

    @property
    def harmful(self) -> bool:
        """Whether the data set cannot be used as it should because of it."""
        return self.kind not in ("stray", "size")


def check(
    registry: Registry,
    card: DatasetCard,
    root: Path | None,
    *,
    deep: bool = False,
    watch: Watch = lambda what, done, total: None,
) -> list[Finding]:
    """Everything that is not as it should be.

    Args:
        registry: Where the reader is found.
        card: The card.
        root: The data root, or the data set's own folder.
        deep: Decode every image.
        watch: Progress.

    Returns:
        The findings; none for a data set that is in order.

    Raises:
        HarnessError: There is no data root.
    """
    if card.layout is None:
        return []
    layout = card.layout.model_dump()
    if root is None:
        raise HarnessError(
            f"data set {card.name!r} needs its files: give --data-root DIR or set HARNESS_DATA, where DIR holds the "
            f"folder {card.layout.folder}."
        )
    folder = find_folder(layout, root)
    if folder is None:
        if card.layout.folder == ".":
            return [Finding("missing", root, f"there is no folder {root}")]
        names = " or ".join(names_of_folder(layout))
        text = f"the folder {names} is missing below {root}; it holds {wanted(card)}"
        return [Finding("missing", own_folder(root, card.layout.folder), text)]
    findings = [] if card.layout.folder == "." else missing(card, folder)  # a table may have any name
    findings += _of_sources(card, folder, watch)
    said = {str(finding.path) for finding in findings}
    for finding in _of_reader(registry, card, root, folder, deep, watch, bool(findings)):
        if not finding.files or not said.issuperset(finding.files):
            findings.append(finding)
    return findings


def missing(card: DatasetCard, folder: Path) -> list[Finding]:
    """Files and folders of the card that are not there, or are too few.

    Of several layouts only the one counts of which most is there; of equal ones the first on the card.
    """
    assert card.layout is not None
    expected = card.layout.files or _derived(card)
    variants = list(dict.fromkeys(entry.layout for entry in expected if entry.layout))
    common = [finding for entry in expected if not entry.layout for finding in _missing(card, folder, entry)]
    if not variants:
        return common
    of = {variant: [entry for entry in expected if entry.layout == variant] for variant in variants}
    best = max(variants, key=lambda variant: sum(_share(folder, entry) for entry in of[variant]) / len(of[variant]))
    return common + [finding for entry in of[best] for finding in _missing(card, folder, entry)]


def _share(folder: Path, entry: Expected) -> float:
    """How much of an expected file or folder is there, from 0 to 1."""
    number = sum(1 for _ in found_below(folder, entry.path))
    return min(number / ((entry.count or 1) if "*" in entry.path else 1), 1.0)


def wanted(card: DatasetCard) -> str:
    """What the folder of a data set holds, for people: of several layouts all, between "or"."""
    assert card.layout is not None
    expected = [entry for entry in card.layout.files or _derived(card) if not entry.optional]
    variants = list(dict.fromkeys(entry.layout for entry in expected if entry.layout)) or [""]
    said = []
    for variant in variants:
        entries = [entry for entry in expected if entry.layout in ("", variant)]
        said.append(
            ", ".join(
                entry.path
                + ("/" if entry.kind == "folder" else "")
                + (f" ({counted(entry.count, 'file')})" if entry.count else "")
                for entry in entries
            )
        )
    return " or ".join(said)


def _derived(card: DatasetCard) -> list[Expected]:
    assert card.layout is not None
    files = [Expected(path=card.layout.annotations)] if card.layout.annotations else []
    if card.layout.images:
        files.append(Expected(path=card.layout.images, kind="folder", count=card.images or None))
    return files


def _missing(card: DatasetCard, folder: Path, entry: Expected) -> Iterable[Finding]:
    assert card.layout is not None
    if entry.optional:
        return
    remark = f" ({entry.remark})" if entry.remark else ""
    paths = alternatives(card.layout.model_dump(), entry.path)
    places = [path_below(folder, path, LAYOUT) for path in paths]
    if "*" in entry.path:
        number = sum(1 for _ in found_below(folder, entry.path))
        if number < (entry.count or 1):
            wanted = f"{entry.count} of them" if entry.count else "at least one"
            yield Finding("missing", places[0], f"{entry.path}: {number} found in {folder}, expected {wanted}{remark}")
        return
    there = [place for place in places if (place.is_dir() if entry.kind == "folder" else place.is_file())]
    if not there:
        what = "folder" if entry.kind == "folder" else "file"
        other = f", or {' or '.join(paths[1:])}" if paths[1:] else ""
        yield Finding("missing", places[0], f"the {what} {entry.path}{other} is missing in {folder}{remark}")
        return
    if entry.kind == "file" and not there[0].stat().st_size:
        yield Finding("wrong", there[0], f"{there[0]} is empty (0 bytes)")
    if entry.kind == "folder" and entry.count is not None:
        number = sum(1 for path in there[0].rglob("*") if path.is_file() and not path.name.startswith("."))
        if number < entry.count:
            yield Finding("missing", there[0], f"{there[0]} holds {number} files, expected {entry.count}{remark}")


def _of_sources(card: DatasetCard, folder: Path, watch: Watch) -> Iterable[Finding]:
    """Files that the card knows size or sha256 of."""
    for source in card.sources:
        name = source.file_name
        path = path_below(folder, f"{source.unpack}/{name}".lstrip("/"), "[[sources]] of a dataset card")
        if source.kind != "file" or is_archive(name) or not path.is_file():
            continue
        size = path.stat().st_size
        if source.size is not None and size != source.size:
            yield Finding("wrong", path, f"{path} has {size} bytes, the card says {source.size}")
        elif source.sha256:
            watch(f"hashing {name}", 0, 1)
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            if digest != source.sha256:
                yield Finding("wrong", path, f"{path} is not the published file: its sha256 is {digest}")


def _of_reader(
    registry: Registry, card: DatasetCard, root: Path, folder: Path, deep: bool, watch: Watch, incomplete: bool
) -> Iterable[Finding]:
    """What the reader of the data set says, the same that a run uses, and what can be said of what it read.

    Where files are known to be ``incomplete``, the number of images says nothing new.
    """
    watch("reading", 0, 1)
    try:
        data = read_dataset(registry, card, root, complete=False)
    except HarnessError as error:
        files = error.files if isinstance(error, MissingFilesError) else ()
        not_decoded = "; no image was decoded, because it is not known which there should be" if deep else ""
        text = str(error).rstrip(".") + not_decoded
        yield Finding("missing" if files else "wrong", Path(files[0]) if files else folder, text, files)
        return
    other = "" if incomplete else card.other_size(len(data))
    if other:
        yield Finding("size", folder, other)
    if isinstance(data, RawDataset):
        yield from _of_images(data, folder, deep, watch)


def _of_images(data: RawDataset, folder: Path, deep: bool, watch: Watch) -> Iterable[Finding]:
    """Images that are missing, cannot be used, or that nothing names."""
    paths = paths_of(data.images)
    left = set(range(len(data)))
    absent = absent_images(data)
    if absent:
        lost = [paths[number] for number in absent]
        yield Finding("missing", lost[0].parent, said_of_absent(lost, len(data)), tuple(map(str, lost)))
        left.difference_update(absent)
    empty = [number for number in sorted(left) if paths and not paths[number].stat().st_size]
    if empty:
        text = f"{_listed([paths[number].name for number in empty], 'image')} empty (0 bytes)"
        yield Finding("damaged", folder, text, tuple(str(paths[number]) for number in empty))
        left.difference_update(empty)
    if deep:
        decoding = partial(watch, "decoding images")
        for number, text in complaints(data.images.__getitem__, sorted(left), decoding).items():
            yield Finding("damaged", paths[number] if paths else folder, text.rstrip("."))
    folders = {path.parent for path in paths if path.parent.is_dir()}
    known = {path.name for path in paths}
    stray = [
        path
        for place in sorted(folders)
        for path in sorted(place.iterdir())
        if path.suffix.lower() in IMAGES and path.name not in known
    ]
    if stray:
        names = tuple(map(str, stray))
        yield Finding(
            "stray", folder, f"{_listed([path.name for path in stray], 'image')} not in the annotation", names
        )


def _listed(names: list[str], noun: str) -> str:
    """``2 images (a.jpg, b.jpg) are``, with a few names at most."""
    shown = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"{counted(len(names), noun)} ({shown}) {'is' if len(names) == 1 else 'are'}"
