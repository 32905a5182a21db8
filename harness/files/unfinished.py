"""Names of files and folders that are being written, which say who writes, and what becomes of them when he is killed.

``.NAME.new-OWNER`` lies beside what it will become. OWNER is ``HOST-KERNEL-PID-TOKEN``. KERNEL tells machines and
containers apart that call themselves alike, in which a process number means another process.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import secrets
import socket
import time
from functools import lru_cache
from pathlib import Path

from harness.runtime.processes import process_exists

STALE_SECONDS = 24 * 3600
"""Temporary folders older than this are nobody's any more, whoever made them."""

OWNER_PATTERN = re.compile(r"(?P<machine>.+-[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]+")


@lru_cache(maxsize=1)
def _machine() -> str:
    """Host, and a fingerprint of what its process numbers count for: this boot, this container."""
    known = ""
    with contextlib.suppress(OSError):
        known += Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    with contextlib.suppress(OSError):
        known += str(Path("/proc/self/ns/pid").stat().st_ino)
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()) or "host"
    return f"{host[:64]}-{hashlib.sha256(known.encode()).hexdigest()[:8]}"


def owner() -> str:
    """A name that says who writes, and that nobody else uses."""
    return f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"


def temporary_for(folder: Path) -> Path:
    """A new name beside a run folder, for a run that is being written or removed."""
    return folder.with_name(f".{folder.name}.new-{owner()}")


def is_abandoned(path: Path) -> bool:
    """Whether a temporary folder has lost its owner: a process of this machine that is no more, or it is very old."""
    if path.name.endswith(".old"):  # of a version before this one
        return True
    said = OWNER_PATTERN.fullmatch(path.name.partition(".new-")[2] or path.name)
    try:
        made = path.stat().st_mtime
    except OSError:
        return False  # its owner has just finished
    if said and said["machine"] == _machine() and not process_exists(int(said["pid"]), before=made):
        return True
    return time.time() - made > STALE_SECONDS


def clear_beside(file: Path) -> None:
    """Remove what killed processes left that were writing a file under a name of :func:`temporary_for`.

    Args:
        file: The file, there or not.
    """
    for left in file.parent.glob(f".{glob.escape(file.name)}.new-*"):
        if is_abandoned(left):
            with contextlib.suppress(OSError):  # another process clears as well
                left.unlink()
