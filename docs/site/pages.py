"""What the site adds to docs/: the README as its first page, notebooks, and files of the repository that pages link to.

The pages are written for GitHub, which shows notebooks and where ``../harness/plugin/interfaces.py`` is a file of the
repository. The site shows every such file as a page of its own below ``repository/``, and what those pages link to in
turn.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent.parent
LINK = re.compile(r"(?<=\]\()(?P<file>[^)#:\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
OF_SPHINX = ((re.compile(r":\w+:(?=<code>)"), ""), (re.compile("::</p>"), ":</p>"))
"""What docstrings hold for another program, and what is shown of it: the role before a name, and a second colon."""


def place_of(file: Path) -> str:
    """Where a file of the repository is in the site: pages of docs/ at the top."""
    if file == ROOT / "README.md":
        return "index.md"
    if file.is_relative_to(ROOT / "docs"):
        place = file.relative_to(ROOT / "docs")
        return (place.with_suffix(".md") if file.suffix == ".ipynb" else place).as_posix()
    place = f"repository/{file.relative_to(ROOT).as_posix()}"
    return place if file.suffix == ".md" else f"{place}.md"


def linked(file: Path) -> Iterator[Path]:
    """Files of the repository that a page links to and that mkdocs does not find by itself."""
    for match in LINK.finditer(written(file)):
        target = (file.parent / match["file"]).resolve()
        if target.is_file() and target.is_relative_to(ROOT) and not _found(target):
            yield target


def _found(file: Path) -> bool:
    return file.is_relative_to(ROOT / "docs") and file.suffix != ".ipynb"


def written(file: Path) -> str:
    """A file as Markdown: a notebook with what it shows, and what is no Markdown as a block of code."""
    content = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return content
    if file.suffix != ".ipynb":
        return f"# {file.relative_to(ROOT)}\n\n```{file.suffix.removeprefix('.')}\n{content}```\n"
    return "\n\n".join(part for cell in json.loads(content)["cells"] for part in _parts(cell))


def _parts(cell: dict[str, Any]) -> Iterator[str]:
    """A cell of a notebook, and what it shows."""
    source = "".join(cell["source"])
    yield source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
    for output in cell.get("outputs", ()):
        data = output.get("data", {"text/plain": output.get("text", "")})
        drawn, said = ("".join(data.get(kind, "")) for kind in ("text/html", "text/plain"))
        # Without a class of its own a table looks like the others of the site.
        yield re.sub("<table[^>]*>", "<table>", drawn.strip()) or f"```text\n{said.rstrip()}\n```"


def shown(file: Path) -> str:
    """A page, its links led to where their files are in the site."""

    def led(match: re.Match[str]) -> str:
        target = (file.parent / match["file"]).resolve()
        if not target.exists() or not target.is_relative_to(ROOT):
            return match[0]
        return os.path.relpath(place_of(target), Path(place_of(file)).parent) + (match["anchor"] or "")

    return LINK.sub(led, written(file))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    waiting = [ROOT / "README.md", *(Path(str(one.abs_src_path)) for one in files.documentation_pages())]
    seen: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        waiting += linked(file) if file.suffix in (".md", ".ipynb") else ()
        if not _found(file):
            files.append(File.generated(config, place_of(file), content=shown(file)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links out of docs/ to their pages in the site."""
    if page.file.generated_by is not None or not page.file.abs_src_path:
        return markdown
    return shown(Path(page.file.abs_src_path))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leave out what docstrings hold for Sphinx."""
    for written, said in OF_SPHINX:
        html = written.sub(said, html)
    return html
