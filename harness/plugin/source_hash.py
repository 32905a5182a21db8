"""Hashing what code means: the syntax tree without comments and docstrings of the files that define a component.

An edited plugin gets another hash, so it is run again instead of being shown its old number; a new comment does not.
Where modules of the core live counts for nothing: imports of the core are left out of the tree, but for those of the
building blocks of hashers, which count as if they were the plugin's own.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import MappingProxyType

from harness.plugin.declarations import Component

SHARED = "harness.training.building_blocks"
"""The one package of the core that decides what a component computes, as if its modules were the plugin's own."""

LOOSE_PREFIX = "harness_loose_"
"""Module names of loose plugin files begin with this, followed by the file's name and a hash of its path."""


@lru_cache(maxsize=512)
def _tree(path: Path, modified: int) -> ast.Module:
    """The parsed file; ``modified`` makes a changed file a new entry."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _parse(path: Path) -> ast.Module:
    return _tree(path, path.stat().st_mtime_ns)


def hash_of_file(path: Path) -> str:
    """Hash of one file's syntax tree without docstrings.

    Raises:
        SyntaxError: The file is no Python.
        OSError: It cannot be read.
    """
    return _hash_of_tree(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=512)
def _hash_of_tree(path: Path, modified: int) -> str:
    copied = ast.parse(ast.unparse(_tree(path, modified)))
    tree = _DropWhatMeansNothing().visit(copied)
    return hashlib.sha256(ast.dump(tree, annotate_fields=False).encode()).hexdigest()[:16]


class _DropWhatMeansNothing(ast.NodeTransformer):
    """Takes docstrings out of a tree, and imports of the core."""

    def _strip(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = node.body  # type: ignore[attr-defined]
        if (
            body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _strip

    def visit_Import(self, node: ast.Import) -> ast.Import | None:
        node.names = [alias for alias in node.names if not _of_the_core(alias.name)]
        return node if node.names else None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | None:
        return None if not node.level and _of_the_core(node.module or "") else node


def _of_the_core(module: str) -> bool:
    """Whether a module is one of the core that may move without making a difference."""
    return module.partition(".")[0] == "harness" and not (module == SHARED or module.startswith(f"{SHARED}."))


def hash_of_component(
    component: Component, packages: Iterable[str], same_results: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Hash of the file that defines a component and of all files of plugin packages that it imports, directly or not.

    Args:
        component: The component.
        packages: Top-level packages that hold plugins; of imports from elsewhere only those of the shared building
            blocks of hashers are followed.
        same_results: Hash of code now to the hash of earlier code with exactly the same results.

    Returns:
        16 hexadecimal digits; "unknown" for a component made in memory, which has no file. Where ``same_results`` has
        it, the hash of the earlier code.
    """
    roots = set(packages)
    start = component.module_name
    if start is None:
        return "unknown"
    folder = component.file.parent if component.file is not None and start.startswith(LOOSE_PREFIX) else None
    digests: dict[str, str] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        path = _beside(folder, name) or _path_of(name) or (component.file if name == start else None)
        if name in digests or path is None:
            continue
        digests[name] = hash_of_file(path)
        imports = _imports(_parse(path), name, path)
        waiting.extend(
            imported
            for imported in imports
            if imported.partition(".")[0] in roots or imported.startswith(SHARED) or _beside(folder, imported)
        )
    if not digests:
        return "unknown"
    # A loose file's module name holds a hash of its path, which must not make a difference.
    parts = [
        f"{'file' if name.startswith(LOOSE_PREFIX) else name}={digest}" for name, digest in sorted(digests.items())
    ]
    digest = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
    return same_results.get(digest, digest)


def _beside(folder: Path | None, module: str) -> Path | None:
    """A module that lies in the folder of a loose plugin, which may have put that folder on sys.path."""
    if folder is None:
        return None
    place = folder.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def _path_of(module: str) -> Path | None:
    """The file of a module, which is not imported, and neither are the packages above it."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        spec = _spec_of(module)
        file = spec.origin if spec else None
    return Path(file) if file and file.endswith(".py") else None


def _spec_of(module: str) -> ModuleSpec | None:
    """Where a module lies. importlib's own search would import what stands before the last dot: for ``a.b``, which may
    be the function ``b`` of a module that takes torch, all of that.
    """
    above = module.rpartition(".")[0]
    try:
        if not above:
            return importlib.util.find_spec(module)
        if above in sys.modules:
            places = getattr(sys.modules[above], "__path__", None)
        else:
            spec = _spec_of(above)
            places = spec.submodule_search_locations if spec else None
        return None if places is None else PathFinder.find_spec(module, list(places))
    except (ImportError, ValueError, AttributeError):
        return None


def _imports(tree: ast.Module, module: str, path: Path) -> list[str]:
    """Modules that a tree imports, absolute names; for ``from a import b`` both ``a`` and ``a.b``."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, *([base] if base else [])])
            names.append(base)
            names.extend(f"{base}.{alias.name}" for alias in node.names)
    return names
