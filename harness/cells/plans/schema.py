"""What the tables of plan files may hold: the options of ``harness run``, each with values of exactly its type.

Everything is checked against the one table in :mod:`harness.cells.request`; docs/sweeps.md describes plans for users.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from harness.cells.options import Option
from harness.cells.request import BY_NAME, OPTIONS
from harness.errors import unknown_name
from harness.files.toml import Key
from harness.quantities import LONGEST_RANGE, range_of
from harness.text import shown

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")

Place = tuple[Key, ...]
"""Keys that lead to a part of a plan: names of tables, positions in lists."""

Mistake = tuple[Place, str]
"""Where something is wrong in a plan, and what."""

Read = TypeVar("Read")


@dataclass(frozen=True)
class Block:
    """What one table of a plan says.

    Attributes:
        values: Name of an option to its values.
        settings: Key of ``--set`` to its values as text.
        repeats: Number of training seeds, or None.
        plugins: Plugin files.
    """

    values: Mapping[str, list[Any]] = field(default_factory=dict)
    settings: Mapping[str, list[str]] = field(default_factory=dict)
    repeats: int | None = None
    plugins: tuple[Path, ...] = ()


@dataclass(frozen=True)
class PlanContent:
    """A whole plan file; ``methods`` and ``datasets`` by name, the others as docs/sweeps.md says."""

    title: str
    description: str
    repeats: int | None
    metrics: list[str]
    axes: Block
    fixed: Block
    methods: Mapping[str, Block]
    datasets: Mapping[str, Block]
    exclude: list[Block]


_AXES = [option.name for option in OPTIONS if option.varies is not None]
_WITHOUT_METHOD = [option.name for option in OPTIONS if option.name != "method"]

SECTIONS = {
    "axes": ("set", *_AXES),
    "fixed": ("set", *_WITHOUT_METHOD, "plugin"),
    "methods": ("set", *_WITHOUT_METHOD, "repeats"),
    "datasets": ("set", *(name for name in _WITHOUT_METHOD if name not in ("dataset", "features"))),
    "exclude": ("set", *_AXES),
}
"""Keys of the tables of a section; in [fixed] each has one value."""

TOP = ("title", "description", "repeats", "metrics", *SECTIONS)
"""Keys of a plan outside all tables."""


def read_content(content: Mapping[str, Any], folder: Path) -> tuple[PlanContent, list[Mistake]]:
    """Check what a plan's file holds.

    Args:
        content: The parsed file.
        folder: Folder of the file, from which its paths begin.

    Returns:
        What the plan says, and everything that is wrong in it; without a mistake it is complete.
    """
    reader = _Reader(folder)
    reader.refuse_unknown((), content, TOP)
    if "axes" not in content and not reader.mistakes:  # a misspelt key says more
        missing = "the table [axes] is missing: it names the methods, noise rates, ... of the grid"
        reader.mistakes.append((("axes",), missing))
    checked = PlanContent(
        title=reader.entry(content, ("title",), _text, ""),
        description=reader.entry(content, ("description",), _text, ""),
        repeats=reader.entry(content, ("repeats",), _repeats, None),
        metrics=reader.listed(content, "metrics", partial(reader.read, read=_text, otherwise="")),
        axes=reader.block(("axes",), content.get("axes", {})),
        fixed=reader.block(("fixed",), content.get("fixed", {})),
        methods=reader.blocks(content, "methods"),
        datasets=reader.blocks(content, "datasets"),
        exclude=reader.listed(content, "exclude", reader.block),
    )
    return checked, reader.mistakes


class _Reader:
    """Reads the parts of a plan, and notes what is wrong in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mistakes: list[Mistake] = []

    def read(self, place: Place, value: Any, read: Callable[[Any], Any], otherwise: Any) -> Any:
        """What ``read`` makes of a value; ``otherwise`` where it raises ValueError, which is noted."""
        try:
            return read(value)
        except ValueError as error:
            name = ".".join(key for key in place if isinstance(key, str))
            self.mistakes.append((place, f"{name}: {error}"))
            return otherwise

    def entry(self, table: Mapping[str, Any], place: Place, read: Callable[[Any], Any], otherwise: Any) -> Any:
        """The same for the entry of a table whose key is the last of ``place``, where the table has it."""
        key = str(place[-1])
        return self.read(place, table[key], read, otherwise) if key in table else otherwise

    def listed(self, content: Mapping[str, Any], name: str, read: Callable[[Place, Any], Read]) -> list[Read]:
        """Each entry of a list."""
        return [read((name, at), value) for at, value in enumerate(self.entry(content, (name,), _list, []))]

    def blocks(self, content: Mapping[str, Any], section: str) -> dict[str, Block]:
        """The tables of a section that has one for each name."""
        tables = self.entry(content, (section,), _table, {})
        return {name: self.block((section, name), table) for name, table in tables.items()}

    def block(self, place: Place, value: Any) -> Block:
        """One table with values of options."""
        table = self.read(place, value, _table, {})
        keys = SECTIONS[str(place[0])]
        known = {key: table[key] for key in keys if key in table}
        settings = self.entry(known, (*place, "set"), _settings, {})
        values = {
            name: self.entry(known, (*place, name), partial(self._values, BY_NAME[name], place[0] != "fixed"), [])
            for name in known
            if name in BY_NAME
        }
        repeats = self.entry(known, (*place, "repeats"), _repeats, None)
        plugins = self.entry(known, (*place, "plugin"), self._plugins, ())
        self.refuse_unknown(place, table, keys)
        return Block(values, settings, repeats, plugins)

    def refuse_unknown(self, place: Place, table: Mapping[str, Any], known: Collection[str]) -> None:
        """Note the keys that a table cannot have."""
        for name in table:
            if name not in known:
                self.mistakes.append(((*place, name), _unknown(place, name, known)))

    def _values(self, option: Option, lists: bool, given: Any) -> list[Any]:
        """The values of an option: a list where there may be one, a range, or one value."""
        several = lists and option.varies is not None
        if isinstance(given, list) and not several:
            raise ValueError("expected one value, not a list")
        values: list[Any] = []
        for part in given if isinstance(given, list) else [given]:
            values += _range(option, part) or [_one(option, part, self.folder)]
        if not values:
            raise ValueError("the list is empty: give a value, or leave the key out")
        seen = set()
        for value in values:
            if value in seen:
                raise ValueError(f"{value!r} is there twice" if isinstance(value, str) else f"{value} is there twice")
            seen.add(value)
        if len(values) > 1 and not several:
            raise ValueError(f"expected one value, not the range {given}")
        return values

    def _plugins(self, value: Any) -> tuple[Path, ...]:
        files = value if isinstance(value, list) else [value]
        if not all(isinstance(file, str) and file.strip() for file in files):
            raise ValueError("expected the path of a plugin file, or a list of paths")
        return tuple(path_of(file.strip(), self.folder) for file in files)


def _unknown(place: Place, name: str, known: Collection[str]) -> str:
    """What to say of a key that a table cannot have."""
    if name in BY_NAME and not place:
        return f"{name!r} stands in no table: write it in [axes] or [fixed]"
    if name in BY_NAME and place[0] in ("axes", "exclude"):
        return f"{name!r} is no axis: write it in [fixed], or in [methods.NAME]"
    hint = str(unknown_name("key", name, known)).removeprefix(f"unknown key {name!r}: ")
    table = f"[{'.'.join(map(str, place))}]"
    if place and place[0] == "exclude":
        table = f"[[exclude]] {int(place[1]) + 1}"
    return f"unknown key {name!r}{f' in {table}' if place else ''}: {hint}"


def _of_type(wanted: type, words: str, value: Any) -> Any:
    if isinstance(value, wanted):
        return value
    raise ValueError(f"expected {words}, not {shown(value)}")


_text, _table, _list = (
    partial(_of_type, wanted, words) for wanted, words in ((str, "a text"), (dict, "a table"), (list, "a list"))
)


def _repeats(value: Any) -> int:
    """A number of training seeds."""
    if not _is_whole(value):
        raise ValueError(f"expected a whole number, not {shown(value)}")
    if not 1 <= value <= LONGEST_RANGE:
        raise ValueError(f"expected {'at least 1' if value < 1 else f'at most {LONGEST_RANGE}'}, not {shown(value)}")
    return int(value)


def path_of(text: str, folder: Path) -> Path:
    """A path as a plan writes it: relative to the plan's folder, with ``~`` and ``$VARIABLE``.

    Raises:
        ValueError: A variable is not set, there is no such user, or the system takes no such path.
    """
    try:
        path = folder / Path(_expanded(text)).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{shown(text)} cannot be used: {getattr(error, 'strerror', None) or error}") from error
    return path


def _expanded(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not os.environ.get(name):
            raise ValueError(f"the environment variable {name} is not set")
        return os.environ[name]

    return _VARIABLE.sub(value, text)


def _weights(text: str, folder: Path) -> str:
    """A file or folder beside the plan, otherwise a name of the hub as it is."""
    path = path_of(text, folder)
    is_path = text.startswith((".", "/", "~", "$")) or Path(text).suffix in (".safetensors", ".pth", ".pt")
    return str(path) if is_path or path.exists() else text


def _is_number(value: Any) -> bool:
    """Whether it is a finite number, of a size that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < sys.float_info.max


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _one(option: Option, value: Any, folder: Path) -> Any:
    """One value of an option, of exactly its type.

    Raises:
        ValueError: It is of another type.
    """
    if option.is_switch:
        if isinstance(value, bool):
            return value
        raise ValueError(f"expected true or false, not {shown(value)}")
    if option.read is float:
        if _is_number(value):
            return float(value)
        raise ValueError(f"expected a number, not {shown(value)}")
    if option.read is int:
        if _is_whole(value):
            return value
        raise ValueError(f"expected a whole number, not {shown(value)}")
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a text, not {shown(value)}")
    if option.is_card(value.strip()):
        return str(path_of(value.strip(), folder))
    if option.may_be_path:
        return _weights(value.strip(), folder)
    return value.strip() if option.read is str else path_of(value.strip(), folder)


def _range(option: Option, value: Any) -> list[int]:
    """The numbers of a range such as "0-4"; none for anything else."""
    if option.read is not int or not isinstance(value, str):
        return []
    try:
        return list(range_of(value) or ())
    except ValueError as error:
        raise ValueError(f"the range {value} {error}") from None


def _settings(value: Any) -> dict[str, list[str]]:
    """Values of ``--set`` as text; an empty list in the block of a method or data set takes a key away."""
    if not isinstance(value, dict):
        example = '"hasher.beta" = [0.01, 0.1]'
        raise ValueError(f"expected a table of KEY = VALUE, for example {example}, not {shown(value)}")
    settings = {}
    for key, given in _flat(value):
        texts = [_setting(key, part) for part in (given if isinstance(given, list) else [given])]
        if len(set(texts)) < len(texts):
            raise ValueError(f"the list of {key} has a value twice")
        settings[key] = texts
    return settings


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """``hasher.beta = 1`` without quotes is a table in TOML; it means the key "hasher.beta" all the same."""
    flat = []
    for key, value in table.items():
        flat += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return flat


def _setting(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if _is_number(value):
        return str(value)
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError(f"{key}: expected a number, a text, true or false, not {shown(value)}")
