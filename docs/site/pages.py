"""What the site adds to docs/: the README as its first page, and files of the repository that pages link to.

The pages are written for GitHub, where ``../harness/plugin/interfaces.py`` is a file of the repository. The site shows
every such file as a page of its own below ``repository/``, and what those pages link to in turn.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

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
        return file.relative_to(ROOT / "docs").as_posix()
    place = f"repository/{file.relative_to(ROOT).as_posix()}"
    return place if file.suffix == ".md" else f"{place}.md"


def linked(file: Path) -> Iterator[Path]:
    """Files of the repository outside docs/ that a page links to."""
    for match in LINK.finditer(file.read_text(encoding="utf-8")):
        target = (file.parent / match["file"]).resolve()
        if target.is_file() and target.is_relative_to(ROOT) and not target.is_relative_to(ROOT / "docs"):
            yield target


def shown(file: Path) -> str:
    """A page, its links led to where their files are in the site; any other file as a block of code."""
    if file.suffix != ".md":
        return (
            f"# {file.relative_to(ROOT)}\n\n```{file.suffix.removeprefix('.')}\n{file.read_text(encoding='utf-8')}```\n"
        )

    def led(match: re.Match[str]) -> str:
        target = (file.parent / match["file"]).resolve()
        if not target.exists() or not target.is_relative_to(ROOT):
            return match[0]
        return os.path.relpath(place_of(target), Path(place_of(file)).parent) + (match["anchor"] or "")

    return LINK.sub(led, file.read_text(encoding="utf-8"))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    waiting = [ROOT / "README.md", *(Path(str(one.abs_src_path)) for one in files.documentation_pages())]
    seen: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        waiting += linked(file) if file.suffix == ".md" else ()
        if not file.is_relative_to(ROOT / "docs"):
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
