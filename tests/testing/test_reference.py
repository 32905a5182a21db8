"""docs/cli.md, docs/catalogue.md and docs/python-reference.md are what `make docs` writes now."""

from __future__ import annotations

import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.api.how_to_run import RUNNING_OPTIONS
from harness.cells.request import DECLARED
from harness.cli import VERBS
from harness.plugin.loading import KINDS, load_registry

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The pages as a fresh process writes them: click keeps what an earlier --help of this one looked like."""
    folder = tmp_path_factory.mktemp("docs")
    program = [sys.executable, str(DOCS / "made_pages.py"), str(folder)]
    subprocess.run(program, check=True, capture_output=True, timeout=120, cwd=folder)
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["cli.md", "catalogue.md", "python-reference.md"])
def test_the_made_pages_are_fresh(made, name):
    assert (DOCS / name).read_text() == made[name], f"docs/{name} is stale: run `make docs` and commit the result"


def test_every_verb_and_every_registered_name_is_there(made):
    for verb in VERBS:
        assert f"\n## harness {verb}\n" in made["cli.md"]
    assert "\n## harness plugin check\n" in made["cli.md"]
    registry = load_registry(environment={})
    for kind in KINDS:
        for declaration in registry.all(kind):
            assert f"`{declaration.name}" in made["catalogue.md"], (kind, declaration.name)


def test_every_function_and_every_option_is_on_the_page_of_python(made):
    page = made["python-reference.md"]
    sections = dict(zip(*[iter(re.split(r"^## (.*)\n", page, flags=re.MULTILINE)[1:])] * 2, strict=True))
    functions = {name for name in harness.__all__ if inspect.isfunction(getattr(harness, name))} - {"hookimpl"}
    assert {f"harness.{name}" for name in (*functions, "list")} == {
        name for name in sections if name.startswith("harness.")
    }
    for one in (*DECLARED, *RUNNING_OPTIONS):
        assert f"\n| `{one.field if one.repeats else one.name}` | " in sections["harness.run"], one.name
    for one in RUNNING_OPTIONS:
        assert f"\n| `{one.field if one.repeats else one.name}` | " in sections["harness.sweep"], one.name
    assert "| `bits` | int | axis | `64` | Code length. |" in sections["harness.run"]
    assert "| `executor` | str | `local` |" in sections["harness.sweep"]
    assert "    path: str | os.PathLike[str],\n    *,\n" in sections["harness.load_model"]
    assert "| `codes(part, modality, signs=False)` | Codes of queries or database. (n, " in sections["RecordedRun"]


def test_plugins_of_others_are_left_out(made, tmp_path):
    spec = importlib.util.spec_from_file_location("made_pages", DOCS / "made_pages.py")
    made_pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made_pages)
    file = tmp_path / "mine.py"
    file.write_text(
        "from harness import hookimpl\n@hookimpl\ndef register_detectors(register):\n"
        "    register('of-a-stranger', 'm:D', summary='s', parameters=())\n"
    )
    registry = load_registry([file], environment={})
    assert "of-a-stranger" in registry.names("detector")
    assert made_pages.catalogue_page(registry) == made["catalogue.md"]


def test_the_pages_are_made_and_named(made):
    assert set(made) == {"cli.md", "catalogue.md", "python-reference.md"}
    assert made["cli.md"].startswith("# Command line")
