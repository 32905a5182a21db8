"""docs/ as a site, built strictly: every link and anchor leads somewhere, and every page is in the contents."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

for library in ("mkdocs", "material", "mkdocstrings"):
    pytest.importorskip(library, reason=f"{library} is not installed: pip install -e .[docs]")

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site, and what mkdocs said."""
    site = tmp_path_factory.mktemp("site")
    words = ("build", "--strict", "--config-file", str(DOCS / "site" / "mkdocs.yml"), "--site-dir", str(site))
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *words], capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return site, done.stdout + done.stderr


def page(built, name):
    return (built[0] / name).read_text()


def test_nothing_is_warned_of_and_every_page_is_there(built):
    site, said = built
    assert "WARNING" not in said
    assert "ERROR" not in said
    names = {path.stem for path in DOCS.glob("*.md")}
    assert names <= {path.stem for path in site.glob("*.html")}


def test_the_readme_is_the_first_page_and_its_links_lead_into_the_site(built):
    start = page(built, "index.html")
    assert re.search(r"<h1 [^>]*>Noisy Hashing Harness<", start)
    assert 'href="quickstart.html"' in start
    assert 'href="repository/CONTRIBUTING.html"' in start
    assert "docs/quickstart.html" not in start


def test_files_that_pages_link_to_are_pages_of_the_site(built):
    assert 'href="repository/harness/plugin/interfaces.py.html"' in page(built, "write-a-plugin.html")
    assert "TrainingPairs" in page(built, "repository/harness/plugin/interfaces.py.html")


def test_notebooks_are_pages_with_what_they_show(built):
    assert 'href="notebooks/first-table.html"' in page(built, "python-api.html")
    shown = page(built, "notebooks/first-table.html")
    assert 'href="../python-api.html"' in shown
    assert "<td>cca-itq</td>" in shown
    assert "begin{table}" in shown


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("site/python.html", ("harness.run", "harness.fit", "harness.Runs", "Show what is done")),
        ("site/plugin-contracts.html", ("register_hashers", "encode_text")),
    ],
)
def test_the_reference_is_made_of_docstrings_without_the_marks_of_sphinx(built, name, said):
    content = page(built, name)
    for words in said:
        assert words in content
    text = re.sub(r"<(code|pre)\b.*?</\1>", "", content, flags=re.DOTALL)
    assert not re.findall(r":(?:func|class|meth|mod|attr|data|exc):", text)
    assert "::</p>" not in content


def test_the_site_loads_nothing_from_elsewhere(built):
    for path in built[0].rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link)\b[^>]*?(?:src|href)=\"?(https?://[^\" >]+)", path.read_text())
        assert not loaded, (path.name, loaded)
