"""A module that holds some classes and functions of this process, and everything that their code refers to.

What was written in a notebook, at a prompt or in a loose module beside it is copied; what every process of this
environment can import is imported; numbers, texts and collections of them are written out as they are now.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, Flag
from types import FunctionType, ModuleType
from typing import Any

from harness.errors import HarnessError, text_of
from harness.plugin.definitions import Definition, definition_of, function_behind, words_for
from harness.plugin.importable import PACKAGE, import_line, is_own, own_import
from harness.text import shown

LONGEST_VALUE = 100_000
"""Characters of a constant that is written out; larger tables belong in a file."""

_OF_EVERY_MODULE = {"__name__", "__doc__", "__file__", "__spec__", "__package__", "__loader__", "__builtins__"}
_COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")


class _CannotBeWrittenError(Exception):
    """A value is of a kind that cannot stand in a file; the text says which."""


@dataclass(frozen=True)
class _Part:
    """One definition of the module.

    Attributes:
        text: Its source.
        before: Names that must be there when its statement runs: bases, decorators, default values.
        later: Names that are needed when its functions run.
    """

    text: str
    before: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()


def self_contained(values: Iterable[object], more: str = "") -> str:
    """Write a module that defines some classes and functions.

    Args:
        values: Classes and functions.
        more: Statements at its end, which may use their names and ``harness``.

    Returns:
        The module. The same source gives the same text, in whatever order the cells of a notebook ran.

    Raises:
        HarnessError: Python cannot give the source of one, or its code refers to a name that is not defined or whose
            value cannot be written into a file.
    """
    copy = _Copy()
    if more:
        copy.reserve("harness", "import harness")
        for name in re.findall(r"^def (\w+)", more, re.MULTILINE):
            copy.reserve(name, "")
    for value in values:
        copy.root = words_for(value)
        copy.define(definition_of(value))
    return copy.text(more)


class _Copy:
    """The module while it is gathered."""

    def __init__(self) -> None:
        self.root = ""
        self.lazy_annotations = False
        self._imports: dict[str, str] = {}
        self._submodules: set[str] = set()
        self._parts: dict[str, _Part] = {}
        self._values: dict[str, object] = {}

    def reserve(self, name: str, line: str) -> None:
        """Keep a name for what stands at the end of the module."""
        self._values[name] = PACKAGE if name == PACKAGE.__name__ else self
        if line:
            self._imports[name] = line

    def text(self, more: str) -> str:
        """The module: imports, definitions in an order in which each finds what it needs, and ``more``."""
        lines = ["from __future__ import annotations"] if self.lazy_annotations else []
        modules = [line for line in {*self._imports.values(), *self._submodules} if line.startswith("import ")]
        taken: dict[str, list[str]] = {}
        for line in set(self._imports.values()) - set(modules):
            home, _, name = line.partition(" import ")
            taken.setdefault(home, []).append(name)
        imports = [*sorted(modules), *(f"{home} import {', '.join(sorted(taken[home]))}" for home in sorted(taken))]
        placed = [self._parts[name].text for name in self._in_order()]
        blocks = ["\n".join(lines), "\n".join(imports), *placed, more.strip()]
        return "\n\n\n".join(block for block in blocks if block) + "\n"

    def _in_order(self) -> list[str]:
        placed: list[str] = []
        begun: set[str] = set()

        def place(name: str) -> None:
            if name in begun or name not in self._parts:
                return
            begun.add(name)
            before = sorted(self._parts[name].before)
            for needed in before:
                place(needed)
            # What is needed may be called at once, as decorators are: what its functions use comes first, if it can.
            waiting = begun - set(placed)
            for other in sorted(self._reached(before, lambda part: part.before | part.later)):
                if not waiting & self._reached([other], lambda part: part.before):
                    place(other)
            placed.append(name)

        for name in sorted(self._parts):
            place(name)
        return placed

    def _reached(self, names: Iterable[str], needs: Callable[[_Part], frozenset[str]]) -> set[str]:
        reached: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in reached and name in self._parts:
                reached.add(name)
                waiting.extend(needs(self._parts[name]))
        return reached

    def define(self, definition: Definition) -> None:
        """Take in a definition, and what its code refers to."""
        if not self._is_new(definition.name, definition.text):
            return
        self.lazy_annotations |= definition.lazy_annotations
        words = _words_for(definition)
        if alone := own_import(definition.node):
            raise self._refusal(
                words, f"holds `{alone}`, and other processes do not find that module: import it outside of all "
                "functions as `from MODULE import NAME`, which is copied, or save all in one file and name the file"
            )  # fmt: skip
        before, later, optional = _names(definition)
        for name in sorted(before | later | optional):
            self._take(name, definition.namespace, words, optional=name not in before | later)
        self._import_submodules(definition)
        self._parts[definition.name] = _Part(definition.text, frozenset(before | optional), frozenset(later))

    def _is_new(self, name: str, value: object) -> bool:
        """Whether a name has no meaning yet.

        Raises:
            HarnessError: It has another one.
        """
        if name not in self._values:
            self._values[name] = value
            return True
        known = self._values[name]
        if known is not value and not (isinstance(value, str) and isinstance(known, str) and known == value):
            raise HarnessError(f"{self.root}: {name!r} would mean two things in one file: rename one of them.")
        return False

    def _refusal(self, words: str, what: str) -> HarnessError:
        return HarnessError(f"{words} {what}." if words == self.root else f"{self.root}: {words} {what}.")

    def _take(self, name: str, namespace: Mapping[str, Any], words: str, *, optional: bool) -> None:
        """Take in what a global name means."""
        if name in namespace and not _is_builtin_of_ipython(name, namespace[name]):
            value = namespace[name]
        elif name in _OF_EVERY_MODULE or optional or _is_builtin(name):
            return
        elif hasattr(builtins, name):
            value = getattr(builtins, name)
        else:
            raise self._refusal(words, f"refers to {name!r}, which is not defined: run what defines or imports it")
        try:
            self._bind(name, value, words)
        except _CannotBeWrittenError as reason:
            if not optional:
                raise self._refusal(
                    words, f"refers to {name!r}, {reason}, which cannot be written into a file: make it inside the "
                    "class, pass a number or text as an argument of __init__ with a default, or save all in a file "
                    "and name the file"
                ) from None  # fmt: skip

    def _bind(self, name: str, value: object, words: str) -> None:
        if isinstance(value, ModuleType) and is_own(value.__name__):
            raise self._refusal(
                words, f"refers to the module {name!r}, which other processes do not find: write `from "
                f"{value.__name__} import ...` for what it needs, which is copied, or save all in one file and name "
                "the file"
            )  # fmt: skip
        if line := import_line(name, value):
            if self._is_new(name, value):
                self._imports[name] = line
        elif _is_definition(value):
            try:
                definition = definition_of(value)
            except HarnessError as error:
                raise self._refusal(words, f"refers to {name!r}: {text_of(error).rstrip('.')}") from None
            self.define(definition)
            if definition.name != name:
                self._assign(name, definition.name, {definition.name})
        else:
            needs: set[str] = set()
            try:
                text = self._expression(value, needs, words)
            except RecursionError:
                raise _CannotBeWrittenError(f"a {type(value).__name__} that holds itself") from None
            if len(text) > LONGEST_VALUE:
                raise _CannotBeWrittenError(f"a {type(value).__name__} of {len(text):,} characters")
            self._assign(name, text, needs)

    def _assign(self, name: str, text: str, needs: Iterable[str]) -> None:
        text = f"{name} = {text}"
        if self._is_new(name, text):
            self._parts[name] = _Part(text, frozenset(needs))

    def _expression(self, value: object, needs: set[str], words: str) -> str:
        """A value as Python would write it; names that it takes are bound and added to ``needs``."""

        def written(part: object) -> str:
            return self._expression(part, needs, words)

        kind = type(value)
        if value is None or kind in (bool, int, str, bytes):
            return repr(value)
        if kind is float:
            text = repr(value)
            return text if text[-1].isdigit() else f'float("{text}")'
        if isinstance(value, list | tuple | set | frozenset) and kind in (list, tuple, set, frozenset):
            parts = [written(part) for part in value]
            if kind in (list, tuple):
                inside = ", ".join(parts) + ("," if kind is tuple and len(parts) == 1 else "")
                return f"[{inside}]" if kind is list else f"({inside})"
            inside = ", ".join(sorted(parts))  # the order of sets differs between processes
            return f"{kind.__name__}([{inside}])"
        if isinstance(value, dict) and kind is dict:
            return "{" + ", ".join(f"{written(key)}: {written(part)}" for key, part in value.items()) + "}"
        if isinstance(value, Enum) and (isinstance(value, Flag) or value.name):
            members = list(value) if isinstance(value, Flag) else [value]
            if not members:
                return f"{written(kind)}(0)"
            return " | ".join(f"{written(kind)}.{member.name}" for member in members)
        if is_dataclass(kind) and kind.__module__.partition(".")[0] == "harness":
            given = [f"{part.name}={written(getattr(value, part.name))}" for part in fields(kind) if part.init]
            return f"{written(kind)}({', '.join(given)})"
        name = str(getattr(value, "__name__", "")).rpartition(".")[2]
        if name.isidentifier() and (import_line(name, value) or _is_definition(value)):
            self._bind(name, value, words)
            needs.add(name)
            return name
        raise _CannotBeWrittenError(f"a value of type {shown(kind.__name__).strip(chr(39))}")

    def _import_submodules(self, definition: Definition) -> None:
        """``import sklearn.decomposition`` binds ``sklearn`` alone: what is used below it must be imported, too."""
        for node in ast.walk(definition.node):
            path: list[str] = []
            while isinstance(node, ast.Attribute):
                path.insert(0, node.attr)
                node = node.value
            module = definition.namespace.get(node.id) if isinstance(node, ast.Name) else None
            if not (isinstance(module, ModuleType) and isinstance(node, ast.Name) and module.__name__ == node.id):
                continue
            for attribute in path:
                below = _attribute(module, attribute)
                if not (isinstance(below, ModuleType) and below.__name__ == f"{module.__name__}.{attribute}"):
                    break
                module = below
            if "." in module.__name__ and node.id in self._imports:
                self._submodules.add(f"import {module.__name__}")


def _attribute(module: ModuleType, name: str) -> object:
    """What a module holds; it may have to be imported for that."""
    try:
        return getattr(module, name, None)
    except Exception:
        return None


def _words_for(definition: Definition) -> str:
    """ "class MyHasher" of a definition."""
    return f"{'class' if isinstance(definition.node, ast.ClassDef) else 'function'} {definition.name}"


def _is_definition(value: object) -> bool:
    """Whether a value is a class or function whose source may be copied."""
    behind = value if isinstance(value, type) else function_behind(value)
    return isinstance(behind, type | FunctionType) and is_own(behind.__module__)


def _is_builtin(name: str) -> bool:
    module = getattr(getattr(builtins, name, None), "__module__", "builtins")
    return hasattr(builtins, name) and module in (None, "builtins", "io", "_io", "_sitebuiltins")


def _is_builtin_of_ipython(name: str, value: object) -> bool:
    """IPython puts an ``open`` of its own into the names of a notebook."""
    written_in = value.__globals__.get("__name__") if isinstance(value, FunctionType) else ""
    return _is_builtin(name) and str(written_in).startswith("IPython.")


class _WithoutAnnotations(ast.NodeTransformer):
    """Annotations out of a tree, and gathered."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def _gather(self, node: ast.expr) -> ast.expr:
        self.names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return ast.copy_location(ast.Constant(None), node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = self._gather(node.annotation) if node.annotation else None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = self._gather(node.annotation)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = self._gather(node.returns) if node.returns else None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef


def _names(definition: Definition) -> tuple[set[str], set[str], set[str]]:
    """Global names in a definition: needed when its statement runs, when its functions run, and perhaps.

    Annotations that Python does not evaluate come last, and names that a class body both reads and sets.
    """
    annotations = _WithoutAnnotations()
    tree = annotations.visit(ast.parse(definition.text))
    before: set[str] = set()
    later: set[str] = set()
    perhaps: set[str] = set()

    def look(table: symtable.SymbolTable, inside: bool) -> None:
        inside = inside or (table.get_type() == "function" and table.get_name() not in _COMPREHENSIONS)
        for symbol in table.get_symbols():
            top = table.get_type() == "module"
            if symbol.is_referenced() and (symbol.is_global() or (top and not symbol.is_assigned())):
                (later if inside else before).add(symbol.get_name())
            elif table.get_type() == "class" and symbol.is_referenced() and symbol.is_local():
                perhaps.add(symbol.get_name())
        for child in table.get_children():
            look(child, inside)

    look(symtable.symtable(ast.unparse(tree), "source", "exec"), False)
    for names in (before, later):
        names.discard(definition.name)
    if definition.lazy_annotations:
        perhaps |= annotations.names
    else:
        before |= annotations.names & set(definition.namespace)
    perhaps = {name for name in perhaps if name in definition.namespace} - before - later - {definition.name}
    return before - {definition.name}, later, perhaps
