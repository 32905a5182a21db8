"""What a result was made with: recorded, never hashed."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = (
    "torch",
    "numpy",
    "numba",
    "scipy",
    "scikit-learn",
    "scikit-image",
    "torchvision",
    "transformers",
    "pandas",
    "pluggy",
    "pydantic",
)


def versions() -> dict[str, str]:
    """Versions of Python, this harness and the libraries it stands on; "" where one is not installed."""
    from harness import __version__

    found = {"python": platform.python_version(), "harness": __version__}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = ""
    return found


@lru_cache(maxsize=1)
def git_state() -> dict[str, Any]:
    """Commit and dirtiness of the checkout this code runs from; empty for an installed package."""
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return {}
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit, "dirty": dirty}


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
    ).stdout.strip()


def processor() -> str:
    """Name of the CPU."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment(device: Any) -> dict[str, Any]:
    """Versions, device, threads, host and command line, as stored in a record.

    Args:
        device: The torch device of the run, or None where torch had no part.
    """
    described: dict[str, Any] = {
        "versions": versions(),
        "platform": platform.platform(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "host": socket.gethostname(),
        "git": git_state(),
        "argv": sys.argv,
    }
    if device is not None:
        import torch

        described["device"] = str(device)
        described["threads"] = torch.get_num_threads()
        if device.type == "cuda":
            described["gpu"] = torch.cuda.get_device_name(device)
            described["cuda"] = torch.version.cuda
    return described
