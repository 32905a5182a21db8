"""Draw the pictures of docs/gallery.md again, by the commands that the page shows: ``make gallery``."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parent
HARNESS = Path(sys.executable).with_name("harness")
BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The words of each ``harness`` line of the page, runs before the plots of them."""
    lines = [line for block in BLOCK.findall(page) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("harness ")]


def main() -> None:
    """Run the commands in a folder of their own; pictures go to docs/figures."""
    with tempfile.TemporaryDirectory() as folder:
        for words in commands((DOCS / "gallery.md").read_text(encoding="utf-8")):
            if "-o" not in words:
                subprocess.run([HARNESS, *words, "--results", folder], check=True)
                continue
            at = words.index("-o") + 1
            picture = DOCS / "figures" / words[at]
            subprocess.run([HARNESS, *words[:at], picture, *words[at + 1 :], "--results", folder], check=True)
            _pack(picture)


def _pack(picture: Path) -> None:
    """Keep 128 colours, which text and lines do not miss: less than half of the bytes in the repository."""
    with Image.open(picture) as opened:
        packed = opened.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    packed.save(picture, optimize=True)


if __name__ == "__main__":
    main()
