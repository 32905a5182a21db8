"""Fetching a data set: download, check, unpack aside, and only then move into place.

Everything unfinished lies in ``.fetch-NAME`` below the data root: parts of downloads, archives, what is being unpacked.
A process may be killed at any moment; the next one goes on from there. A data set's folder that was not there before
appears at the end, with everything in it. Nothing is written through a link that leads out of the data root, and
nothing is removed but what lies in ``.fetch-NAME``.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from harness.data.cards import DatasetCard, Source
from harness.data.sets.check import missing
from harness.data.sets.download import Patience, download, what_is_wrong
from harness.data.sets.folder import find_folder, names_of_folder, own_folder
from harness.errors import HarnessError
from harness.files.json_text import read_json
from harness.files.paths import path_below, plain_name
from harness.files.unpack import ArchiveError, Limits, is_archive, unpack
from harness.files.whole import replace_text

MARK = ".harness-fetched.json"
"""In a data set's folder: which sources it holds. Archives that bring one are not believed."""

Watch = Callable[[str, int, int | None], None]
"""Called with what is done, the bytes that are done, and all bytes where that is known."""


@dataclass(frozen=True)
class Step:
    """What is to be done about one source.

    Attributes:
        source: The source.
        name: Name of its file; "" for a page that gives several.
        place: The folder into which the file or its content goes.
        state: "there", "fetch", "put" (the file was brought by hand, and is to be unpacked) or "by hand".
        file: The file that was brought by hand.
    """

    source: Source
    name: str
    place: Path
    state: str
    file: Path | None = None

    @property
    def archive(self) -> bool:
        """Whether the file is unpacked."""
        return is_archive(self.name)

    @property
    def advice(self) -> str:
        """How to get by hand what has no address for programs."""
        remark = f" ({self.source.remark})" if self.source.remark else ""
        address = self.source.address or "its authors"
        if not self.name:
            return f"get its files by hand from {address}{remark}, and put them into {self.place}"
        return f"{self.name}: get it by hand from {address}{remark}, put it at {self.by_hand_place}, and fetch again"

    @property
    def by_hand_place(self) -> Path:
        """Where a file that was got by hand is looked for."""
        return self.place / self.name


def plan(card: DatasetCard, root: Path, *, again: bool = False) -> list[Step]:
    """What fetching would do, source by source.

    Args:
        card: The card.
        root: The data root.
        again: Fetch what was fetched before, too.

    Returns:
        A step for each source of the card.

    Raises:
        HarnessError: The card has no sources, or a file would be written through a link out of the data root.
    """
    if card.layout is None:
        return []
    if not card.sources:
        see = f": see {card.source}" if card.source else ""
        raise HarnessError(f"data set {card.name!r}: its card names no source to fetch{see}.")
    present = find_folder(card.layout.model_dump(), root)
    target = present or own_folder(root, card.layout.folder)
    complete = present is not None and not missing(card, present)
    staged = _stage(root, card) / "new"
    marked = _marked(staged) if again else _marked(target) | _marked(staged)
    steps = []
    for source in card.sources:
        name = source.file_name
        place = path_below(target, source.unpack, f"dataset card {card.name!r}: key 'unpack'")
        brought = next((path / name for path in (place, target, root) if name and (path / name).is_file()), None)
        held = _identity(source) in marked if is_archive(name) else brought == place / name
        if complete or (name and held):
            state = "there"
        elif brought is not None:
            state = "put"
        else:
            state = "by hand" if source.by_hand else "fetch"
        if state in ("fetch", "put"):
            path_below(root, place.relative_to(root).as_posix(), f"data set {card.name!r}")
        steps.append(Step(source, name, place, state, brought))
    return steps


def fetch(
    card: DatasetCard,
    root: Path,
    *,
    patience: Patience | None = None,
    limits: Limits | None = None,
    watch: Watch = lambda what, done, total: None,
    again: bool = False,
) -> list[Step]:
    """Bring a data set's files below the data root.

    Args:
        card: Its card.
        root: The data root; it is made.
        patience: How long to wait for servers.
        limits: Of archives.
        watch: Progress.
        again: As for :func:`plan`.

    Returns:
        The steps; those "by hand" are left to the user.

    Raises:
        HarnessError: A file cannot be had, is not the right one, cannot be unpacked, or would replace another one; one
            sentence says why. What was finished before is kept.
    """
    if card.layout is None:
        return []
    stage = _stage(root, card)
    try:
        stage.mkdir(parents=True, exist_ok=True)
        links = [path for path in (stage, *stage.iterdir()) if path.is_symlink()]
    except OSError as error:
        raise HarnessError(f"--data-root {root} cannot be written: {error.strerror}.") from error
    if links:
        raise HarnessError(f"{links[0]} is a link, and unfinished downloads are never written through one: remove it.")
    try:
        with FileLock(stage / "lock", timeout=0):
            try:
                steps = _fetch_all(card, root, stage, patience, limits, watch, again)
            except BaseException:
                if not any(path.name != "lock" for path in stage.iterdir()):
                    shutil.rmtree(stage, ignore_errors=True)  # nothing worth keeping
                raise
            shutil.rmtree(stage, ignore_errors=True)
            return steps
    except Timeout:
        raise HarnessError(f"another process is fetching {card.name!r} into {root}; wait for it.") from None
    except OSError as error:
        raise HarnessError(f"{error.filename or root}: {error.strerror or error}.") from error


def _fetch_all(
    card: DatasetCard,
    root: Path,
    stage: Path,
    patience: Patience | None,
    limits: Limits | None,
    watch: Watch,
    again: bool,
) -> list[Step]:
    assert card.layout is not None
    steps = plan(card, root, again=again)
    target = find_folder(card.layout.model_dump(), root) or own_folder(root, card.layout.folder)
    folder = target if target.exists() else stage / "new"
    for step in steps:
        if step.state in ("fetch", "put"):
            _one(card, step, stage, root, folder, patience, limits, watch)
    if folder != target and folder.exists() and any(folder.iterdir()):
        path_below(root, target.relative_to(root).as_posix(), f"data set {card.name!r}")
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    return steps


def _one(
    card: DatasetCard,
    step: Step,
    stage: Path,
    root: Path,
    folder: Path,
    patience: Patience | None,
    limits: Limits | None,
    watch: Watch,
) -> None:
    """Download and place one source."""
    source = step.source
    file = step.file or stage / step.name
    digest = hashlib.sha256(_identity(source).encode()).hexdigest()[:12]  # the card may be another one than last time
    unpacked = stage / f"unpacked-{digest}"
    if not unpacked.exists():
        half = stage / f"unpacking-{digest}"
        shutil.rmtree(half, ignore_errors=True)
        wrong = what_is_wrong(file, step.name, source.size, source.sha256) if file.is_file() else "it is not there"
        if wrong and step.file is not None:
            raise HarnessError(f"{file}: {wrong}; remove it, or put what it holds into {step.place} by hand.")
        kept = step.file is None and not wrong
        if step.file is None and not kept:
            file.unlink(missing_ok=True)
            _download(step, file, patience, watch)
        if step.archive:
            try:
                _unpack(step, file, half, limits, watch)
            except ArchiveError:
                if not kept:
                    raise
                _download(step, file, patience, watch)  # what an earlier command left may be cut
                _unpack(step, file, half, limits, watch)
        else:
            half.mkdir()
            try:
                (half / step.name).hardlink_to(file.resolve())
            except OSError:  # a file system without, or another one
                shutil.copy2(file, half / step.name)
        half.rename(unpacked)
    content = unpacked
    if step.archive and not source.unpack:
        content = _without_outer_folder(card, unpacked)
    place = path_below(folder, source.unpack, f"dataset card {card.name!r}: key 'unpack'")
    clash = next(_clashes(content, place, root), None)
    if clash is not None:
        raise HarnessError(
            f"{clash} is there already, with another content than that in {step.name}: move it away, and fetch again."
        )
    _move(content, place)
    _mark(folder, source)
    shutil.rmtree(unpacked, ignore_errors=True)
    if step.file is None:
        file.unlink(missing_ok=True)


def _download(step: Step, file: Path, patience: Patience | None, watch: Watch) -> None:
    source = step.source
    download(
        source.address,
        file,
        size=source.size,
        sha256=source.sha256,
        patience=patience,
        watch=lambda done, total: watch(step.name, done, total),
    )


def _unpack(step: Step, file: Path, folder: Path, limits: Limits | None, watch: Watch) -> None:
    """Unpack an archive; one that was downloaded and cannot be unpacked is not kept, so that it is fetched again."""
    try:
        unpack(file, folder, limits, lambda done, total: watch(f"unpacking {step.name}", done, total), ignored=(MARK,))
    except ArchiveError:
        if step.file is None:
            file.unlink(missing_ok=True)
        raise


def _without_outer_folder(card: DatasetCard, unpacked: Path) -> Path:
    """Archives often hold the data set's folder itself; then its content is meant."""
    assert card.layout is not None
    entries = list(unpacked.iterdir())
    names = {name.rpartition("/")[2] for name in names_of_folder(card.layout.model_dump())}
    return entries[0] if len(entries) == 1 and entries[0].is_dir() and entries[0].name in names else unpacked


def _clashes(source: Path, target: Path, root: Path) -> Iterator[Path]:
    """Files that would be replaced by others.

    Raises:
        HarnessError: Something would be written through a link that leads out of the data root.
    """
    path_below(root, target.relative_to(root).as_posix(), "a file to fetch")
    for entry in source.iterdir():
        place = target / entry.name
        if entry.is_dir() and place.is_dir():
            yield from _clashes(entry, place, root)
        elif place.exists() and (entry.is_dir() or place.is_dir() or not filecmp.cmp(entry, place, shallow=False)):
            yield place


def _move(source: Path, target: Path) -> None:
    """Move everything into a folder; what is there stays."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in list(source.iterdir()):
        place = target / entry.name
        if not place.exists():
            entry.rename(place)
        elif entry.is_dir():
            _move(entry, place)


def _stage(root: Path, card: DatasetCard) -> Path:
    return root / f".fetch-{plain_name(card.name, 'dataset card')}"


def _identity(source: Source) -> str:
    return f"{source.address} {source.sha256} {source.unpack}"


def _marked(folder: Path) -> set[str]:
    try:
        return {str(source) for source in read_json(folder / MARK)}
    except (OSError, ValueError, TypeError):
        return set()


def _mark(folder: Path, source: Source) -> None:
    replace_text(folder / MARK, json.dumps(sorted(_marked(folder) | {_identity(source)}), indent=1))
