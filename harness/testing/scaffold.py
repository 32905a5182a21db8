"""`harness plugin new`: a plugin that runs as it is, and its test, from a template: one file, or a package."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

from harness.errors import HarnessError, unknown_name
from harness.testing.package import package_of, targets_replaced

TEMPLATES = "templates"
ONE_FILE = {"py": "{{module}}.py", "test": "test_{{module}}.py", "toml": "{{name}}.toml"}
"""Ending of a template to the file that is written of it, where the plugin is one file."""

COMMAND = re.compile(r"^ +((?:harness|pytest) .*)$", re.MULTILINE)
"""Commands in the docstring of a template."""


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        files: The files, the plugin first.
        commands: Commands to try next.
    """

    files: tuple[Path, ...]
    commands: tuple[str, ...]


def kinds() -> tuple[str, ...]:
    """Kinds for which there is a template."""
    folder = resources.files("harness.testing") / TEMPLATES
    return tuple(sorted(entry.name.partition(".")[0] for entry in folder.iterdir() if entry.name.endswith(".py.txt")))


def write_plugin(name: str, kind: str, folder: Path, *, package: bool = False) -> Written:
    """Write the plugin and its test.

    Args:
        name: Name of the thing, as on the command line: letters, digits and ``-``.
        kind: One of :func:`kinds`.
        folder: Where to write; made where it is missing.
        package: Write an installable package, in a folder of the plugin's name, instead of one file.

    Returns:
        What was written.

    Raises:
        HarnessError: The name cannot be used, the kind is unknown, or a file is there already; nothing is written then.
    """
    if kind not in kinds():
        raise unknown_name("kind of plugin", kind, kinds())
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
        raise HarnessError(f"{name!r} is no name for a plugin: use letters, digits and '-', a letter first.")
    _refuse_taken(name, kind)
    module = name.lower().replace("-", "_")
    if keyword.iskeyword(module):
        raise HarnessError(f"{name!r} cannot name a Python file, as it is a word of the language: choose another name.")
    words = {
        "{{name}}": name,
        "{{module}}": module,
        "{{Class}}": "".join(part[:1].upper() + part[1:] for part in name.split("-")),
    }
    templates = _templates(kind)
    if package:
        _refuse_importable(module)
        place, files = folder / name, package_of(kind, templates)
    else:
        place = folder
        files = {PurePosixPath(ONE_FILE[ending]): templates[ending] for ending in ONE_FILE if ending in templates}
    contents = {place / _filled(str(path), words): _filled(text, words) for path, text in files.items()}
    there = [str(path) for path in contents if path.exists()]
    if there:
        raise HarnessError(f"{', '.join(there)} is there already, and nothing is overwritten: choose another name.")
    try:
        for path, text in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"--folder {folder}: {error.strerror}.") from error
    commands = [command for text in contents.values() for command in COMMAND.findall(text)]
    before = "" if place == Path() else shlex.quote(f"{place}/")
    named = re.compile(rf"(?=(test_)?{module}\.py)(?<![\w/])|(?<=^pytest )(?=tests$)")
    commands = [named.sub(lambda _: before, command) for command in commands]
    return Written(
        tuple(contents), (*((shlex.join(["pip", "install", "-e", str(place)]),) if package else ()), *commands)
    )


def _templates(kind: str) -> dict[str, str]:
    """Ending to text of the templates of a kind, and of the package."""
    folder = resources.files("harness.testing") / TEMPLATES
    wanted = {**{ending: f"{kind}.{ending}.txt" for ending in ONE_FILE}, "pyproject": "pyproject.toml.txt"}
    sources = {ending: folder / name for ending, name in wanted.items()}
    return {ending: source.read_text(encoding="utf-8") for ending, source in sources.items() if source.is_file()}


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return targets_replaced(text, "{}")


def _refuse_importable(module: str) -> None:
    """Refuse a package with the name of a Python module that is there: one would hide the other."""
    if importlib.util.find_spec(module) is not None:
        raise HarnessError(f"there is a Python module {module!r} here already: choose another name for the package.")


def _refuse_taken(name: str, kind: str) -> None:
    """Refuse a name that is registered already."""
    from harness.plugin.loading import load_registry

    registered = {"method": ("method", "hasher"), "hasher": ("hasher", "method"), "noise": ("protocol",)}
    registry = load_registry()
    for what in registered.get(kind, (kind,)):
        if name in registry.names(what):
            raise HarnessError(f"there is a {what} {name!r} already: choose another name.")
