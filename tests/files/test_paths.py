"""Names in files become paths in one way, and only regular files are opened."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.files.paths import file_name, path_below, pattern_parts, plain_name, require_regular

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["a", "a/b.txt", "./a", ".", "", "a/./b", "été/x y.jpg", "..a", "a..b/c"])
def test_relative_names_stay_below_the_folder(name, tmp_path):
    path = path_below(tmp_path, name, "here")
    assert path == tmp_path / name
    assert path.resolve().is_relative_to(tmp_path.resolve())


@pytest.mark.parametrize(
    "name",
    ["..", "../a", "a/../../b", "a/..", "/etc/passwd", "//x/y", "C:/x", "C:x", "a\\..\\b", "a\0b", "a\x1b[2Jb", "a\nb",
     "x" * 256, "a/" * 3000 + "b", "\ud800"],
)  # fmt: skip
def test_other_names_are_refused_in_one_sentence(name, tmp_path):
    with pytest.raises(HarnessError, match=r"^card 'x': ") as caught:
        path_below(tmp_path, name, "card 'x'")
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    outside = tmp_path / "outside"
    folder = tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "within").symlink_to(folder / "real")
    for name in ("link", "link/deep/file", "loop/x"):
        with pytest.raises(HarnessError, match=r"leads out of|cannot be followed"):
            path_below(folder, name, "here")
    assert path_below(folder, "within/file", "here") == folder / "within/file"


def test_the_folder_may_be_a_link_itself(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "named").symlink_to(tmp_path / "real")
    assert path_below(tmp_path / "named", "a/b", "here") == Path(tmp_path / "named/a/b")


@pytest.mark.parametrize("name", ["ucm", "UCM_captions", "I-1.5+x", "7"])
def test_plain_names(name):
    assert plain_name(name, "card") == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-x", "a/b", "a b", "a\\b", "é", "x" * 101, "a\n"])
def test_names_that_are_not_plain(name):
    with pytest.raises(HarnessError, match="no plain name"):
        plain_name(name, "card")


@pytest.mark.parametrize("name", ["images.zip", "my file (2).json", "été.csv"])
def test_names_of_files(name):
    assert file_name(name, "card") == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "./a", "a/", "/a", "a\\b", "a\0", "x" * 256])
def test_names_that_are_none_of_a_file(name):
    with pytest.raises(HarnessError, match=r"^card: "):
        file_name(name, "card")


@pytest.mark.parametrize("pattern", ["", ".", "**", "**/x", "a/**x", "../*", "/*"])
def test_patterns_stay_within_named_folders(pattern):
    assert pattern_parts("a/Labels_*.txt", "card") == ("a", "Labels_*.txt")
    with pytest.raises(HarnessError, match=r"^card: "):
        pattern_parts(pattern, "card")


# --- nothing goes around it ---


def fields_of_files() -> set[str]:
    """Names under which texts of cards, records and states of sweeps stand in the code."""
    from harness.data.cards import CardLayout, DatasetCard, Expected, Source
    from harness.records.schema import CellFacts, RunRecord

    models = (DatasetCard, Expected, CardLayout, Source, CellFacts, RunRecord)
    texts = {name for model in models for name, field in model.model_fields.items() if "str" in str(field.annotation)}
    return {*texts, "file_name", "host"}


def joins(tree: ast.AST) -> Iterator[tuple[ast.expr, list[ast.expr]]]:
    """Expressions that may make a path, and what they append to another one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield node, [node.right]
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in ("joinpath", "glob", "rglob"):
                yield node, node.args
            elif (isinstance(called, ast.Name) and called.id == "Path") or (
                isinstance(called, ast.Attribute) and called.attr == "join" and "path" in ast.unparse(called.value)
            ):
                yield node, node.args[1:]


def fields_in(expression: ast.expr) -> set[str]:
    """Names of fields in an expression: ``x.folder``, ``x["folder"]``, ``x.get("folder")``."""
    calls = [node for node in ast.walk(expression) if isinstance(node, ast.Call)]
    methods = {id(call.func) for call in calls}
    found = {node.attr for node in ast.walk(expression) if isinstance(node, ast.Attribute) and id(node) not in methods}
    keys = [node.slice for node in ast.walk(expression) if isinstance(node, ast.Subscript)]
    keys += [call.args[0] for call in calls if getattr(call.func, "attr", "") == "get" and call.args]
    return found | {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def around(source: str, fields: set[str]) -> list[str]:
    """Joins of fields that files give."""
    return [
        ast.unparse(expression)
        for expression, appended in joins(ast.parse(source))
        if any(fields & fields_in(part) for part in appended)
    ]


ALLOWED = {
    # checked when the card was read (harness/data/cards.py), and looked for where the user puts it, links included
    "self.place / self.name",
    "stage / step.name",
    "half / step.name",
    "Path(root) / folder / layout.annotations",
    "root / f'.fetch-{plain_name(card.name, 'dataset card')}'",
    # numbers
    "number / (entry.count or 1 if '*' in entry.path else 1)",
    # of what was just listed: names of entries of a folder
    "target / entry.name",
    "runs / seen.folder",
    "self.runs / seen.folder",
    "folder.parent.parent / 'locks' / f'{folder.name}.lock'",
    "file.parent.glob(f'.{glob.escape(file.name)}.new-*')",
    # of what this process made itself, or read_workers compared with the name of the file
    "self.state.folder / 'invocations' / f'{stamp}-{self.content.host}-{self.content.pid}.json'",
    "self.workers / worker.file_name",
    "state.workers / worker.file_name",
    "folder / self.state.file_name",
    "folder / f'worker-{place.name}.log'",
    # hashes that content_hash has just made of a cell
    "folder.glob(f'results/runs/*/*/{job.cell.hash}/record.json')",
    "Path(self.folder) / f'{self.hash}.json'",
    "Path(self.folder) / f'{self.hash}.verdict'",
    "Path(self.folder) / f'{self.hash}.log'",
    "self.folder / cell.hash",
}
"""Joins that are no way around, and why."""


def test_no_field_of_a_file_becomes_a_path_but_through_paths_below():
    """Where this fails: make the path with path_below (cards, archives), or run_folder (records, the index)."""
    fields = fields_of_files()
    found = {
        f"{path.relative_to(ROOT)}: {join}"
        for path in (*ROOT.glob("harness/**/*.py"), *ROOT.glob("plugins/**/*.py"))
        for join in around(path.read_text(encoding="utf-8"), fields)
        if join.replace('"', "'") not in ALLOWED  # versions of Python quote in other ways
    }
    assert not found


@pytest.mark.parametrize(
    "join",
    [
        "root / card.layout.folder",
        "root / f'.fetch-{card.name}'",
        "results / 'runs' / record.cell.method / record.hash",
        "runs / row['folder']",
        "root.joinpath(layout.get('images', ''))",
        "folder.glob(entry.path)",
        "Path(target, source.unpack)",
        "os.path.join(root, card.layout.folder)",
    ],
)
def test_ways_around_are_seen(join):
    assert around(join, fields_of_files())


def test_archives_and_arrays_are_opened_in_one_place_each():
    """Whoever unpacks by himself goes around the limits."""
    allowed = {
        "harness/files/unpack.py": {"zipfile.ZipFile", "tarfile.open"},
        "harness/records/archive.py": {"zipfile.ZipFile", "tarfile.open"},  # which write
        "harness/files/npz.py": {"zipfile.ZipFile", "np.lib.format.read_array"},
        "harness/data/cache.py": {"np.load"},  # memory maps of our own files, which nothing is unpacked from
    }
    opening = {
        "zipfile.ZipFile", "tarfile.open", "shutil.unpack_archive", "np.load", "numpy.load", "np.fromfile",
        "np.lib.format.read_array",
    }  # fmt: skip
    found = {}
    for path in (*ROOT.glob("harness/**/*.py"), *ROOT.glob("plugins/**/*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        if called & opening:
            found[str(path.relative_to(ROOT))] = called & opening
    assert found == allowed
    reading = (ROOT / "harness/records/archive.py").read_text()
    assert reading.count('ZipFile(opened, "w"') == reading.count("zipfile.ZipFile(") == 1
    assert reading.count('mode="w"') == reading.count("tarfile.open(") == 1


def test_a_file_and_a_link_to_one_pass(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert require_regular(tmp_path / "link").read_text() == "x"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("absent", "is missing."),
        ("file/below", "is missing."),
        ("folder", "is no file but a folder."),
        ("pipe", "is no file but a pipe."),
        ("device", "is no file but a device."),
        ("loop", "cannot be read: Too many levels of symbolic links."),
        ("x" * 300, "cannot be read: File name too long."),
        ("a\0b", "cannot be read: "),
    ],
)
def test_whatever_else_is_there_is_named_and_not_opened(tmp_path, name, says):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(HarnessError, match=r"^image .*") as caught:
        require_regular(tmp_path / name, "image")
    assert says in str(caught.value)
