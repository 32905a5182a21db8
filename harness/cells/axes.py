"""Axis options: repeated, or comma lists, or ranges of integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from harness.errors import HarnessError
from harness.quantities import comma_split, range_of
from harness.text import shortened


def texts(values: Iterable[str], option: str = "") -> list[str]:
    """``("a,b", "c")`` to ``["a", "b", "c"]``, each once, in order; ``a\\,b`` is one value with a comma in it.

    Raises:
        HarnessError: There are values, and all are empty (an unset variable of a script).
    """
    values = tuple(values)
    parts = list(dict.fromkeys(part for value in values for part in comma_split(value)))
    if values and not parts:
        raise HarnessError(f"{option or 'an option'} has an empty value: give one, or leave the option out.")
    return parts


def numbers(option: str, values: Iterable[str], kind: Callable[[str], Any]) -> list[Any]:
    """Numbers of an axis.

    Args:
        option: Name of the option, for the message.
        values: What was written, each a number, a comma list, or (integers only) a range such as ``0-4``.
        kind: ``int`` or ``float``.

    Returns:
        The numbers, each once, in order.

    Raises:
        HarnessError: Something is no number.
    """
    chosen: list[Any] = []
    for text in texts(values, option):
        try:
            span = range_of(text) if kind is int else None
        except ValueError as error:
            raise HarnessError(f"{option} {text}: the range {error}.") from None
        if span is not None:
            chosen.extend(span)
            continue
        try:
            chosen.append(kind(text))
        except ValueError:
            expected = (
                "whole numbers, comma lists or ranges such as 0-4"
                if kind is int
                else "numbers or comma lists such as 0.2,0.4"
            )
            raise HarnessError(f"{option} {shortened(text)}: expected {expected}.") from None
    return list(dict.fromkeys(chosen))


def settings(values: Iterable[str]) -> dict[str, list[str]]:
    """``("hasher.lr=1e-4,1e-3",)`` to ``{"hasher.lr": ["1e-4", "1e-3"]}``; repeated keys add values.

    Raises:
        HarnessError: An entry has no ``=``, no key or no value.
    """
    by_key: dict[str, list[str]] = {}
    for entry in values:
        key, equals, text = entry.partition("=")
        parts = texts([text]) if text.strip(" ,") else []
        if not equals or not key.strip() or not parts:
            raise HarnessError(f"--set {entry}: expected KEY=VALUE, for example --set detector.weights=cubed.")
        known = by_key.setdefault(key.strip(), [])
        known.extend(part for part in parts if part not in known)
    return by_key
