"""Notebooks of the docs and every line of docs/python-api.md, in a kernel as Jupyter starts it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

for library in ("nbclient", "ipykernel"):
    pytest.importorskip(library, reason=f"{library} is not installed: pip install -e .[test]")
nbformat = pytest.importorskip("nbformat")  # comes with nbclient

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTEBOOKS = sorted(DOCS.glob("notebooks/*.ipynb"))
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def run_notebooks():
    spec = importlib.util.spec_from_file_location("run_notebooks", DOCS / "run_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def clean_kernel(tmp_path, monkeypatch):
    """Nobody's start-up files, and no trace of a connection left behind."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / "jupyter"))


def kinds(cell):
    """What a cell shows, by kind: ``["execute_result text/html text/plain"]``."""
    return [" ".join([one.output_type, *sorted(one.get("data", {}))]) for one in cell.get("outputs", ())]


def printed(cell):
    return "".join(one.text for one in cell.outputs if one.output_type == "stream")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_was_committed_with(run_notebooks, tmp_path, path):
    committed = nbformat.read(path, as_version=4)
    again = run_notebooks.executed(nbformat.read(path, as_version=4), tmp_path)
    nbformat.validate(committed)
    assert [kinds(cell) for cell in again.cells] == [kinds(cell) for cell in committed.cells]
    assert any("text/html" in kind for cell in committed.cells for kind in kinds(cell)), "the table is shown"
    assert str(Path.home()) not in path.read_text(), "nothing of the machine that wrote it"


def test_every_line_of_the_page_runs_and_prints_what_the_page_says(run_notebooks, tmp_path):
    blocks = BLOCK.findall((DOCS / "python-api.md").read_text())
    sources = [body for language, body in blocks if language == "python"]
    said = {at: body for at, (language, body) in enumerate(blocks) if language == "text"}
    ran = run_notebooks.executed(run_notebooks.of_cells(sources), tmp_path)
    cells = iter(ran.cells)
    shown = [printed(next(cells)) if language == "python" else None for language, _ in blocks]
    assert {at: shown[at - 1] for at in said} == said
    assert sum(map(len, filter(None, shown))) == sum(map(len, said.values())), "nothing else is printed"
    assert len(said) == 2
    assert (tmp_path / "results" / "runs").is_dir()
