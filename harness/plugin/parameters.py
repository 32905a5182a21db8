"""Declared parameters of components: types, defaults, limits, and reading them from text."""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError, unknown_name
from harness.plugin.interfaces import NOTHING, Need
from harness.quantities import LARGEST_INTEGER
from harness.text import shortened

Value = bool | int | float | str


@dataclass(frozen=True)
class Parameter:
    """One parameter of a component; it reaches the component as a keyword argument of that name.

    Attributes:
        name: Name, as in ``--set hasher.NAME=...``.
        default: Default value; its type (bool, int, float or str) is the parameter's type.
        meaning: What it does, in one sentence, with its place in the paper where it has one.
        choices: The values allowed; empty for any.
        minimum, maximum: Limits, inclusive; None for none.
        above: Exclusive lower limit; None for none.
        needs: For some values, what the component then needs in addition.
        unsaid: Left out of records and hashes where it has its default (backbones only): for a parameter that was added
            to a component whose records must stand.
    """

    name: str
    default: Value
    meaning: str = ""
    choices: tuple[Value, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    needs: Mapping[Value, Need] = field(default_factory=dict)
    unsaid: bool = False

    def __post_init__(self) -> None:
        """Names and meanings are text, and the default is a plain value, also where it was given as one of numpy's."""
        for text in (self.name, self.meaning):
            if not isinstance(text, str):
                raise HarnessError(f"Parameter(...): name and meaning must be text, not {type(text).__name__}.")
        object.__setattr__(self, "default", _plain(self.default, self.name))

    @property
    def type_name(self) -> str:
        """The type in words, with choices or limits."""
        if self.choices:
            return " | ".join(str(choice) for choice in self.choices)
        limits = []
        if self.above is not None:
            limits.append(f"> {self.above:g}")
        if self.minimum is not None:
            limits.append(f">= {self.minimum:g}")
        if self.maximum is not None:
            limits.append(f"<= {self.maximum:g}")
        return type(self.default).__name__ + (f" {', '.join(limits)}" if limits else "")

    def described(self, default: Value | None = None, key: str = "") -> dict[str, Any]:
        """What ``harness info`` shows of it; ``default`` and ``key`` are those of a method."""
        facts = {
            "name": key or self.name, "type": self.type_name, "default": self.default if default is None else default,
            "meaning": self.meaning,
        }  # fmt: skip
        needs = {str(value): list(need.names) for value, need in self.needs.items()}
        return {**facts, "needs": needs} if needs else facts

    def read(self, text: Any, where: str) -> Value:
        """Turn what a user wrote into a checked value.

        Args:
            text: A string from the command line, or a value that already has the type.
            where: The full key, for the message.

        Returns:
            The value in the parameter's type.

        Raises:
            HarnessError: The text is not of the type, not among the choices, or outside the limits.
        """
        kind = type(self.default)
        value: Any
        try:
            if kind is bool:
                value = text if isinstance(text, bool) else _read_bool(str(text))
            elif kind is int:
                value = _read_int(text)
            elif kind is float:
                value = float(text)
            else:
                value = str(text)
        except (ValueError, OverflowError):
            raise HarnessError(f"{where}={shortened(str(text))}: expected {self.type_name}.") from None
        if self.choices and value not in self.choices:
            raise unknown_name(f"value of {where}", str(value), [str(choice) for choice in self.choices])
        if isinstance(value, float) and not math.isfinite(value):
            raise HarnessError(f"{where}={text}: expected a finite number.")
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise HarnessError(f"{where}={shortened(str(text))}: expected a number of at most 63 bits.")
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        if number is not None and (
            (self.minimum is not None and number < self.minimum)
            or (self.maximum is not None and number > self.maximum)
            or (self.above is not None and number <= self.above)
        ):
            raise HarnessError(f"{where}={text}: expected {self.type_name}.")
        return value


def _plain(value: Any, name: str) -> Value:
    """A value without what a class derived from its type may have changed.

    Raises:
        HarnessError: It is of another type.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int.__pos__(value)
    if isinstance(value, float):
        return float.__pos__(value)
    if isinstance(value, str):
        return str.__str__(value)
    raise HarnessError(
        f"parameter {name!r} needs a default of type bool, int, float or str, not {type(value).__name__}."
    )


def _read_bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("true", "yes", "on", "1"):
        return True
    if lowered in ("false", "no", "off", "0"):
        return False
    raise ValueError(text)


def _read_int(text: Any) -> int:
    if isinstance(text, bool):
        raise ValueError(text)
    number = float(text)  # accepts 1e3
    if not math.isfinite(number) or not number.is_integer():
        raise ValueError(text)
    return int(text) if isinstance(text, str) and text.strip().lstrip("+-").isdigit() else int(number)


def parameters_from_signature(target: type, handed: Collection[str] = ()) -> tuple[Parameter, ...]:
    """Derive parameters from the keyword arguments of a class that was registered without declaring them.

    Args:
        target: The component's class.
        handed: Arguments that the harness hands in, which are no parameters.

    Returns:
        One parameter for each other argument of ``__init__``.

    Raises:
        HarnessError: An argument has no default of type bool, int, float or str.
    """
    initialise = inspect.getattr_static(target, "__init__")
    if initialise is object.__init__:
        return ()
    parameters = []
    for argument in list(inspect.signature(initialise).parameters.values())[1:]:
        if argument.name in handed or argument.kind in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL):
            continue
        if not isinstance(argument.default, bool | int | float | str):
            raise HarnessError(
                f"{target.__name__}.__init__: argument {argument.name!r} needs a default of type bool, int, float or "
                "str, or declare it with parameters=(Parameter(...),)."
            )
        parameters.append(Parameter(argument.name, argument.default))
    return tuple(parameters)


def defaults(parameters: Iterable[Parameter]) -> dict[str, Value]:
    """Name to default value."""
    return {parameter.name: parameter.default for parameter in parameters}


def needs_of_values(parameters: Iterable[Parameter], values: Mapping[str, Value]) -> Need:
    """What the chosen values need in addition to what the component always needs."""
    needed = NOTHING
    for parameter in parameters:
        needed |= parameter.needs.get(values.get(parameter.name, parameter.default), NOTHING)
    return needed


def find(parameters: Iterable[Parameter], name: str, owner: str) -> Parameter:
    """The parameter of that name.

    Raises:
        HarnessError: There is none; the message suggests near names.
    """
    parameters = tuple(parameters)
    for parameter in parameters:
        if parameter.name == name:
            return parameter
    raise unknown_name(f"parameter of {owner}", name, [parameter.name for parameter in parameters])


def read_values(
    parameters: Iterable[Parameter], texts: Mapping[str, str], owner: str, prefix: str = ""
) -> dict[str, Value]:
    """The values of all parameters: what a user wrote, otherwise the defaults.

    Args:
        parameters: The parameters.
        texts: Name to text.
        owner: For the message about an unknown name, for example "executor local".
        prefix: What stands before the name in the message about a value.

    Raises:
        HarnessError: An unknown name, or a value that cannot be read.
    """
    values = defaults(parameters)
    for name, text in texts.items():
        values[name] = find(parameters, name, owner).read(text, f"{prefix}{name}")
    return values
