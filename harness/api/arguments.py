"""From what a user gives, as options of a command line or as arguments in Python, to the points of a grid."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cells import axes
from harness.cells.options import Option
from harness.cells.request import OPTIONS, CellRequest, MethodRequest, span
from harness.errors import HarnessError, unknown_name
from harness.text import shortened

EXPECTED = {
    bool: "True or False", int: "a whole number", float: "a number", str: "text", Path: "the path of a file or folder",
}  # fmt: skip
"""What the value of an option is, for messages."""

SET_EXAMPLE = "{'detector.weights': 'cubed'}"

Given = Mapping[str, Sequence[Any]]
"""Name of an option to the values given for it; none where it was left out."""


def default_data_root() -> Path | None:
    """The folder of the data sets that the environment names."""
    return Path(os.environ["HARNESS_DATA"]) if os.environ.get("HARNESS_DATA") else None


def grid_of(
    given: Given, settings: Mapping[str, Sequence[str]], plugins: Sequence[Path] = (), base: CellRequest | None = None
) -> list[CellRequest]:
    """The grid that options span.

    Args:
        given: Values by option.
        settings: Key of ``--set`` to its values, as text.
        plugins: Plugin files.
        base: The cell whose values stand where an option is not given; None for the defaults.

    Returns:
        One request for each point; the data axes change slowest, so that data are prepared once.

    Raises:
        HarnessError: No method, or two options that exclude each other.
    """
    if base is None and not given.get("method"):
        raise HarnessError("no method named: add --method NAME, one of those that `harness list methods` shows.")
    if given.get("features") and given.get("dataset"):
        raise HarnessError("--dataset and --features exclude each other: features bring their own data.")
    base = base or CellRequest(MethodRequest(given["method"][0]))
    base = replace(base, data_root=base.data_root or default_data_root())
    return span(replace(base, plugins=tuple(dict.fromkeys([*base.plugins, *plugins]))), given, settings)


def check_names(function: str, arguments: Iterable[str], known: Collection[str]) -> None:
    """Every argument is one that a function has.

    Raises:
        HarnessError: One is not; near names are suggested.
    """
    for name in arguments:
        if name not in known:
            raise unknown_name(f"argument of harness.{function}", name, known)


def given_in_python(arguments: Mapping[str, Any], options: Iterable[Option] = OPTIONS) -> dict[str, list[Any]]:
    """Values by option, of arguments that each are a value or several.

    A text is read as on the command line, so that ``seed="0-4"`` and ``method="chnr,cca-itq"`` are lists; the texts in
    a list stand for themselves. None means not given.

    Raises:
        HarnessError: A value of a wrong type, an empty list, or several values for an option of one.
    """
    return {option.name: _values(option, arguments.get(option.name)) for option in options}


def one_each(arguments: Mapping[str, Any], options: Iterable[Option]) -> dict[str, Any]:
    """As :func:`given_in_python` for options that have one value, or repeat: name to value, of those given."""
    read: dict[str, Any] = {}
    for option, values in ((option, _values(option, arguments.get(option.name))) for option in options):
        if values:
            read[option.name] = tuple(values) if option.repeats else values[0]
    return read


def settings_in_python(values: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """``{"detector.weights": ["normal", "cubed"]}``, the argument ``set``, as keys to texts.

    Raises:
        HarnessError: It is no mapping of texts, or a key has no value.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise HarnessError(
            f"set={shortened(repr(values))}: expected a mapping such as {{'detector.weights': 'cubed'}}."
        )
    by_key: dict[str, list[str]] = {}
    for key, value in values.items():
        texts = [str(each) for each in _several(value)]
        if not isinstance(key, str) or not key.strip() or not texts or "" in texts:
            raise HarnessError(
                f"set: {shortened(repr(key))} needs a value, for example {{'detector.weights': 'cubed'}}."
            )
        by_key[key.strip()] = list(dict.fromkeys(texts))
    return by_key


def _values(option: Option, given: Any) -> list[Any]:
    if given is None or (option.is_switch and given is False):
        return []
    if isinstance(given, str) and option.axis:
        return _of_text(option, [given])
    several = _several(given)
    if len(several) != 1 and option.varies is None and not option.repeats:
        raise HarnessError(f"{option.name}={shortened(repr(given))}: expected one value.")
    if not several:
        raise HarnessError(f"{option.name} has no value: give one, or leave the argument out.")
    values = [value for each in several for value in _of_one(option, each)]
    return list(dict.fromkeys(values))


def _of_one(option: Option, value: Any) -> list[Any]:
    """What one value of a list stands for: itself in the option's type, or the numbers of a range such as "0-4"."""
    if isinstance(value, str) and option.axis and option.read in (int, float):
        return _of_text(option, [value])
    if option.read is str and isinstance(value, os.PathLike):
        value = os.fspath(value)  # the card of a data set, a file of weights
    if option.or_number and isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:g}" if isinstance(value, float) else str(value)
    fits: dict[type, Callable[[Any], bool]] = {
        bool: lambda value: isinstance(value, bool),
        int: lambda value: isinstance(value, int) and not isinstance(value, bool),
        float: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
        str: lambda value: isinstance(value, str) and bool(value.strip()),
        Path: lambda value: isinstance(value, str | os.PathLike) and bool(os.fspath(value)),
    }
    if not fits[option.read](value):
        raise HarnessError(f"{option.name}={shortened(repr(value))}: expected {EXPECTED[option.read]}.")
    return [option.read(value)]


def _of_text(option: Option, texts: Sequence[str]) -> list[Any]:
    """Texts of an axis as the command line reads them."""
    numbers = option.read in (int, float)
    return axes.numbers(option.flag, texts, option.read) if numbers else axes.texts(texts, option.flag)


def _several(given: Any) -> list[Any]:
    """A value, or each of several, with plain numbers in the place of numpy's and torch's."""
    if isinstance(given, Mapping):
        return [f"{key}={value}" for key, value in given.items()]
    if isinstance(given, str | bytes | os.PathLike) or not isinstance(given, Iterable):
        return [_plain(given)]
    if getattr(given, "shape", None) == ():
        return [_plain(given)]
    return [_plain(each) for each in given]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value
