"""The entries of the feature cache, for listing and removing them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.data.cache import UNREADABLE, cache_folder, lock_file, stored_entry


@dataclass(frozen=True)
class Entry:
    """One entry of the cache.

    Attributes:
        folder: Its folder.
        key: What determines its features.
        about: Remarks: the data set that it was first made for, and the weights as they were named.
        shapes: Shape of each array: the items, then their augmented views.
        size: Bytes on disk.
        made: When it was written, seconds since 1970.
        used: When it last served, seconds since 1970.
        damage: Why it can serve no more, or "".
        leftover: It was never finished: its process was killed.
    """

    folder: Path
    key: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = ()
    size: int = 0
    made: float = 0.0
    used: float = 0.0
    damage: str = ""
    leftover: bool = False

    @property
    def backbone(self) -> str:
        """The backbone, as it was named."""
        return str(self.key.get("name", ""))

    def facts(self) -> dict[str, Any]:
        """Everything about it, JSON-serialisable."""
        return {
            "entry": self.folder.name,
            "folder": str(self.folder),
            "dataset": self.about.get("dataset", ""),
            "modality": self.about.get("modality", ""),
            "backbone": self.backbone,
            "shapes": [list(shape) for shape in self.shapes],
            "bytes": self.size,
            "made": self.made,
            "used": self.used,
            "damage": self.damage,
            "leftover": self.leftover,
            "named_weights": self.about.get("weights", ""),
            "key": dict(self.key),
        }


def cache_entries(cache: Path | None = None) -> list[Entry]:
    """Everything in the feature cache, what was used last first.

    Args:
        cache: The cache; None for the one in use.

    Returns:
        Finished entries, damaged ones and what killed processes left behind. None if there is no cache yet.
    """
    root = (cache or cache_folder()) / "features"
    if not root.is_dir():
        return []
    entries = [_entry(folder) for folder in root.iterdir() if folder.is_dir()]
    return sorted(entries, key=lambda entry: (-entry.used, entry.folder.name))


def _entry(folder: Path) -> Entry:
    size, newest = 0, 0.0
    for file in [folder, *folder.rglob("*")]:
        try:
            status = file.stat()
        except OSError:  # another process removed it meanwhile
            continue
        size += status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size
        newest = max(newest, status.st_mtime)
    if folder.name.startswith("."):
        return Entry(folder, size=size, made=newest, used=newest, damage="was never finished", leftover=True)
    try:
        stored, arrays = stored_entry(folder)
        key, about = dict(stored["key"]), dict(stored.get("about", {}))
    except UNREADABLE:
        return Entry(folder, size=size, made=newest, used=newest, damage="its files are damaged")
    used = (folder / "key.json").stat().st_mtime
    return Entry(
        folder, key, about, tuple(array.shape for array in arrays), size, float(stored.get("made", used)), used
    )


def remove_entry(entry: Entry) -> bool:
    """Remove an entry, unless a process is computing or writing it.

    A process that reads it meanwhile keeps what it has mapped; the next one computes it again.

    Returns:
        Whether it was removed.
    """
    name = entry.folder.name
    if entry.leftover:  # .NAME-random, written under the lock of NAME
        name = name.removeprefix(".").partition("-")[0]
    lock = lock_file(entry.folder.with_name(name))
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            doomed = entry.folder.with_name(f".{name}-removed-{time.time_ns()}")
            try:
                entry.folder.rename(doomed)  # at once for other processes
            except OSError:
                return not entry.folder.exists()
            shutil.rmtree(doomed, ignore_errors=True)
            return True
    except Timeout:
        return False


def why_unreachable(entries: list[Entry], registry: Any) -> Iterator[tuple[Entry, str]]:
    """Those entries that nothing can ask for any more, as installed here, and why.

    Whether data and weights still exist somewhere is not known, so that is no reason.

    Args:
        entries: Entries.
        registry: What is registered.

    Yields:
        Entry and reason.
    """
    from harness.data import decoding, loading
    from harness.data.features.extraction import LIBRARIES, version_of
    from harness.errors import HarnessError

    versions = {name: version_of(name) for name in LIBRARIES}
    for entry in entries:
        if entry.damage:
            yield entry, entry.damage
            continue
        if "name" not in entry.key:
            remembered = decoding.decoder_facts()
            if "decodable" in entry.key and any(entry.key.get(name) != now for name, now in remembered.items()):
                yield entry, "found out with another decoder"
            continue  # features that are given ask for nothing that is installed
        made_with = entry.key.get("libraries", {})
        other = sorted(name for name in {*made_with, *versions} if made_with.get(name, "") != versions.get(name, ""))
        if other or set(made_with) != set(versions):
            shown = ", ".join(f"{name} {made_with.get(name) or 'none'}" for name in other) or "another list of them"
            yield entry, f"made with other libraries ({shown})"
            continue
        try:
            declaration, _ = registry.backbone(entry.backbone, entry.about.get("modality", "image"))
            source = registry.source_hash(declaration)
        except HarnessError:
            yield entry, f"backbone {entry.backbone!r} is not registered"
            continue
        if entry.key.get("encoding") != loading.VERSION:
            yield entry, "made by another version of the harness"
        elif source != entry.key.get("source"):
            yield entry, f"made by other code of backbone {entry.backbone!r}"
        elif entry.key.get("modality") == "image" and entry.key.get("decoder") != decoding.VERSION:
            yield entry, "made with another decoder"
