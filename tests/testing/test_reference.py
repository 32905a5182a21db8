"""docs/cli.md and docs/catalogue.md are what `make docs` writes now."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", ["cli.md", "catalogue.md"])
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


def test_both_pages_are_made_and_named(made):
    assert set(made) == {"cli.md", "catalogue.md"}
    assert made["cli.md"].startswith("# Command line")
