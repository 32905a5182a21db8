"""Where a class or function that lives in this process was written, and whether it still is what is written there.

Notebooks keep the text of their cells in :mod:`linecache`, Python's prompt does from 3.13 on. A class does not know its
file there; its methods do.
"""

from __future__ import annotations
import __future__

import ast
import inspect
import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from harness.errors import HarnessError
from harness.text import shown

Statement = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign
"""What defines a name: an assignment does where a function was written as ``name = lambda ...``."""

_NOT_SAID = object()


@dataclass(frozen=True)
class Definition:
    """One class or function as it is written.

    Attributes:
        name: Its name where it was written.
        node: Its statement.
        text: The statement, with its comments; it begins in the first column.
        namespace: The global names that its code sees.
        lazy_annotations: It was compiled with ``from __future__ import annotations``.
    """

    name: str
    node: Statement
    text: str
    namespace: Mapping[str, Any]
    lazy_annotations: bool


def words_for(value: object) -> str:
    """ "class MyHasher" or "function my_loss", harmless and not too long."""
    kind = "class" if isinstance(value, type) else "function"
    name = str(getattr(value, "__name__", type(value).__name__))
    return f"{kind} {name if name.isidentifier() and len(name) <= 60 else shown(name)}"


def function_behind(value: object) -> FunctionType | None:
    """The function that a name stands for, decorators that say what they wrap taken off; None if it is none."""
    value = value.__func__ if isinstance(value, staticmethod | classmethod) else value
    value = value.fget if isinstance(value, property) else value
    if isinstance(value, type) or not callable(value):
        return None
    try:
        behind = inspect.unwrap(value)
    except Exception:  # wrapped in itself, or an object that invents attributes
        return None
    return behind if isinstance(behind, FunctionType) else None


def definition_of(value: object) -> Definition:
    """Find how a class or function is written.

    Args:
        value: A class; or a function, or what a decorator made of one.

    Returns:
        The definition. Of a file that was edited since it was imported, what stands there now.

    Raises:
        HarnessError: Python cannot give its source; it was made inside a function; or it was changed after it was
            written, so that its source says something else.
    """
    words = words_for(value)
    function = None if isinstance(value, type) else function_behind(value)
    name = str(getattr(function or value, "__qualname__", ""))
    if "<locals>" in name:
        raise HarnessError(
            f"{words} was made inside a function, whose local variables it may hold: write it outside of all functions."
        )
    lines: list[str]
    node: Statement
    if isinstance(value, type):
        lines, node, namespace, lazy = _class(value)
    else:
        if function is None:
            raise _without_source(words)
        lines, node, namespace, lazy = _function(function, words)
        if function is not value and isinstance(node, ast.FunctionDef) and not node.decorator_list:
            raise HarnessError(f"{words} was wrapped after it was written: write that as a decorator above it.")
        _require_unchanged_defaults(node, function, namespace, words)
    text = _text(node, lines)
    written = node.targets[0].id if isinstance(node, ast.Assign) else node.name  # type: ignore[attr-defined]
    return Definition(written, node, text, namespace, lazy)


def _without_source(words: str, functions: Iterable[FunctionType] = ()) -> HarnessError:
    """The error for something whose source is nowhere, or no longer where its functions say."""
    edited = [
        file
        for function in functions
        if (file := function.__code__.co_filename).endswith(".py") and Path(file).is_file()
    ]
    if edited:
        return HarnessError(f"{words} is not to be found in {edited[0]}, which was edited since: import it again.")
    return HarnessError(
        f"Python cannot give the source of {words} (it was typed at a prompt, timed with %%time or made by a program): "
        "save it in a file and name the file."
    )


def _first_line(node: ast.stmt) -> int:
    """The line on which a statement begins, its decorators included, from 1."""
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])


def _text(node: Statement, lines: list[str]) -> str:
    if node.col_offset or isinstance(node, ast.Assign):
        return ast.unparse(node)
    return "".join(lines[_first_line(node) - 1 : node.end_lineno]).rstrip()


def _lines(function: FunctionType) -> list[str]:
    """The file or cell that holds a function; empty where Python does not have it."""
    try:
        return list(inspect.findsource(function)[0])
    except (OSError, TypeError, IndexError):
        return []


def _tree(lines: list[str]) -> ast.Module:
    """The parsed lines; an empty module for a file that is no Python any more."""
    try:
        return ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _lazy(code: CodeType) -> bool:
    return bool(code.co_flags & __future__.annotations.compiler_flag)


def _function(function: FunctionType, words: str) -> tuple[list[str], Statement, Mapping[str, Any], bool]:
    code, lines = function.__code__, _lines(function)
    for node in ast.walk(_tree(lines)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found = node.name == code.co_name and _first_line(node) == code.co_firstlineno
        else:
            found = (
                code.co_name == "<lambda>"
                and isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Lambda)
                and node.value.lineno == code.co_firstlineno
                and [type(target) for target in node.targets] == [ast.Name]
            )
        if found:
            return lines, node, function.__globals__, _lazy(code)  # type: ignore[return-value]
    raise _without_source(words, [function])


def _class(cls: type) -> tuple[list[str], ast.ClassDef, Mapping[str, Any], bool]:
    methods = [function for function in map(function_behind, vars(cls).values()) if function is not None]
    for function in methods:
        lines, line = _lines(function), function.__code__.co_firstlineno
        for node in _classes(_tree(lines), cls.__name__):
            if _first_line(node) <= line <= (node.end_lineno or 0) and function.__qualname__ == (
                f"{cls.__qualname__}.{function.__code__.co_name}"
            ):
                _require_unchanged(cls, node, function.__globals__, function.__code__.co_filename)
                return lines, node, function.__globals__, _lazy(function.__code__)
    own = [
        function
        for function in methods
        if function.__qualname__ == f"{cls.__qualname__}.{function.__name__}"
        and function.__module__ == cls.__module__
        and not (is_dataclass(cls) and function.__code__.co_filename == "<string>")
    ]
    if own:  # a cell that defines a class of this name was another version of it
        raise _without_source(words_for(cls), own)
    return _class_without_methods(cls)


def _class_without_methods(cls: type) -> tuple[list[str], ast.ClassDef, Mapping[str, Any], bool]:
    module = sys.modules.get(cls.__module__)
    found, refused = {}, None
    for text in _texts_of(module):
        for node in _classes(_tree(lines := text.splitlines(keepends=True)), cls.__name__):
            try:
                _require_unchanged(cls, node, vars(module), "")
            except HarnessError as error:
                refused = error
            else:
                found[ast.dump(node)] = lines, node
    if len(found) > 1:
        raise HarnessError(
            f"{words_for(cls)} has no methods and is written in several cells, and nothing says which one ran last: "
            "give it a method, or start the kernel anew."
        )
    if not found:
        raise refused or _without_source(words_for(cls))
    lines, node = next(iter(found.values()))
    lazy = vars(module).get("annotations") is __future__.annotations
    return lines, node, vars(module), lazy


def _classes(tree: ast.Module, name: str) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)


def _texts_of(module: object) -> Iterator[str]:
    """What a class without methods may be written in: the file of its module, or a cell."""
    file = getattr(module, "__file__", None)
    if file:
        linecache.checkcache(file)
        yield "".join(linecache.getlines(file))
    elif getattr(module, "__name__", "") == "__main__":
        for name in [name for name in linecache.cache if not Path(name).exists()]:
            yield "".join(linecache.getlines(name))


def _require_unchanged(cls: type, node: ast.ClassDef, namespace: Mapping[str, Any], file: str) -> None:
    """Refuse a class that got methods or values after its statement ran, which its source does not say."""
    private = f"_{cls.__name__.lstrip('_')}"
    written = {
        f"{private}{name}" if name.startswith("__") and not name.endswith("__") else name: statement
        for statement in node.body
        for name in _bound(statement)
    }
    visible = {name: value for name, value in namespace.items() if name not in written}
    words, there = words_for(cls), vars(cls)
    bases = {base.id: namespace[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in namespace}
    # Neither a metaclass, a decorator nor a base such as NamedTuple had a hand in it.
    plain = type(cls) is type and not node.decorator_list and all(isinstance(base, type) for base in bases.values())
    values = plain or is_dataclass(cls)
    annotated = [name for name, statement in written.items() if isinstance(statement, ast.AnnAssign)]
    for name in set(annotated) ^ set(there.get("__annotations__", annotated if values else ())):
        raise _changed(words, name)
    for name, base in bases.items():
        if isinstance(base, type) and not any(base is held for held in cls.__bases__):
            raise HarnessError(f"{words}: its base {name} was defined anew after it: run the cell of {words} again.")
    for name, statement in written.items():
        live = there.get(name)
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and not statement.decorator_list:
            if not isinstance(live, FunctionType) or live.__code__.co_firstlineno != _first_line(statement):
                raise _changed(words, name)
            if file and live.__code__.co_filename != file:
                raise _changed(words, name)
            _require_unchanged_defaults(statement, live, visible, f"{words}, {name}")
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            behind = function_behind(live)
            if behind is None or behind.__module__ != cls.__module__ or "<locals>" in behind.__qualname__:
                continue  # what a decorator made of it
            if behind.__qualname__ != f"{cls.__qualname__}.{statement.name}":
                raise _changed(words, name)
        elif values and isinstance(statement, ast.Assign | ast.AnnAssign) and _is_plain_target(statement):
            said = _said(statement.value, visible)
            if _differs(said, live):
                raise _changed(words, name)
    if plain:
        for name in set(there) - set(written):
            of_here = isinstance(there[name], FunctionType) and there[name].__module__ == cls.__module__
            if of_here or not name.startswith("_"):
                raise _changed(words, name)


def _changed(words: str, name: str) -> HarnessError:
    return HarnessError(
        f"{words} is not what its source says: {name!r} was changed after it was written, or its file was edited since "
        "it was imported; write the change inside it and run its cell, or import it, again."
    )


def _bound(statement: ast.stmt) -> set[str]:
    """Names that a statement of a class body binds, with those of the statements within it."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            names.add(node.name)
    return names


def _is_plain_target(statement: ast.Assign | ast.AnnAssign) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return all(isinstance(target, ast.Name) for target in targets)


def _said(expression: ast.expr | None, namespace: Mapping[str, Any]) -> Any:
    """The value of a constant, or what a global name means now; otherwise :data:`_NOT_SAID`."""
    if isinstance(expression, ast.Name):
        return namespace.get(expression.id, _NOT_SAID)
    try:
        return _NOT_SAID if expression is None else ast.literal_eval(expression)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _NOT_SAID


def _differs(said: Any, live: Any) -> bool:
    """Whether a number or text that is written is not what there is."""
    if not isinstance(said, bool | int | float | str) or said is live:
        return False
    return not isinstance(live, bool | int | float | str) or said != live


def _require_unchanged_defaults(
    node: Statement, function: FunctionType, namespace: Mapping[str, Any], words: str
) -> None:
    """Refuse defaults that come from a global name which means something else by now."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    live = dict(function.__kwdefaults__ or {})
    named = [
        *zip(node.args.defaults, function.__defaults__ or (), strict=False),
        *(
            (default, live.get(argument.arg, _NOT_SAID))
            for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        ),
    ]
    for default, value in named:
        said = _said(default, namespace)
        if _differs(said, value):
            raise HarnessError(
                f"{words}: a default value is {shown(value)}, and where it was written now stands {shown(said)}: run "
                "its cell, or import it, again."
            )
