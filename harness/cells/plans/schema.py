"""The schema of plan files; docs/sweeps.md describes them for users.

Its keys are the options of ``harness run``, from the one table in :mod:`harness.cells.command`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, create_model

from harness.cells.command import MAY_BE_PATHS, OPTIONS, CellOption
from harness.quantities import DIGITS
from harness.wording import shown

LONGEST_RANGE = 10_000
"""More training seeds are a slip of the keyboard."""

_RANGE = re.compile(rf"(\d{{1,{DIGITS}}})-(\d{{1,{DIGITS}}})")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Block(_Strict):
    """Values of options: option name to its values, or None where the block does not say it."""

    settings: Annotated[dict[str, list[str]], BeforeValidator(lambda value: _settings(value))] = Field(
        default_factory=dict, alias="set"
    )

    def values(self) -> dict[str, list[Any]]:
        """The options that the block says."""
        found = {option.name: getattr(self, option.name, None) for option in OPTIONS}
        return {name: values for name, values in found.items() if values is not None}


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


def _one(option: CellOption, value: Any, folder: Path) -> Any:
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
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise ValueError(f"expected a whole number, not {shown(value)}")
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a text, not {shown(value)}")
    if option.name == "dataset" and value.strip().endswith(".toml"):
        return str(path_of(value.strip(), folder))
    if option.name in MAY_BE_PATHS:
        return _weights(value.strip(), folder)
    return value.strip() if option.read is str else path_of(value.strip(), folder)


def _range(option: CellOption, value: Any) -> list[int] | None:
    """The numbers of a range such as "0-4"; None for anything else."""
    match = _RANGE.fullmatch(value.strip()) if option.read is int and isinstance(value, str) else None
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise ValueError(f"the range {value} runs backwards: write {last}-{first}")
    if last - first >= LONGEST_RANGE:
        raise ValueError(f"the range {value} has more than {LONGEST_RANGE} values")
    return list(range(first, last + 1))


def _listed(option: CellOption, value: Any, info: ValidationInfo) -> list[Any]:
    """The values of an axis: a list, or one value."""
    folder = info.context["folder"] if info.context else Path()
    found: list[Any] = []
    for part in value if isinstance(value, list) else [value]:
        span = _range(option, part)
        found += [_one(option, part, folder)] if span is None else span
    if not found:
        raise ValueError("the list is empty: give a value, or leave the key out")
    twice = [part for at, part in enumerate(found) if part in found[:at]]
    if twice:
        raise ValueError(f"{_written(twice[0])} is there twice")
    return found


def _single(option: CellOption, value: Any, info: ValidationInfo) -> list[Any]:
    """The one value of an option that is no axis, or is fixed."""
    if isinstance(value, list):
        raise ValueError("expected one value, not a list")
    found = _listed(option, value, info)
    if len(found) > 1:
        raise ValueError(f"expected one value, not the range {value}")
    return found


def _settings(value: Any) -> dict[str, list[str]]:
    """Values of ``--set`` as text; an empty list in the block of a method or data set takes a key away."""
    if not isinstance(value, dict):
        example = '"hasher.beta" = [0.01, 0.1]'
        raise ValueError(f"expected a table of KEY = VALUE, for example {example}, not {shown(value)}")
    found = {}
    for key, given in _flat(value):
        texts = [_text(key, part) for part in (given if isinstance(given, list) else [given])]
        if len(set(texts)) < len(texts):
            raise ValueError(f"the list of {key} has a value twice")
        found[key] = texts
    return found


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """``hasher.beta = 1`` without quotes is a table in TOML; it means the key "hasher.beta" all the same."""
    found = []
    for key, value in table.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return found


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if _is_number(value):
        return str(value)
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError(f"{key}: expected a number, a text, true or false, not {shown(value)}")


def _written(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _plugins(value: Any, info: ValidationInfo) -> list[Path]:
    folder = info.context["folder"] if info.context else Path()
    files = value if isinstance(value, list) else [value]
    if not all(isinstance(file, str) and file.strip() for file in files):
        raise ValueError("expected the path of a plugin file, or a list of paths")
    return [path_of(file.strip(), folder) for file in files]


def _model(name: str, chosen: Callable[[CellOption], bool], single: bool, **more: Any) -> type[Block]:
    """A block that takes some of the options."""
    fields: dict[str, Any] = {}
    for option in OPTIONS:
        if chosen(option):
            reader = partial(_single if single or not is_axis(option) else _listed, option)
            fields[option.name] = (Annotated[list[Any] | None, BeforeValidator(_with_info(reader))], None)
    return create_model(name, __base__=Block, **fields, **more)


def _with_info(reader: Callable[[Any, ValidationInfo], list[Any]]) -> Callable[[Any, ValidationInfo], list[Any]]:
    """Pydantic looks at the signature to see whether a validator takes the context; a partial hides it."""

    def validate(value: Any, info: ValidationInfo) -> list[Any]:
        return reader(value, info)

    return validate


def is_axis(option: CellOption) -> bool:
    """Whether ``harness run`` takes several values of it."""
    return option.axis or option.name == "features"


Repeats = Annotated[int, Field(ge=1, le=LONGEST_RANGE)]

Axes = _model("Axes", is_axis, single=False)
Fixed = _model(
    "Fixed",
    lambda option: option.name != "method",
    single=True,
    plugin=(Annotated[list[Path], BeforeValidator(_plugins)], []),
)
OfMethod = _model("OfMethod", lambda option: option.name != "method", single=False, repeats=(Repeats | None, None))
OfDataset = _model("OfDataset", lambda option: option.name not in ("method", "dataset", "features"), single=False)
Exclude = _model("Exclude", is_axis, single=False)


class PlanFile(_Strict):
    """A whole plan file."""

    title: str = ""
    description: str = ""
    repeats: Repeats | None = None
    metrics: list[str] = []
    axes: Axes  # type: ignore[valid-type]
    fixed: Fixed = Field(default_factory=Fixed)  # type: ignore[valid-type]
    methods: dict[str, OfMethod] = {}  # type: ignore[valid-type]
    datasets: dict[str, OfDataset] = {}  # type: ignore[valid-type]
    exclude: list[Exclude] = []  # type: ignore[valid-type]


def keys_at(location: Sequence[str | int]) -> list[str]:
    """The keys that a plan may have at a place, given by the path of its table."""
    sections: dict[str, type[BaseModel]] = {
        "axes": Axes, "fixed": Fixed, "methods": OfMethod, "datasets": OfDataset, "exclude": Exclude,
    }  # fmt: skip
    model = sections[str(location[0])] if location else PlanFile
    return [field.alias or name for name, field in model.model_fields.items()]
