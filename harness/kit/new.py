"""`harness plugin new`: a plugin file that runs as it is, and its test, from a template."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from harness.errors import HarnessError, unknown_name

TEMPLATES = "templates"
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
    folder = resources.files("harness.kit") / TEMPLATES
    return tuple(sorted(entry.name.partition(".")[0] for entry in folder.iterdir() if entry.name.endswith(".py.txt")))


def write_plugin(name: str, kind: str, folder: Path) -> Written:
    """Write the plugin and its test.

    Args:
        name: Name of the thing, as on the command line: letters, digits and ``-``.
        kind: One of :func:`kinds`.
        folder: Where to write; made where it is missing.

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
    templates = resources.files("harness.kit") / TEMPLATES
    wanted = {
        folder / f"{module}.py": f"{kind}.py.txt",
        folder / f"test_{module}.py": f"{kind}.test.txt",
        folder / f"{name}.toml": f"{kind}.toml.txt",
    }
    contents = {}
    for path, template in wanted.items():
        source = templates / template
        if source.is_file():
            text = source.read_text(encoding="utf-8")
            for word, value in words.items():
                text = text.replace(word, value)
            contents[path] = text
    there = [str(path) for path in contents if path.exists()]
    if there:
        raise HarnessError(f"{', '.join(there)} is there already, and nothing is overwritten: choose another name.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in contents.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"--folder {folder}: {error.strerror}.") from error
    plugin = next(iter(contents.values()))
    place = "" if folder == Path() else f"{folder}/"
    named = re.compile(rf"(?=(test_)?{module}\.py)(?<![\w/])")
    return Written(tuple(contents), tuple(named.sub(place, command) for command in COMMAND.findall(plugin)))


def _refuse_taken(name: str, kind: str) -> None:
    """A name that is registered already could not be registered again."""
    from harness.plugins import load_registry

    registered = {"method": ("method", "hasher"), "hasher": ("hasher", "method"), "noise": ("protocol",)}
    registry = load_registry()
    for what in registered.get(kind, (kind,)):
        if name in registry.names(what):
            raise HarnessError(f"there is a {what} {name!r} already: choose another name.")
