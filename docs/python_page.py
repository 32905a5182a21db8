"""The made page of what ``import harness`` offers to researchers: signatures and options, from the functions."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.cells.options import Option

FUNCTIONS = ("run", "sweep", "load", "fit", "load_model", "evaluate", "list", "info")

INTRODUCTION = (
    "Signatures, arguments and options, from the functions and the table of options. "
    "[From Python](python-api.md) shows them at work."
)

OPTIONS_FOLLOW = (
    "Options, by name as on the command line; an *axis* takes a value or any iterable of values, and so does what "
    "has several."
)

ENTRY = re.compile(r"(\*{0,2}\w+(?:, \w+)*): (.*)")
ROLE = re.compile(r":\w+:`~?([^`]+)`")


def content(made: str, table: Callable[[list[dict[str, str]]], str]) -> str:
    """The page; ``made`` is the remark that it is made, ``table`` draws rows as Markdown."""
    import harness
    from harness.api.comparisons import Compared
    from harness.api.evaluating import Scores
    from harness.api.how_to_run import RUNNING_OPTIONS
    from harness.api.model import Model
    from harness.api.runs import RecordedRun, Runs
    from harness.api.tables import Tables
    from harness.cells.request import DECLARED

    of_sweeps = [replace(one, default="local") if one.name == "executor" else one for one in RUNNING_OPTIONS]
    more = {"run": (*DECLARED, *RUNNING_OPTIONS), "sweep": of_sweeps}
    parts = ["# Python reference", made, INTRODUCTION]
    for name in FUNCTIONS:
        function = getattr(harness, name)
        parts += [f"## harness.{name}", *_function(name, function, table)]
        if name in more:
            parts += [OPTIONS_FOLLOW, table(_rows(more[name], function))]
    for kind in (Runs, RecordedRun, Tables, Compared, Model, Scores):
        parts += [f"## {kind.__name__}", _docstring(kind)[0], table(list(_members(kind)))]
    return "\n\n".join(parts) + "\n"


def _function(name: str, function: Callable[..., Any], table: Callable[[list[dict[str, str]]], str]) -> Iterator[str]:
    """Signature, what it does, and what its arguments mean."""
    yield f"```python\n{_signature(name, function)}\n```"
    text, sections = _docstring(function)
    yield text
    own = _own(function)
    meanings = [(argument, meaning) for argument, meaning in sections["Args"] if argument in own]
    yield table([{"argument": f"`{argument}`", "meaning": meaning} for argument, meaning in meanings])
    for title in ("Returns", "Raises"):
        entries = [f"{f'`{kind}`: ' if kind else ''}{meaning}" for kind, meaning in sections.get(title, ())]
        if entries:
            yield f"{title}: {' '.join(entries)}"


def _own(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The arguments that a function names itself, without those of the table of options and what it refuses."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    parameters = inspect.signature(function).parameters
    return {name: parameters[name] for name in names}


def _signature(name: str, function: Callable[..., Any]) -> str:
    """As it would be written: one argument on each line."""
    own = _own(function)
    signature = inspect.signature(function)
    lines = []
    for one in own.values():
        if one.kind is one.KEYWORD_ONLY and "*," not in lines:
            lines.append("*,")
        default = "" if one.default is one.empty else f" = {_written(one.default)}"
        lines.append(f"{one.name}: {one.annotation}{default},")
    if set(signature.parameters) - set(own) - {"unknown"}:
        lines.append("**options,  # below")
    body = "".join(f"    {line}\n" for line in lines)
    return f"def {name}(\n{body}) -> {signature.return_annotation}: ..."


def _written(value: Any) -> str:
    """A default in the style of the house."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _rows(options: Iterable[Option], function: Callable[..., Any]) -> list[dict[str, str]]:
    """One row for each option that the function does not name itself."""
    return [
        {
            "argument": f"`{one.field if one.repeats else one.name}`",
            "type": "several " * one.repeats + one.read.__name__,
            "": "axis" if one.varies is not None else "",
            "default": _default(one),
            "meaning": one.meaning.partition("  [")[0],
        }
        for one in options
        if one.name not in _own(function)
    ]


def _default(one: Option) -> str:
    """What holds where an option is left out."""
    said = (one.usual or "").strip(" :") or one.meaning.partition("  [default: ")[2].rstrip("]")
    said = said or ("" if one.default in (None, (), "") else str(one.default))
    return f"`{said}`" if said and " " not in said else said


def _members(kind: type) -> Iterator[dict[str, str]]:
    """Attributes that the docstring names, public methods and properties, and what their docstrings say."""
    for name, meaning in _docstring(kind)[1].get("Attributes", ()):
        yield {"member": f"`{name}`", "meaning": meaning}
    for name, member in vars(kind).items():
        if name.startswith("_") or not isinstance(member, FunctionType | property | cached_property):
            continue
        text, sections = _docstring(member)
        words = f"{name}({', '.join(_arguments(member))})" if isinstance(member, FunctionType) else name
        said = " ".join([text, *(meaning for _, meaning in sections.get("Returns", ()))])
        yield {"member": f"`{words}`", "meaning": said}


def _arguments(method: Callable[..., Any]) -> list[str]:
    parameters = list(inspect.signature(method).parameters.values())[1:]
    return [one.name if one.default is one.empty else f"{one.name}={_written(one.default)}" for one in parameters]


def _docstring(what: Any) -> tuple[str, dict[str, list[tuple[str, str]]]]:
    """What a docstring says before its sections, and name and meaning of each entry of those.

    A section is a line such as ``Args:`` with indented lines below it; one that does not list names has one entry
    without a name.
    """
    text = ROLE.sub(r"`\1`", inspect.getdoc(what) or "").replace("``", "`")
    before, *rest = re.split(r"^(\w+):\n(?= )", text, flags=re.MULTILINE)
    sections: dict[str, list[tuple[str, str]]] = {}
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        entries: list[tuple[str, str]] = []
        for line in inspect.cleandoc(f"\n{body}").splitlines():
            entry = ENTRY.fullmatch(line) if title != "Returns" else None
            if entry:
                entries += [(name.strip(), entry[2]) for name in entry[1].split(",")]
            elif entries and line.startswith(" " * (title != "Returns")):
                entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}".strip())
            else:
                entries.append(("", line.strip()))
        sections[title] = entries
    return before.strip(), sections
