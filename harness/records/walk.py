"""Which records a results folder holds, found without reading them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.records.leftovers import put_back


@dataclass(frozen=True, slots=True)
class Seen:
    """A ``record.json`` that exists.

    Attributes:
        folder: Its run folder below ``runs``: ``method/dataset/hash``.
        signature: Modification and change time in nanoseconds, size in bytes, and inode. A record that is replaced or
            edited gets another one.
    """

    folder: str
    signature: tuple[int, int, int, int]


def walk(runs: Path) -> Iterator[Seen]:
    """Every record below ``runs``, in the order of its folders.

    Runs that stepped aside for one which was never put into place are put back on the way.

    Args:
        runs: The folder ``results/runs``; it may be missing.
    """
    for method in _visible(runs):
        for dataset in _visible(method.path):
            names = _names(dataset.path)
            for hidden in names:
                if hidden.startswith(".") and hidden.endswith(".old") and hidden[1:-4] not in names:
                    put_back(Path(dataset.path, hidden[1:-4]))
                    names = _names(dataset.path)
            for name in names:
                if not name.startswith("."):
                    signature = signature_of(f"{dataset.path}/{name}/record.json")
                    if signature is not None:
                        yield Seen(f"{method.name}/{dataset.name}/{name}", signature)


def signature_of(path: str | Path) -> tuple[int, int, int, int] | None:
    """See :class:`Seen`, of the link itself where it leads nowhere; None where there is no such file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - ten thousand times: a Path costs more than the call
    except OSError:
        try:
            status = os.lstat(path)
        except OSError:
            return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _visible(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(visible, key=lambda entry: entry.name)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []
