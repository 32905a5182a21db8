"""What every process of this environment can import, and what this one alone has: a notebook, a file beside it."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from types import FunctionType, ModuleType

PACKAGE = sys.modules[__name__.partition(".")[0]]
"""What plugins import from, :mod:`harness`; an import statement would be one of the rooms above this one, too."""

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def is_own(module_name: str | None) -> bool:
    """Whether a module is one of the user's that other processes do not find: a notebook, a file beside it."""
    module = sys.modules.get(module_name or "__main__")
    if module is None or module.__name__ == "__main__":
        return True
    file = getattr(module, "__file__", None)
    if file is None:  # written in C, or a package without a file; one made in memory has no spec either
        return getattr(module, "__spec__", None) is None
    top = module.__name__.partition(".")[0]
    if top in (PACKAGE.__name__, *sys.stdlib_module_names) or {"site-packages", "dist-packages"} & set(
        Path(file).parts
    ):
        return False
    return top not in _installed_packages()


@cache
def _installed_packages() -> frozenset[str]:
    return frozenset(metadata.packages_distributions())


def own_import(tree: ast.AST) -> str:
    """The first import statement that works in this process alone, such as ``import helpers``; "" for none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            return ast.unparse(node)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(_found_here_alone(name.partition(".")[0]) for name in names):
                return ast.unparse(node)
    return ""


def _found_here_alone(top: str) -> bool:
    if top not in sys.modules and top not in sys.stdlib_module_names:
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return False
        origin = spec.origin if spec else None
        if origin is None or {"site-packages", "dist-packages"} & set(Path(origin).parts):
            return False  # nowhere to be found: code that can do without tries it
        return top not in _installed_packages()
    return top in sys.modules and is_own(top)


def import_line(name: str, value: object) -> str:
    """The statement that imports a value in every process of this environment.

    Args:
        name: The name that it binds.
        value: A module, class, function or another thing that modules hold.

    Returns:
        ``from torch.nn import Linear as L``, say; "" where no module that others find holds it.
    """
    if isinstance(value, ModuleType):
        path = value.__name__
        if sys.modules.get(path) is not value or is_own(path):
            return ""
        return f"import {path}" if path == name else f"import {path} as {name}"
    if value is None or isinstance(value, bool | int | float | str | bytes | list | tuple | dict | set | frozenset):
        return ""
    for offered, home in PACKAGE._HOMES.items():
        if home.startswith(("harness.plugin.", "harness.errors")) and getattr(PACKAGE, offered) is value:
            return _from(PACKAGE.__name__, offered, name)
    module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    paths = [f"{module}.{qualified}"] if isinstance(module, str) and isinstance(qualified, str) else []
    if type(value).__module__ != "builtins" and not is_own(type(value).__module__) and not isinstance(value, type):
        with_dots = _repr(value)
        paths += [with_dots] if _DOTTED.fullmatch(with_dots) else []  # torch.float32
    for path in paths:
        for module_name, within in _splits(path):
            loaded = sys.modules[module_name]
            if not is_own(module_name) and "." not in within and getattr(loaded, within, None) is value:
                return _from(module_name, within, name)
    found = _home(value, {name, str(getattr(value, "__name__", name))})
    return _from(*found, name) if found else ""


def _from(module: str, attribute: str, name: str) -> str:
    return f"from {module} import {attribute}" + ("" if attribute == name else f" as {name}")


def _repr(value: object) -> str:
    try:
        return repr(value)[:200]
    except Exception:
        return ""


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """The ways to read a dotted path as a module that is loaded and a name in it."""
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:length]) in sys.modules:
            yield ".".join(parts[:length]), ".".join(parts[length:])


def _home(value: object, names: set[str]) -> tuple[str, str] | None:
    """A public module that holds a value which does not say where it is from, as ``torch.sigmoid`` does not."""
    if isinstance(value, FunctionType) and is_own(value.__module__):
        return None
    if isinstance(value, type) and is_own(value.__module__):
        return None
    found = [
        (module.count("."), module, name)
        for module, loaded in list(sys.modules.items())
        if isinstance(loaded, ModuleType) and not any(part.startswith("_") for part in module.split("."))
        for name in names
        if vars(loaded).get(name) is value and not is_own(module)
    ]
    return min(found)[1:] if found else None
