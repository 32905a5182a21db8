"""What a result was made with: recorded, never hashed."""

from __future__ import annotations

import hashlib
import os
import platform
import re
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


_SAID = re.compile(r"""^__version__ *(?:: *[\w.]+ *)?= *["']([^"']+)["']""", re.MULTILINE)
"""A version as a library's own file ``version.py`` says it."""


def versions() -> dict[str, str]:
    """Versions of Python, this harness and the libraries it stands on, which are not imported for it; "" where one is
    not installed.
    """
    from harness.version import __version__

    known = {"python": platform.python_version(), "harness": __version__}
    for library in LIBRARIES:
        try:
            known[library] = _version_of(metadata.distribution(library))
        except metadata.PackageNotFoundError:
            known[library] = ""
    return known


def _version_of(distribution: metadata.Distribution) -> str:
    """What a library says of itself, otherwise what its package says: that of torch from PyPI is "2.13.0" and hides
    which build it is, the library says "2.13.0+cu130".
    """
    try:
        path = Path(str(distribution.locate_file(f"{distribution.metadata['Name']}/version.py")))
        said = _SAID.search(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        said = None
    return said[1] if said else distribution.version


@lru_cache(maxsize=1)
def lock() -> str:
    """Fingerprint of every installed distribution: 16 hexadecimal digits of SHA-256 over sorted ``name==version``."""
    installed = {
        f"{re.sub(r'[-_.]+', '-', distribution.metadata['Name'] or '').lower()}=={distribution.version}"
        for distribution in metadata.distributions()
    }
    return hashlib.sha256("\n".join(sorted(installed)).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def git_state() -> dict[str, Any]:
    """Commit and dirtiness of the checkout this code runs from; empty for an installed package.

    ``diff`` is there when it is dirty: SHA-256 of ``git diff HEAD``, so that two records of one edit can be told from
    two records of two edits.
    """
    folder = Path(__file__).resolve().parent.parent.parent
    if not (folder / ".git").exists():
        return {}
    try:
        commit = _git(folder, "rev-parse", "HEAD").decode().strip()
        diff = _git(folder, "diff", "HEAD", "--no-ext-diff", "--no-color")
    except (OSError, subprocess.SubprocessError):
        return {}
    state: dict[str, Any] = {"commit": commit, "dirty": bool(diff)}
    return {**state, "diff": hashlib.sha256(diff).hexdigest()} if diff else state


def _git(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, timeout=10, check=True).stdout


def processor() -> str:
    """Name of the CPU."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def _machine() -> dict[str, Any]:
    """What does not change while the process lives."""
    import psutil

    return {
        "versions": versions(),
        "implementation": platform.python_implementation(),
        "lock": lock(),
        "git": git_state(),
        "platform": platform.platform(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "host": socket.gethostname(),
    }


@lru_cache
def _gpu(device: Any) -> dict[str, Any]:
    """Name, memory, compute capability, driver and libraries of a CUDA device."""
    import torch

    from harness.runtime.nvml import Gpu, NoGpuCounter

    properties = torch.cuda.get_device_properties(device)
    try:
        driver = Gpu(device).driver()
    except NoGpuCounter:
        driver = ""
    return {
        "gpu": properties.name,
        "gpu_memory_bytes": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
        "driver": driver,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def environment(device: Any) -> dict[str, Any]:
    """Versions, machine, device, threads and command line, as stored in a record.

    Args:
        device: The torch device of the run, or None where torch had no part.
    """
    described: dict[str, Any] = {**_machine(), "argv": sys.argv}
    if device is not None:
        import torch

        described["device"] = str(device)
        described["threads"] = torch.get_num_threads()
        described["products"] = {
            "float32": torch.get_float32_matmul_precision(),
            "cudnn_tf32": torch.backends.cudnn.allow_tf32,
            "bf16_reduced": torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
        }
        if device.type == "cuda":
            described.update(_gpu(device))
    return described
