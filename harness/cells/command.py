"""The command that repeats one cell, in both directions."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from harness.cells.request import OPTIONS, CellRequest, MethodRequest, with_values
from harness.errors import HarnessError, unknown_name
from harness.quantities import comma_escaped, comma_single

PROGRAM = ("harness", "run")


def command_of(request: CellRequest) -> str:
    """A ``harness run`` line that a user can paste.

    Args:
        request: The point of the grid.

    Returns:
        The line; options that have their default value are left out, and paths are absolute.
    """
    words = [*PROGRAM]
    for option in OPTIONS:
        value = option.value(request)
        if value is not None:
            words += [option.flag] if option.is_switch else [option.flag, option.text(value)]
    for key, text in {**request.method.settings, **request.backbone_settings}.items():
        words += ["--set", f"{key}={comma_escaped(text)}"]
    for file in request.plugins:
        words += ["--plugin", str(file.absolute())]
    return shlex.join(words)


def request_of(command: str) -> CellRequest:
    """The cell that a command repeats: the inverse of :func:`command_of`.

    Args:
        command: A line as :func:`command_of` writes it.

    Returns:
        The request.

    Raises:
        HarnessError: The line is none that repeats one cell; the message quotes what is wrong.
    """
    if not command.strip():
        raise HarnessError("there is no command that repeats this run: its codes came from another program.")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise HarnessError(f"{command!r} is no command that repeats a cell: {error}.") from error
    if tuple(words[:2]) != PROGRAM:
        raise HarnessError(f"{command!r} is no command that repeats a cell: it does not begin with `harness run`.")
    known = {option.flag: option for option in OPTIONS}
    values: dict[str, Any] = {}
    settings: dict[str, str] = {}
    plugins: list[Path] = []
    rest = iter(words[2:])
    for flag in rest:
        if flag not in known and flag not in ("--set", "--plugin"):
            unknown = unknown_name("option", flag, [*known, "--set", "--plugin"])
            raise HarnessError(f"{command!r} is no command that repeats a cell: {unknown}")
        text = "" if flag in known and known[flag].is_switch else next(rest, None)
        if text is None:
            raise HarnessError(f"{command!r} is no command that repeats a cell: {flag} has no value.")
        try:
            if flag == "--plugin":
                plugins.append(Path(text))
            elif flag == "--set":
                key, value = _setting(text)
                _once(settings, key, value)
            else:
                _once(values, known[flag].name, known[flag].is_switch or known[flag].parse(text))
        except ValueError:
            raise HarnessError(f"{command!r} repeats no single cell: look at {flag} {text}.") from None
    if "method" not in values:
        raise HarnessError(f"{command!r} is no command that repeats a cell: it names no --method.")
    return with_values(CellRequest(MethodRequest(""), plugins=tuple(plugins)), values, settings)


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(text)
    return key, comma_single(value)


def _once(values: dict[str, Any], name: str, value: Any) -> None:
    """Store a value; a second one would make an axis."""
    if name in values:
        raise ValueError(name)
    values[name] = value
