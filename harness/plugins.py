"""Finding plugins, one by one, and the registry of what they register.

pluggy's own ``load_setuptools_entrypoints`` stops at the first plugin that fails; here each is loaded, validated and
asked to register on its own, so that a broken one is reported and the others work on.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from harness import hookspecs
from harness.declarations import (
    BOTH,
    STANDARD,
    BackboneDeclaration,
    Component,
    DatasetDeclaration,
    Declaration,
    HasherDeclaration,
    MethodDeclaration,
    MetricDeclaration,
    ProtocolDeclaration,
)
from harness.errors import HarnessError, unknown_name
from harness.precision import FP32, PRECISIONS
from harness.source_hash import LOOSE_PREFIX

ENTRY_POINT_GROUP = "harness.plugins"
OWN_DISTRIBUTION = "noisy-hashing-harness"

KINDS = {
    "method": "methods",
    "hasher": "hashers",
    "detector": "detectors",
    "objective": "objectives",
    "backbone": "backbones",
    "dataset": "datasets",
    "reader": "readers",
    "metric": "metrics",
    "protocol": "protocols",
    "executor": "executors",
    "tracker": "trackers",
}
"""Singular to plural of everything that can be registered."""


@dataclass(frozen=True)
class PluginState:
    """What became of one plugin.

    Attributes:
        name: Entry point name, or file stem.
        origin: Where it was found: "distribution version", or the path of a file.
        file: Its file, where known.
        error: One sentence if it failed, otherwise "".
    """

    name: str
    origin: str
    file: Path | None
    error: str = ""


class Registry:
    """Everything that the loaded plugins registered, by kind and name."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Declaration]] = {kind: {} for kind in KINDS}
        self.plugins: list[PluginState] = []

    def all(self, kind: str) -> list[Declaration]:
        """The declarations of a kind ("hasher"), sorted by name."""
        return [self._found[kind][name] for name in sorted(self._found[kind])]

    def names(self, kind: str) -> list[str]:
        """The names registered for a kind, sorted."""
        return sorted(self._found[kind])

    def get(self, kind: str, name: str) -> Any:
        """The declaration of that kind and name.

        Raises:
            HarnessError: There is none; near names are suggested, and plugins that failed to load are named.
        """
        if name in self._found[kind]:
            return self._found[kind][name]
        broken = [state for state in self.plugins if state.error]
        remark = ""
        if broken:
            listed = "; ".join(f"{state.name} ({state.error.rstrip('.')})" for state in broken)
            remark = f"Plugins that failed to load: {listed}."
        raise unknown_name(kind, name, self._found[kind], remark)

    def backbone(self, name: str, modality: str) -> tuple[BackboneDeclaration, str]:
        """The backbone that ``name`` or ``FAMILY/MODEL`` means, and the model ("" where it is no family).

        Raises:
            HarnessError: Unknown, of the other modality, or a family without a model.
        """
        family, _, model = name.partition("/")
        found = self._found["backbone"]
        declaration = found.get(name) or found.get(family)
        if declaration is None:
            self.get("backbone", family)
        assert isinstance(declaration, BackboneDeclaration)
        if declaration.modality not in (modality, BOTH):
            raise HarnessError(f"backbone {name!r} encodes {declaration.modality}, not {modality}.")
        if declaration.models and not model:
            raise HarnessError(
                f"backbone {name!r} is a family: write {name}/MODEL, for example as `harness info {name}` shows."
            )
        if model and not declaration.models:
            raise HarnessError(f"backbone {family!r} has no models to choose from: write {family} alone.")
        return declaration, model

    def matching(self, name: str) -> list[Declaration]:
        """Declarations of every kind with that name."""
        return [found[name] for found in self._found.values() if name in found]

    def all_names(self) -> list[str]:
        """Every name of every kind, sorted."""
        return sorted({name for found in self._found.values() for name in found})

    def add(self, declaration: Declaration) -> None:
        """Add a declaration.

        Raises:
            HarnessError: The name is taken; the message names both files.
        """
        taken = self._found[declaration.kind].get(declaration.name)
        if taken is not None:
            raise HarnessError(
                f"{declaration.kind} {declaration.name!r} is registered twice: by {taken.file or taken.plugin} and by "
                f"{declaration.file or declaration.plugin}; the first one stands."
            )
        self._found[declaration.kind][declaration.name] = declaration

    def remove_plugin(self, plugin: str) -> None:
        """Forget what a plugin registered before it failed."""
        for found in self._found.values():
            for name in [name for name, declaration in found.items() if declaration.plugin == plugin]:
                del found[name]

    def plugin_packages(self) -> set[str]:
        """Top-level packages that hold plugins; the content hash follows imports within them."""
        modules = (
            declaration.module_name
            for kind in KINDS
            for declaration in self.all(kind)
            if isinstance(declaration, Component)
        )
        return {module.partition(".")[0] for module in modules if module} - {"harness"}


def load_registry(plugin_files: Iterable[Path] = (), environment: Mapping[str, str] = os.environ) -> Registry:
    """Load all plugins that can be found.

    Args:
        plugin_files: Files named with ``--plugin``; a failure of one of these is an error, as the user asked for it.
        environment: Where ``HARNESS_PLUGINS_DIR`` is looked up.

    Returns:
        The registry; :attr:`Registry.plugins` says what became of each plugin.

    Raises:
        HarnessError: One of ``plugin_files`` is missing or broken, or ``HARNESS_PLUGINS_DIR`` is no folder.
    """
    registry = Registry()
    manager = pluggy.PluginManager("harness")
    manager.add_hookspecs(hookspecs)
    entry_points = sorted(metadata.entry_points(group=ENTRY_POINT_GROUP), key=_own_first)
    for entry_point in entry_points:
        distribution = entry_point.dist
        origin = f"{distribution.name} {distribution.version}" if distribution else "entry point"
        _load_one(registry, manager, entry_point.name, origin, entry_point.load)
    folder = environment.get("HARNESS_PLUGINS_DIR", "")
    if folder:
        if not Path(folder).is_dir():
            raise HarnessError(f"HARNESS_PLUGINS_DIR={folder}: there is no such folder.")
        for file in sorted(Path(folder).glob("*.py")):
            if not file.name.startswith("_"):
                _load_one(registry, manager, file.stem, str(file), partial(import_file, file))
    for file in plugin_files:
        if file.is_dir():
            raise HarnessError(
                f"--plugin {file} is a folder: name one .py file, or set HARNESS_PLUGINS_DIR to the folder."
            )
        if not file.is_file():
            raise HarnessError(f"--plugin {file}: there is no such file.")
        already = next(
            (state for state in registry.plugins if state.file and state.file.resolve() == file.resolve()), None
        )
        state = already or _load_one(registry, manager, file.stem, str(file), partial(import_file, file))
        if state.error:
            raise HarnessError(f"--plugin {file}: {state.error}")
    return registry


def _own_first(entry_point: metadata.EntryPoint) -> tuple[bool, str]:
    """Our own plugins come first, so that they win name clashes."""
    distribution = entry_point.dist
    return (distribution is None or distribution.name != OWN_DISTRIBUTION, entry_point.name)


def import_file(file: Path) -> ModuleType:
    """Import a loose plugin file under a name of its own, so that two files of the same name do not meet."""
    digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]
    name = f"{LOOSE_PREFIX}{file.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and typing look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _load_one(
    registry: Registry, manager: pluggy.PluginManager, name: str, origin: str, load: Callable[[], Any]
) -> PluginState:
    """Import, validate and register one plugin; whatever goes wrong ends in the returned state."""
    file: Path | None = Path(origin) if origin.endswith(".py") else None
    plugin_name = f"{name}" if not manager.has_plugin(name) else f"{name} ({origin})"
    plugin = None
    error = ""
    try:
        plugin = load()
        if getattr(plugin, "__file__", None):
            file = Path(plugin.__file__)
        manager.register(plugin, plugin_name)
        manager.check_pending()  # a misspelt hook would otherwise be silently ignored
        if not _register_all(registry, manager, plugin, plugin_name, file):
            error = "it registers nothing: decorate its register_... functions with @hookimpl."
    except pluggy.PluginValidationError as failure:
        error = f"a hook is wrong: {_one_line(failure)}; the hooks are listed in harness/hookspecs.py."
    except HarnessError as failure:
        error = str(failure)
    except (Exception, SystemExit) as failure:
        error = f"{type(failure).__name__} while loading: {_one_line(failure)} ({_place(failure, file)})."
    if error and plugin is not None:
        registry.remove_plugin(plugin_name)
        if manager.is_registered(plugin):
            manager.unregister(plugin)
    state = PluginState(plugin_name, origin, file, error)
    registry.plugins.append(state)
    return state


def _one_line(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)  # str() names the place, which is named anyway
    return " ".join(text.split()) or type(error).__name__


def _place(error: BaseException, file: Path | None) -> str:
    """File and line where the error came up, in the plugin's own file if it passed there."""
    place = str(file) if file else "unknown place"
    traceback = error.__traceback__
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if file is None or Path(name).resolve() == file.resolve():
            place = f"{name}, line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}, line {error.lineno}"
    return place


def _register_all(registry: Registry, manager: pluggy.PluginManager, plugin: Any, name: str, file: Path | None) -> bool:
    """Call the hooks of one plugin, each with a ``register`` function that notes where the declaration came from.

    Returns:
        Whether it has any hook.
    """
    found = False
    common = {"plugin": name, "file": file}
    for hook_name, register in _register_functions(registry, common).items():
        implementations = getattr(manager.hook, hook_name).get_hookimpls()
        for implementation in implementations:
            if implementation.plugin is plugin:
                found = True
                implementation.function(register)
    return found


def _register_functions(registry: Registry, common: dict[str, Any]) -> dict[str, Callable[..., None]]:
    def method(name: str, recipe: Any, *, summary: str, paper: str = "") -> None:
        registry.add(MethodDeclaration("method", _checked(name), summary, paper, recipe=recipe, **common))

    def component(kind: str, made: type[Component], name: str, target: Any, *, summary: str, **facts: Any) -> None:
        if "parameters" in facts:
            declared = facts.pop("parameters")
            facts["declared_parameters"] = None if declared is None else tuple(declared)
        if "precisions" in facts:
            facts["precisions"] = _checked_precisions(name, facts["precisions"])
        registry.add(made(kind, _checked(name), summary, facts.pop("paper", ""), target=target, **common, **facts))

    def backbone(name: str, target: Any, **facts: Any) -> None:
        if facts.get("modality") not in ("image", "text", BOTH):
            raise HarnessError(f"{name!r}: modality must be image, text or both, not {facts.get('modality')!r}.")
        facts["recipes"] = tuple(facts.get("recipes", (STANDARD,)))
        if STANDARD not in facts["recipes"]:
            raise HarnessError(f"{name!r}: recipes must have 'standard' among them, not {facts['recipes']!r}.")
        facts["same_results"] = dict(facts.get("same_results") or {})
        component("backbone", BackboneDeclaration, name, target, **facts)

    def dataset(card: Path) -> None:
        registry.add(DatasetDeclaration("dataset", _checked(Path(card).stem), card=Path(card), **common))

    return {
        "register_methods": method,
        "register_hashers": partial(component, "hasher", HasherDeclaration),
        "register_detectors": partial(component, "detector", Component),
        "register_objectives": partial(component, "objective", Component),
        "register_backbones": backbone,
        "register_datasets": dataset,
        "register_readers": partial(component, "reader", Component),
        "register_metrics": partial(component, "metric", MetricDeclaration),
        "register_protocols": partial(component, "protocol", ProtocolDeclaration),
        "register_executors": partial(component, "executor", Component),
        "register_trackers": partial(component, "tracker", Component),
    }


def _checked_precisions(name: str, precisions: Any) -> tuple[str, ...]:
    """fp32, which everything must offer, and others that exist."""
    found = (precisions,) if isinstance(precisions, str) else tuple(precisions)
    if FP32 not in found or not set(found) <= set(PRECISIONS):
        raise HarnessError(
            f"{name!r}: precisions must be some of {', '.join(PRECISIONS)}, fp32 among them, not {precisions!r}."
        )
    return found


def _checked(name: str) -> str:
    """Names end up in paths, tables and comma lists."""
    if not name or not all(character.isalnum() or character in "-_." for character in name):
        raise HarnessError(f"{name!r} is no name: use letters, digits, '-', '_' and '.'.")
    return name
