"""Small files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write a file under another name and rename it, so that a reader never sees half of it.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)  # a link of that name would be followed
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
