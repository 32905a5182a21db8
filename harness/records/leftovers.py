"""Folders beside the runs that exist only while somebody writes, and what becomes of them when he is killed.

``.HASH.new-OWNER`` is a run that is being written, or one that is being removed: garbage once its owner is gone.
``.HASH.old/OWNER`` is a whole run that stepped aside for a new one: it goes back if there is none in its place.
OWNER is ``HOST-KERNEL-PID-TOKEN``. KERNEL tells machines and containers apart that call themselves alike, in which a
process number means another process.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from harness.files.whole import OWNER_PATTERN, is_abandoned, owner, temporary_for

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long a run that stepped aside is left to the process that is about to put a new one into its place."""


def aside_of(folder: Path) -> Path:
    """The folder into which a run is moved while a new one takes its place."""
    return folder.with_name(f".{folder.name}.old")


def step_aside(folder: Path) -> Path | None:
    """Move a run folder out of the way, whole.

    Returns:
        Where it is now; None if there was none any more, because another process was quicker.

    Raises:
        OSError: It cannot be moved.
    """
    aside = aside_of(folder)
    while folder.exists():
        place = aside / owner()
        try:
            aside.mkdir(exist_ok=True)
            with contextlib.suppress(OSError):
                os.utime(folder)  # the time by which others tell that it was set aside just now
            folder.rename(place)
        except FileNotFoundError:  # another process moved the folder, or removed the empty place where it should go
            if not folder.parent.is_dir():
                raise
        except FileExistsError:  # mkdir saw the place, and another process removed it before mkdir asked what it is
            if aside.exists() and not aside.is_dir():
                raise
        else:
            return place
    return None


def remove(folder: Path) -> None:
    """Remove a run folder; under its own name it is there whole or not at all.

    Raises:
        OSError: It cannot be moved away. Nothing has happened then.
    """
    doomed = temporary_for(folder)
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def clear_aside(folder: Path, moved: list[Path]) -> None:
    """Remove runs that stepped aside, now that a new one is in place.

    Args:
        folder: The run folder.
        moved: What the caller itself has set aside. What killed processes left goes as well.
    """
    aside = aside_of(folder)
    for run in _waiting(aside):
        if run in moved or is_abandoned(run):
            _discard(run, folder)
    with contextlib.suppress(OSError):  # not empty, or not there: both are fine
        aside.rmdir()


def _discard(run: Path, folder: Path) -> bool:
    """Remove a run that stepped aside, in such a way that nobody puts half of it back."""
    doomed = temporary_for(folder)
    try:
        run.rename(doomed)
    except OSError:  # another process clears as well
        return False
    shutil.rmtree(doomed, ignore_errors=True)
    return True


def is_near(folder: Path) -> bool:
    """Whether a run is in its place, or was set aside for a new one that is about to come."""
    return folder.exists() or aside_of(folder).exists() or folder.exists()


def put_back(folder: Path) -> None:
    """If no run is in its place but one stepped aside, put that one back: its successor was killed between two renames.

    A writer that lives is given :data:`PATIENCE_SECONDS` to finish.
    """
    aside = aside_of(folder)
    if not aside.exists() or folder.exists():
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    while waiting := _waiting(aside):
        if folder.exists():
            return
        if all(is_abandoned(run) for run in waiting) or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    waiting.sort(key=_modified, reverse=True)
    for run in waiting:
        try:
            run.rename(folder)
        except FileNotFoundError:
            continue  # another process was quicker
        except OSError as error:
            if not folder.exists():
                log.warning("%s was left by a killed run and cannot be put back: %s", run, error.strerror)
        break
    with contextlib.suppress(OSError):
        aside.rmdir()


def abandoned(runs: Path) -> Iterator[Path]:
    """Everything below ``runs`` that killed processes left: unfinished runs, and runs that have a successor."""
    for folder in _hidden(runs, ".*.new-*"):
        if is_abandoned(folder):
            yield folder
    for aside in _hidden(runs, ".*.old"):
        if _place_of(aside).exists():
            yield from (run for run in _waiting(aside) if is_abandoned(run))


def _hidden(runs: Path, pattern: str) -> list[Path]:
    """Folders beside the runs, sorted; none behind a link out of ``runs``, where anything may be called so."""
    root = runs.resolve()
    return sorted(path for path in runs.glob(f"*/*/{pattern}") if path.resolve().is_relative_to(root))


def remove_abandoned(runs: Path) -> int:
    """Put back what stepped aside in vain, and remove the other leftovers of killed processes.

    Returns:
        How many were removed.
    """
    for aside in _hidden(runs, ".*.old"):
        put_back(_place_of(aside))
    removed = 0
    for path in abandoned(runs):
        if ".new-" in path.name:
            shutil.rmtree(path, ignore_errors=True)
            removed += 1
        else:
            removed += _discard(path, _place_of(path if path.name.endswith(".old") else path.parent))
    for aside in _hidden(runs, ".*.old"):
        with contextlib.suppress(OSError):  # in use; and a writer makes it again where it goes too early
            aside.rmdir()
    return removed


def _place_of(aside: Path) -> Path:
    """The run folder of which ``aside`` is :func:`aside_of`."""
    return aside.with_name(aside.name[1:].removesuffix(".old"))


def _waiting(aside: Path) -> list[Path]:
    """The runs in an ``.old`` folder; earlier versions made the folder itself the run."""
    if (aside / "record.json").exists():
        return [aside]
    try:
        return [run for run in aside.iterdir() if OWNER_PATTERN.fullmatch(run.name)]
    except OSError:
        return []


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
