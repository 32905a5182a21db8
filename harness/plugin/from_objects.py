"""Placeholder until the branch with plugins from objects is merged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def plugin_files(plugins: Iterable[Any], folder: Path) -> tuple[Path, ...]:
    """Paths alone."""
    return tuple(Path(plugin) for plugin in plugins)
