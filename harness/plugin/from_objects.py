"""Plugin files of what lives in this process: a class of a notebook cell, an imported module.

Everything else knows plugins as files alone: workers load them in processes of their own, the command in a record
names them, and their source is part of the hash of a cell. So what was given from Python becomes a file, too.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from types import FunctionType, ModuleType

from harness.errors import HarnessError
from harness.files.paths import plain_name
from harness.files.whole import read_text_file, write_whole
from harness.plugin.definitions import function_behind, words_for
from harness.plugin.importable import own_import
from harness.plugin.loading import ENTRY_POINT_GROUP
from harness.plugin.self_contained import self_contained
from harness.text import shown

EPOCHS = 50
"""Length of the one phase of a learner whose class has no attribute ``phases``."""

SAID_OF_HASHERS = ("needs", "offers", "phases", "uses_weights", "precisions", "paper")
SAID_OF_OTHERS = ("needs", "precisions", "paper")
"""Class attributes that are handed to ``register`` under the same name."""

HEADER = """\
# Written by harness from what was given to plugins=[...] in a notebook or an interactive session.
# It is a plugin file like any other: harness run --plugin THIS_FILE.py --method NAME

"""


def plugin_files(plugins: object, folder: Path) -> tuple[Path, ...]:
    """Make plugin files of what was given from Python.

    Args:
        plugins: One of the following, or several:

            - a path, as for ``--plugin``;
            - an imported module: its file counts, also where it was edited and not imported again;
            - the module of a notebook or prompt, ``sys.modules["__main__"]``: its functions decorated with
              ``@hookimpl``;
            - a function decorated with ``@hookimpl``;
            - a class of a hasher, detector or objective. It is registered under its name in kebab case, ``MyHasher``
              as ``my-hasher``, or under its class attribute ``name``; a hasher as a method, too. A hasher with
              ``step`` trains in one phase of :data:`EPOCHS` epochs, or in its class attribute ``phases``. The class
              attributes ``needs``, ``offers``, ``uses_weights``, ``precisions`` and ``paper`` mean what the arguments
              of ``register`` mean. Parameters are the keyword arguments of its ``__init__``.

        folder: Where the source of classes and functions is written, with everything that it refers to by a global
            name: what was written in a notebook, at a prompt or in a loose module is copied, what is installed is
            imported, and values are those of now. It is made if it is missing.

    Returns:
        The files, one for each entry, each once. The same source is the same file.

    Raises:
        HarnessError: An entry is nothing of this, a class lacks a method, Python cannot give the source, something
            that it refers to cannot be written into a file, or the folder cannot be written.
    """
    one = isinstance(plugins, str | os.PathLike | ModuleType | type) or callable(plugins)
    if not one and not isinstance(plugins, Iterable):
        raise _no_plugin(plugins)
    entries = [plugins] if one else list(plugins)  # type: ignore[call-overload]  # an Iterable, as was asked above
    return tuple(dict.fromkeys(_file_of(entry, folder) for entry in entries))


def _file_of(entry: object, folder: Path) -> Path:
    if isinstance(entry, str | os.PathLike):
        return Path(os.fsdecode(entry)).expanduser()
    if isinstance(entry, ModuleType):
        return _file_of_module(entry, folder)
    if isinstance(entry, type):
        return _write(folder, entry.__name__, self_contained([entry], _registration(entry)))
    function = function_behind(entry)
    if function is None:
        raise _no_plugin(entry)
    if not hasattr(function, "harness_impl"):
        raise HarnessError(
            f"{words_for(entry)} is no hook: decorate functions named register_hashers, register_methods and "
            "so on with @hookimpl, or give the class itself."
        )
    return _write(folder, function.__name__, self_contained([function]))


def _no_plugin(entry: object) -> HarnessError:
    hint = ": give the class itself, without ()" if hasattr(type(entry), "fit") else ""
    return HarnessError(
        f"plugins: an object of type {shown(type(entry).__name__)[1:-1]} is none of a path, a module, a class and a "
        f"function decorated with @hookimpl{hint}."
    )


def _file_of_module(module: ModuleType, folder: Path) -> Path:
    """The file of a module, or a new one with the hooks of one that has none.

    The script that runs has a file, which would run once more if it were loaded.
    """
    file = getattr(module, "__file__", None)
    if module.__name__ == "__main__" or not str(file).endswith(".py"):
        hooks = {
            value.__name__: value
            for value in vars(module).values()
            if isinstance(value, FunctionType) and hasattr(value, "harness_impl")
        }
        if not hooks:
            raise HarnessError(
                f"module {shown(module.__name__)} has no function decorated with @hookimpl: give the class "
                "itself, plugins=[MyHasher]."
            )
        name = "notebook" if module.__name__ == "__main__" else module.__name__
        return _write(folder, name, self_contained(hooks[hook] for hook in sorted(hooks)))
    path = Path(str(file))
    if any(module.__name__ == point.module for point in metadata.entry_points(group=ENTRY_POINT_GROUP)):
        return path  # it is loaded already, by its own name
    text = read_text_file(path, f"module {module.__name__}, {path}")
    try:
        alone = own_import(ast.parse(text))
    except (SyntaxError, ValueError):
        return path  # loading it says what is wrong, and where
    if alone and (alone.startswith("from .") or "sys.path" not in text):
        raise HarnessError(
            f"module {module.__name__} holds `{alone}`, which a plugin file cannot import in another process: "
            "give the class itself, whose source is copied with what it needs, or install the package with an entry "
            f"point of the group {ENTRY_POINT_GROUP}."
        )
    return path


def _write(folder: Path, name: str, source: str) -> Path:
    """Write a file named after what is in it, unless it is there."""
    content = (HEADER + source).encode()
    safe = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-_")[:60] or "plugin"
    digest = hashlib.sha256(content).hexdigest()[:12]
    file = folder / f"{plain_name(f'{safe}-{digest}', 'plugins')}.py"
    try:
        if file.is_file() and not file.is_symlink() and file.read_bytes() == content:
            return file
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"plugins: {folder} cannot be written: {error.strerror or error}.") from error
    write_whole(file, "plugins:", lambda opened: opened.write(content))
    return file


def _registration(cls: type) -> str:
    """The hooks that register a class."""
    kind = _kind(cls)
    name, plural = _name(cls), f"{kind}s"
    said = SAID_OF_HASHERS if kind == "hasher" else SAID_OF_OTHERS
    facts = {fact: f"{cls.__name__}.{fact}" for fact in said if _is_said(cls, fact)}
    if kind == "hasher" and _method(cls, "step"):
        losses = " | harness.Need.PAIR_LOSSES" if _method(cls, "pair_losses") else ""
        facts.setdefault("offers", f"harness.Need.EPOCHS{losses}")
        facts.setdefault("phases", f'(harness.Phase("training", {EPOCHS}),)')
    elif kind == "detector" and _method(cls, "observe"):
        facts.setdefault("needs", "harness.Need.EPOCHS")
    summary = f'({cls.__name__}.__doc__ or "").strip().partition("\\n")[0] or "a {kind} of a notebook"'
    arguments = "".join(f",\n        {fact}={value}" for fact, value in {"summary": summary, **facts}.items())
    text = f"""
@harness.hookimpl
def register_{plural}(register):
    register(
        {name!r}, {cls.__name__}{arguments},
    )
"""
    if kind == "hasher":
        text += f"""

@harness.hookimpl
def register_methods(register):
    register({name!r}, harness.Recipe(hasher={name!r}), summary={summary})
"""
    return text


def _kind(cls: type) -> str:
    """What a class is, by its methods.

    Raises:
        HarnessError: It is nothing that can be registered by itself, or lacks a method.
    """
    words = f"{words_for(cls)}"
    encodes = [name for name in ("encode_image", "encode_text") if _method(cls, name)]
    learns = [name for name in ("begin", "step") if _method(cls, name)]
    if encodes or learns or len(_arguments(cls, "fit")) == 3:
        if len(encodes) < 2:
            missing = "encode_image" if "encode_image" not in encodes else "encode_text"
            side = missing.removeprefix("encode_")
            raise HarnessError(
                f"{words} has no {missing}: a hasher needs {missing}(self, {side}), which takes (m, d_{side}) features "
                "and returns (m, n_bits) real numbers; a bit is 1 where the number is above 0."
            )
        if len(learns) == 1 or not (learns or _method(cls, "fit")):
            raise HarnessError(
                f"{words} has no {_missing_to_learn(learns)}: a hasher needs fit(self, pairs, trust, run), or, to "
                "train in epochs, begin(self, pairs, phases, run) and step(self, batch, trust), which returns the loss."
            )
        return "hasher"
    if _method(cls, "fit"):
        return "detector"
    if len(_arguments(cls, "__call__")) == 3:
        return "objective"
    raise HarnessError(
        f"{words} is no hasher (fit, or begin and step; encode_image and encode_text), no detector (fit(self, pairs, "
        "run)) and no objective (__call__(self, z_image, z_text, trust)): give functions decorated with @hookimpl for "
        "anything else."
    )


def _missing_to_learn(learns: list[str]) -> str:
    return "fit" if not learns else "step" if learns == ["begin"] else "begin"


def _static(cls: type, name: str) -> object:
    """An attribute as a class or one of its bases holds it; None if none does. Those of ``type`` do not count."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def _method(cls: type, name: str) -> bool:
    return callable(held := _static(cls, name)) or isinstance(held, staticmethod | classmethod)


def _arguments(cls: type, name: str) -> list[str]:
    """Names of the arguments that a method must be given beside ``self``."""
    function = function_behind(_static(cls, name))
    if function is None:
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    given = [argument for argument in inspect.signature(function).parameters.values() if argument.kind in kinds]
    return [argument.name for argument in given[1:] if argument.default is argument.empty]


def _is_said(cls: type, fact: str) -> bool:
    """Whether a class attribute says a fact; a method or property of that name does not."""
    held = _static(cls, fact)
    return held is not None and not callable(held) and not hasattr(type(held), "__get__")


def _name(cls: type) -> str:
    """What a class is registered as.

    Raises:
        HarnessError: It is no plain name.
    """
    said = _static(cls, "name")
    if isinstance(said, str):
        return plain_name(str.__str__(said), f"class {cls.__name__}: attribute name")
    spelt = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).replace("_", "-").lower()
    spelt = re.sub(r"-+", "-", spelt).strip("-")
    return plain_name(spelt, f"class {shown(cls.__name__)[1:-1]}, whose attribute `name` may say another")
