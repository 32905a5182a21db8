"""The hash of a component's source: what code means counts, how it is written does not."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from harness.plugin import source_hash
from harness.plugin.loading import load_registry
from harness.plugin.source_hash import hash_of_file

BASE = '''
"""A plugin."""
from harness import hookimpl


class Hasher:
    """Learns nothing."""

    factor = 2

    def fit(self, pairs, trust, run):
        """Do nothing."""
        self.n_bits = run.n_bits  # keep

    def encode_image(self, image):
        return image[:, : self.n_bits] * self.factor

    async def later(self):
        """Documented."""


@hookimpl
def register_hashers(register):
    register("h", Hasher, summary="s")
'''

SAME_MEANING = {
    "comment": lambda code: code.replace("# keep", "# another remark") + "\n# the end\n",
    "docstrings": lambda code: code.replace("Learns nothing.", "Learns a lot.").replace(
        '        """Do nothing."""\n', ""
    ),
    "module docstring": lambda code: code.replace('"""A plugin."""\n', ""),
    "blank lines and spaces": lambda code: code.replace("factor = 2", "factor  =  2\n\n").replace(
        "[:, : self", "[:,:self"
    ),
    "parentheses": lambda code: code.replace(
        "return image[:, : self.n_bits] * self.factor",
        "return (\n            image[:, : self.n_bits]\n            * self.factor\n        )",
    ),
    "line ends": lambda code: code.replace("\n", "\r\n"),
    "quotes": lambda code: code.replace('"h"', "'h'"),
    "home of a module of the core": lambda code: code.replace(
        "from harness import hookimpl", "from harness.plugin.hookspecs import hookimpl"
    ),
    "an import of the core within a function": lambda code: code.replace(
        "        self.n_bits", "        import harness.errors\n        self.n_bits"
    ),
}
OTHER_MEANING = {
    "number": lambda code: code.replace("factor = 2", "factor = 3"),
    "operator": lambda code: code.replace("* self.factor", "/ self.factor"),
    "type of a number": lambda code: code.replace("factor = 2", "factor = 2.0"),
    "name of a function": lambda code: code.replace("encode_image", "encode_text"),
    "order of statements": lambda code: code.replace("    factor = 2\n", "").replace(
        "async", "factor = 2\n\n    async"
    ),
    "a new statement": lambda code: code.replace("# keep", "\n        self.seen = len(pairs)"),
    "registration": lambda code: code.replace('summary="s"', 'summary="s", uses_weights=False'),
    "a shared building block": lambda code: code.replace(
        "from harness import hookimpl",
        "from harness import hookimpl\nfrom harness.training.building_blocks import rotation",
    ),
    "an import from elsewhere": lambda code: code.replace(
        "from harness import hookimpl", "import harness, math\nfrom harness import hookimpl"
    ),
    "a text that is no docstring": lambda code: code.replace("factor = 2", 'factor = "2"'),
}


@pytest.fixture
def file_with(tmp_path):
    def write(code: str, name: str = "plugin.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dedent(code).encode())
        return path

    return write


@pytest.mark.parametrize("change", SAME_MEANING)
def test_comments_docstrings_and_formatting_do_not_count(file_with, change):
    changed = SAME_MEANING[change](BASE)
    assert changed != BASE
    assert hash_of_file(file_with(changed, "a.py")) == hash_of_file(file_with(BASE, "b.py"))


@pytest.mark.parametrize("change", OTHER_MEANING)
def test_code_counts(file_with, change):
    changed = OTHER_MEANING[change](BASE)
    assert changed != BASE
    assert hash_of_file(file_with(changed, "a.py")) != hash_of_file(file_with(BASE, "b.py"))


def test_file_that_is_edited_in_place_gets_another_hash(file_with):
    path = file_with(BASE)
    before = hash_of_file(path)
    path.write_text(BASE.replace("factor = 2", "factor = 7"))
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert hash_of_file(path) != before


def hasher_hash(files, environment=None):
    registry = load_registry(files, environment=environment or {})
    return registry.source_hash(registry.get("hasher", "h"))


def test_location_and_name_of_a_loose_file_do_not_matter(file_with):
    hashes = {
        hasher_hash([file_with(BASE, name)])
        for name in ("one.py", "two.py", "deep/er/three.py", "with blank, and ü.py")
    }
    assert len(hashes) == 1


def test_loose_file_found_through_the_folder_hashes_as_if_named(file_with):
    path = file_with(BASE, "folder/mine.py")
    assert hasher_hash([], {"HARNESS_PLUGINS_DIR": str(path.parent)}) == hasher_hash([path])


def test_edited_loose_file_hashes_anew_in_the_same_process(file_with):
    path = file_with(BASE)
    before = hasher_hash([path])
    path.write_text(BASE.replace("factor = 2", "factor = 7"))
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert hasher_hash([path]) != before


def test_other_loose_plugins_do_not_matter(file_with):
    path = file_with(BASE)
    other = file_with(BASE.replace('"h"', '"other"'), "other.py")
    assert hasher_hash([path, other]) == hasher_hash([path])


PACKAGE = {
    "__init__.py": "from harness import hookimpl\n\n@hookimpl\ndef register_hashers(register):\n"
    "    register('h', '{name}.net:Hasher', summary='s')\n",
    "net.py": "from {name} import absolute\nfrom . import sibling\nfrom .deeper.inner import value\nimport json\n\n"
    "class Hasher:\n    pass\n",
    "absolute.py": "number = 1\n",
    "sibling.py": "from .second_hand import number\n",
    "second_hand.py": "number = 1\n",
    "unrelated.py": "number = 1\n",
    "deeper/__init__.py": "",
    "deeper/inner.py": "from ..upstairs import value\n",
    "upstairs.py": "value = 1\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package; ``package("net.py", "new code")`` changes one file and gives the hash of its hasher."""
    name = "hashed_package"
    site = tmp_path / "site"
    info = site / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[harness.plugins]\n{name} = {name}\n")
    for file, code in PACKAGE.items():
        path = site / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code.replace("{name}", name))
    monkeypatch.syspath_prepend(site)

    def changed(file: str | None = None, code: str = "number = 2\n") -> str:
        if file is not None:
            path = site / name / file
            stamp = path.stat().st_mtime_ns
            path.write_text(code.replace("{name}", name))
            os.utime(path, ns=(stamp, stamp + 1))
        registry = load_registry(environment={})
        assert not [state for state in registry.plugins if state.error]
        return registry.source_hash(registry.get("hasher", "h"))

    yield changed
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


@pytest.mark.parametrize("file", ["absolute.py", "sibling.py", "second_hand.py", "deeper/inner.py", "upstairs.py"])
def test_imports_within_a_plugin_package_are_followed(package, file):
    before = package()
    assert package() == before
    assert package(file, f"number = 2\nvalue = 2\n{PACKAGE[file]}") != before


def test_files_of_the_package_that_are_not_imported_do_not_count(package):
    before = package()
    assert package("unrelated.py") == before


def test_comment_in_an_imported_file_does_not_count(package):
    before = package()
    assert package("second_hand.py", "# better\nnumber = 1\n") == before


def test_hashing_does_not_import_the_code(package):
    package()
    assert "hashed_package.net" not in sys.modules


def test_file_that_a_loose_plugin_imports_from_its_own_folder_counts(file_with, monkeypatch):
    # once: a helper beside a loose plugin is not followed, so that an edited helper is shown its old number.
    helper = file_with("factor = 2\n", "beside_the_plugin.py")
    path = file_with(BASE.replace("from harness", "import beside_the_plugin\nfrom harness"))
    monkeypatch.syspath_prepend(path.parent)
    before = hasher_hash([path])
    stamp = helper.stat().st_mtime_ns
    helper.write_text("factor = 3\n")
    os.utime(helper, ns=(stamp, stamp + 1))
    monkeypatch.delitem(sys.modules, "beside_the_plugin", raising=False)
    assert hasher_hash([path]) != before


def test_shared_building_blocks_of_the_core_are_followed(file_with, monkeypatch):
    user = BASE.replace(
        "from harness import hookimpl",
        "from harness import hookimpl\nfrom harness.training.building_blocks.linear import LinearCodes",
    )
    path = file_with(user)
    before = hasher_hash([path])
    real = source_hash.hash_of_file
    monkeypatch.setattr(source_hash, "hash_of_file", lambda p: "edited" if p.name == "linear.py" else real(p))
    assert hasher_hash([path]) != before
