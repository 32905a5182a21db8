"""The command that repeats one cell, in both directions."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.cells.cell import CellRequest
from harness.cells.methods import DEFAULT_PRESET, MethodRequest
from harness.errors import HarnessError, unknown_name
from harness.quantities import comma_escaped, comma_single

PROGRAM = ("harness", "run")

BACKBONE_ROLES = ("image_backbone", "text_backbone")
"""What settings of backbones begin with, as opposed to those of the method."""

MAY_BE_PATHS = ("pretrained", "image_weights", "text_weights", "text_augment_data")
"""Options whose value is a file, a folder, or a name."""


def _path(text: str) -> Path:
    return Path(text)


@dataclass(frozen=True)
class CellOption:
    """An option of ``harness run`` that chooses cells.

    Attributes:
        name: The option without dashes, with underscores: "data_seed". It is the name of the field, too.
        read: From text to the value; raises ValueError.
        axis: Whether a comma list is a list of values.
        of_method: The field is one of :class:`~harness.cells.methods.MethodRequest`.
        unsaid: The value that the command leaves out, besides None.
    """

    name: str
    read: Callable[[str], Any] = str
    axis: bool = True
    of_method: bool = False
    unsaid: Any = None

    @property
    def flag(self) -> str:
        """As it is written: ``--data-seed``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_switch(self) -> bool:
        """Written without a value: ``--drop-duplicates``."""
        return self.read is bool

    def held(self, request: CellRequest) -> Any:
        """The value in a request."""
        if self.name == "method":
            return request.method.name
        return getattr(request.method if self.of_method else request, self.name)

    def value(self, request: CellRequest) -> Any:
        """The value in a request; None if the command leaves it out."""
        if self.name == "dataset" and request.features is not None:
            return None
        value = self.held(request)
        return None if value == self.unsaid else value

    def text(self, value: Any) -> str:
        """A value as it is written in a command that means the same from any folder."""
        if isinstance(value, Path):
            # Not resolved: the name of ready features is the name of the file, and a link has one of its own.
            return str(value.absolute())
        if self.name in MAY_BE_PATHS and Path(value).exists():
            return str(Path(value).absolute())
        if self.name == "dataset" and value.endswith(".toml"):
            return comma_escaped(str(Path(value).absolute()))
        return comma_escaped(str(value)) if self.axis else str(value)

    def parse(self, text: str) -> Any:
        """The inverse of :meth:`text`.

        Raises:
            ValueError: The text is no such value.
        """
        return self.read(comma_single(text) if self.axis else text)


OPTIONS = (
    CellOption("method", of_method=True),
    CellOption("hasher", of_method=True),
    CellOption("detector", of_method=True),
    CellOption("objective", of_method=True),
    CellOption("preset", of_method=True, unsaid=DEFAULT_PRESET),
    CellOption("epochs", int, axis=False, of_method=True),
    CellOption("dataset", unsaid="toy"),
    CellOption("features", _path, axis=False),
    CellOption("noise_plan", _path, axis=False),
    CellOption("data_root", _path, axis=False),
    CellOption("backbone"),
    CellOption("pretrained", axis=False),
    CellOption("image_backbone"),
    CellOption("image_weights", axis=False),
    CellOption("text_backbone"),
    CellOption("text_weights", axis=False),
    CellOption("image_recipe", unsaid="standard"),
    CellOption("image_views", int),
    CellOption("image_augment"),
    CellOption("text_views", int),
    CellOption("text_augment"),
    CellOption("text_augment_data", axis=False),
    CellOption("skip_broken", bool, axis=False, unsaid=False),
    CellOption("noise", float),
    CellOption("protocol"),
    CellOption("trusted", float),
    CellOption("bits", int),
    CellOption("seed", int),
    CellOption("data_seed", int),
    CellOption("split"),
    CellOption("validation", float, axis=False),
    CellOption("relevance", unsaid="label"),
    CellOption("drop_duplicates", bool, axis=False, unsaid=False),
    CellOption("standardise", unsaid="scalar"),
    CellOption("precision", unsaid="auto"),
    CellOption("limit", int, axis=False),
)
"""Every option of a cell in the order of the command, but for ``--set`` and ``--plugin``, which repeat."""

BY_NAME = {option.name: option for option in OPTIONS}

OF_METHOD = frozenset(option.name for option in OPTIONS if option.of_method)
"""Names of the options whose fields are those of :class:`~harness.cells.methods.MethodRequest`."""


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
            error = unknown_name("option", flag, [*known, "--set", "--plugin"])
            raise HarnessError(f"{command!r} is no command that repeats a cell: {error}")
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
    return _request(values, settings, tuple(plugins))


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


def _request(values: dict[str, Any], settings: dict[str, str], plugins: tuple[Path, ...]) -> CellRequest:
    of_backbones = settings_of_backbones(settings)
    method = MethodRequest(
        values.pop("method"), settings={key: text for key, text in settings.items() if key not in of_backbones}
    )
    method = replace(method, **{name: values.pop(name) for name in list(values) if name in OF_METHOD})
    return CellRequest(method=method, backbone_settings=of_backbones, plugins=plugins, **values)


def settings_of_backbones(settings: dict[str, str]) -> dict[str, str]:
    """Those values of ``--set`` that belong to a backbone."""
    return {key: text for key, text in settings.items() if key.partition(".")[0] in BACKBONE_ROLES}
