"""JSON that every program reads, and JSON from strangers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.files.whole import read_plain_file

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Kind = TypeVar("Kind")

DEEPEST = 100
"""Tables and lists inside each other; nothing of ours has more than ten."""


def json_text(value: Any, indent: int | None = 1) -> str:
    """A value as JSON in the strict sense.

    Args:
        value: Tables with names of str, lists, tuples, texts, numbers and None. Numbers that are not finite, for which
            JSON has no words, become null; bytes become their hexadecimal digits, two for each.
        indent: Blanks for each level; None for one line.
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except (TypeError, ValueError):  # seldom, so that nothing else pays for looking at each value
        return json.dumps(_plain(value), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {name: _plain(content) for name, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content) for content in value]
    return value


def parsed_json(text: str | bytes) -> Any:
    """What a text says in JSON.

    Raises:
        ValueError: It is no JSON, no UTF-8, or its brackets stand deeper inside each other than :data:`DEEPEST`.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    _check_depth(content)
    return content


def _check_depth(content: Any) -> None:
    level: list[Any] = [[content]]
    for _ in range(DEEPEST + 1):
        inner = [value.values() if isinstance(value, dict) else value for value in level]
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"its brackets stand more than {DEEPEST} deep")


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: The file cannot be read.
        ValueError: As :func:`parsed_json`, or it is no plain file (a pipe would be waited for), or larger than
            :data:`harness.files.whole.LARGEST_BYTES`.
    """
    return parsed_json(read_plain_file(path))


def read_json_as(path: Path, kind: type[Kind]) -> Kind:
    """As :func:`read_json`, checked against what it should hold.

    Args:
        path: The file.
        kind: A dataclass, or another type with annotations.

    Raises:
        OSError: The file cannot be read.
        ValueError: As :func:`read_json`, or it holds something else.
    """
    # To mypy a class is as little hashable as its instances.
    return _adapter(kind).validate_python(read_json(path))  # type: ignore[arg-type]


@lru_cache
def _adapter(kind: type[Kind]) -> TypeAdapter[Kind]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
