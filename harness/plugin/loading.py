"""Finding plugins, one by one, and the registry of what they register.

pluggy's own ``load_setuptools_entrypoints`` stops at the first plugin that fails; here each is loaded, validated and
asked to register on its own, so that a broken one is reported and the others work on.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from harness.errors import HarnessError, text_of, unknown_name, what_and_where
from harness.files.paths import plain_name, require_regular
from harness.plugin import hookspecs
from harness.plugin.declarations import (
    BOTH,
    STANDARD,
    BackboneDeclaration,
    Component,
    DatasetDeclaration,
    HasherDeclaration,
    MethodDeclaration,
    MetricDeclaration,
    ProtocolDeclaration,
    PublishedDeclaration,
)
from harness.plugin.registry import KINDS, PluginState, Registry
from harness.plugin.source_hash import LOOSE_PREFIX
from harness.runtime.precision import FP32, PRECISIONS
from harness.version import HARNESS_API

ENTRY_POINT_GROUP = "harness.plugins"
OLDEST_API = 1
"""Plugins written for an older version of the API than this cannot be used any more."""

OWN_DISTRIBUTION = "noisy-hashing-harness"

__all__ = ["KINDS", "PluginState", "Registry", "import_file", "load_registry"]


def load_registry(plugin_files: Iterable[Path] = (), environment: Mapping[str, str] = os.environ) -> Registry:
    """Load all plugins that can be found.

    Args:
        plugin_files: Files named with ``--plugin``; a failure of one of these is an error, as the user asked for it.
        environment: Where ``HARNESS_PLUGINS_DIR`` and ``HARNESS_PLUGINS`` are looked up.

    Returns:
        The registry; :attr:`Registry.plugins` says what became of each plugin.

    Raises:
        HarnessError: One of ``plugin_files`` is missing or broken, ``HARNESS_PLUGINS_DIR`` is no folder, or
            ``HARNESS_PLUGINS`` names a plugin that nobody has.
    """
    registry = Registry()
    manager = pluggy.PluginManager("harness")
    manager.add_hookspecs(hookspecs)
    candidates = [*_installed(), *_in_folder(environment.get("HARNESS_PLUGINS_DIR", ""))]
    chosen = _chosen(candidates, environment.get("HARNESS_PLUGINS"))
    for candidate in candidates:
        if candidate.name in chosen:
            _load_one(registry, manager, candidate)
        else:
            registry.plugins.append(
                PluginState(candidate.name, candidate.origin, candidate.file, version=candidate.version, left_out=True)
            )
    for file in plugin_files:
        if file.is_dir():
            raise HarnessError(
                f"--plugin {file} is a folder: name one .py file, or set HARNESS_PLUGINS_DIR to the folder."
            )
        require_regular(file, "--plugin")
        already = next(
            (
                state
                for state in registry.plugins
                if state.file and not state.left_out and state.file.resolve() == file.resolve()
            ),
            None,
        )
        state = already or _load_one(registry, manager, _loose(file))
        if state.error:
            raise HarnessError(f"--plugin {file}: {state.error}")
    return registry


@dataclass(frozen=True)
class _Candidate:
    """A plugin that was found and is not imported yet."""

    name: str
    origin: str
    load: Callable[[], Any]
    file: Path | None = None
    version: str = ""
    package: str = ""
    ours: bool = False


def _installed() -> list[_Candidate]:
    """Plugins behind entry points."""
    candidates = []
    for entry_point in sorted(metadata.entry_points(group=ENTRY_POINT_GROUP), key=_own_first):
        name, version = _name_and_version(entry_point.dist)
        origin = f"{name} {version}" if name else "entry point"
        ours = name == OWN_DISTRIBUTION
        package = entry_point.module.partition(".")[0]
        candidates.append(
            _Candidate(entry_point.name, origin, entry_point.load, version=version, package=package, ours=ours)
        )
    return candidates


def _in_folder(folder: str) -> list[_Candidate]:
    """Loose files of ``HARNESS_PLUGINS_DIR``, but for those that begin with an underscore."""
    if not folder:
        return []
    if not Path(folder).is_dir():
        raise HarnessError(f"HARNESS_PLUGINS_DIR={folder}: there is no such folder.")
    return [_loose(file) for file in sorted(Path(folder).glob("*.py")) if not file.name.startswith("_")]


def _loose(file: Path) -> _Candidate:
    return _Candidate(file.stem, str(file), partial(import_file, file), file)


def _chosen(candidates: Iterable[_Candidate], choice: str | None) -> set[str]:
    """Names of the plugins to load.

    ``HARNESS_PLUGINS=a,b`` loads our own plugins and of the others a and b alone; empty none of the others; a name with
    a minus sign before it is left out, ours too.

    Raises:
        HarnessError: It names a plugin that nobody has.
    """
    candidates = list(candidates)
    names = {candidate.name for candidate in candidates}
    if choice is None:
        return names
    words = [word.strip() for word in choice.split(",") if word.strip()]
    for word in words:
        if word.removeprefix("-") not in names:
            raise unknown_name("plugin in HARNESS_PLUGINS", word.removeprefix("-"), names)
    wanted = {word for word in words if not word.startswith("-")}
    left_out = {word.removeprefix("-") for word in words if word.startswith("-")}
    if not words or wanted:
        names = wanted | {candidate.name for candidate in candidates if candidate.ours}
    return names - left_out


def _own_first(entry_point: metadata.EntryPoint) -> tuple[bool, str]:
    """Our own plugins come first, so that they win name clashes."""
    return (_name_and_version(entry_point.dist)[0] != OWN_DISTRIBUTION, entry_point.name)


@lru_cache
def _name_and_version(distribution: metadata.Distribution | None) -> tuple[str, str]:
    """Of a distribution, whose metadata are parsed anew each time it is asked; ("", "") for none."""
    if distribution is None:
        return "", ""
    said = distribution.metadata
    return said["Name"], said["Version"]


def import_file(file: Path) -> ModuleType:
    """Import a loose plugin file under a name of its own, so that two files of the same name do not meet."""
    require_regular(file, "plugin file")
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


def _load_one(registry: Registry, manager: pluggy.PluginManager, candidate: _Candidate) -> PluginState:
    """Import, validate and register one plugin; whatever goes wrong ends in the returned state."""
    name, origin, file, version = candidate.name, candidate.origin, candidate.file, candidate.version
    plugin_name = name if not manager.has_plugin(name) else f"{name} ({origin})"
    plugin = api = None
    error = ""
    try:
        plugin = candidate.load()
        if getattr(plugin, "__file__", None):
            file = Path(plugin.__file__)
        version = version or str(getattr(plugin, "__version__", ""))
        api = _agreed_api(plugin)
        manager.register(plugin, plugin_name)
        manager.check_pending()  # a misspelt hook would otherwise be silently ignored
        if not _register_all(registry, manager, plugin, plugin_name, file):
            error = "it registers nothing: decorate its register_... functions with @hookimpl."
    except pluggy.PluginValidationError as failure:
        error = (
            f"a hook is wrong: {_one_line(failure)}; {_near_hooks(plugin)}the hooks are listed in "
            "harness/plugin/hookspecs.py."
        )
    except HarnessError as failure:
        error = text_of(failure)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:
        error = f"{type(failure).__name__} while loading: {_one_line(failure)} ({_place(failure, file)})."
    if error and plugin is not None:
        registry.remove_plugin(plugin_name)
        if manager.is_registered(plugin):
            manager.unregister(plugin)
    state = PluginState(plugin_name, origin, file, error, version, api)
    registry.plugins.append(state)
    return state


def failure_of_plugin(error: BaseException) -> str:
    """One sentence of an error that came up in the code of somebody else's plugin; "" of any other error."""
    installed = {candidate.package for candidate in _installed() if not candidate.ours}
    place, frame = "", error.__traceback__
    while frame is not None:
        module = str(frame.tb_frame.f_globals.get("__name__", ""))
        if module.startswith(LOOSE_PREFIX) or module.partition(".")[0] in installed:
            place = frame.tb_frame.f_code.co_filename
        frame = frame.tb_next
    return f"a plugin failed: {what_and_where(error, Path(place))}" if place else ""


def _agreed_api(plugin: Any) -> int | None:
    """The handshake: the version of the plugin API that a plugin was written for.

    Raises:
        HarnessError: It is none that this harness speaks.
    """
    api = getattr(plugin, "harness_api", None)
    if api is None:
        return None
    if not isinstance(api, int) or isinstance(api, bool):
        raise HarnessError(f"harness_api = {api!r}: expected the number of a plugin API, such as {HARNESS_API}.")
    if api > HARNESS_API:
        raise HarnessError(
            f"it was written for plugin API {api}, and this harness has {HARNESS_API}: update noisy-hashing-harness."
        )
    if api < OLDEST_API:
        raise HarnessError(
            f"it was written for plugin API {api}, and this harness has {HARNESS_API} and still reads {OLDEST_API}: "
            "update the plugin."
        )
    return api


def _near_hooks(plugin: Any) -> str:
    """ "did you mean" for functions that are meant as hooks and are none."""
    hooks = [name for name in vars(hookspecs) if name.startswith("register_")]
    marked = [name for name in dir(plugin) if hasattr(getattr(plugin, name, None), "harness_impl")]
    near = [close[0] for name in marked if name not in hooks and (close := difflib.get_close_matches(name, hooks, 1))]
    return f"did you mean {' and '.join(near)}? " if near else ""


def _one_line(error: BaseException) -> str:
    return text_of(error) or type(error).__name__


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
    has_hooks = False
    common = {"plugin": name, "file": file}
    for hook_name, register in _register_functions(registry, common).items():
        implementations = getattr(manager.hook, hook_name).get_hookimpls()
        for implementation in implementations:
            if implementation.plugin is plugin:
                has_hooks = True
                implementation.function(register)
    return has_hooks


def _register_functions(registry: Registry, common: dict[str, Any]) -> dict[str, Callable[..., None]]:
    def method(name: str, recipe: Any, *, summary: str, paper: str = "") -> None:
        registry.add(MethodDeclaration("method", _checked("method", name), summary, paper, recipe=recipe, **common))

    def component(kind: str, made: type[Component], name: str, target: Any, *, summary: str, **facts: Any) -> None:
        if "parameters" in facts:
            declared = facts.pop("parameters")
            facts["declared_parameters"] = None if declared is None else tuple(declared)
        if "precisions" in facts:
            facts["precisions"] = _checked_precisions(name, facts["precisions"])
        registry.add(
            made(kind, _checked(kind, name), summary, facts.pop("paper", ""), target=target, **common, **facts)
        )

    def backbone(name: str, target: Any, **facts: Any) -> None:
        if facts.get("modality") not in ("image", "text", BOTH):
            raise HarnessError(f"{name!r}: modality must be image, text or both, not {facts.get('modality')!r}.")
        facts["recipes"] = tuple(facts.get("recipes", (STANDARD,)))
        if STANDARD not in facts["recipes"]:
            raise HarnessError(f"{name!r}: recipes must have 'standard' among them, not {facts['recipes']!r}.")
        registry.add_same_results(common["plugin"], facts.pop("same_results", None) or {})
        component("backbone", BackboneDeclaration, name, target, **facts)

    def metric(name: str, target: Any, **facts: Any) -> None:
        facts["bounds"] = _checked_bounds(name, facts.get("bounds"))
        component("metric", MetricDeclaration, name, target, **facts)

    def dataset(card: Path) -> None:
        registry.add(DatasetDeclaration("dataset", _checked("dataset", Path(card).stem), card=Path(card), **common))

    def published(name: str, numbers: Path, *, summary: str, paper: str = "") -> None:
        registry.add(
            PublishedDeclaration(
                "published", _checked("published", name), summary, paper, numbers=Path(numbers), **common
            )
        )

    return {
        "register_methods": method,
        "register_hashers": partial(component, "hasher", HasherDeclaration),
        "register_detectors": partial(component, "detector", Component),
        "register_objectives": partial(component, "objective", Component),
        "register_backbones": backbone,
        "register_datasets": dataset,
        "register_readers": partial(component, "reader", Component),
        "register_metrics": metric,
        "register_protocols": partial(component, "protocol", ProtocolDeclaration),
        "register_executors": partial(component, "executor", Component),
        "register_trackers": partial(component, "tracker", Component),
        "register_published": published,
        "register_same_results": partial(registry.add_same_results, common["plugin"]),
    }


def _checked_precisions(name: str, precisions: Any) -> tuple[str, ...]:
    """fp32, which everything must offer, and others that exist."""
    offered = (precisions,) if isinstance(precisions, str) else tuple(precisions)
    if FP32 not in offered or not set(offered) <= set(PRECISIONS):
        raise HarnessError(
            f"{name!r}: precisions must be some of {', '.join(PRECISIONS)}, fp32 among them, not {precisions!r}."
        )
    return offered


def _checked_bounds(name: str, bounds: Any) -> tuple[float, float] | None:
    """Two numbers in order, or nothing."""
    if bounds is None:
        return None
    try:
        low, high = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not low < high:
        raise HarnessError(f"{name!r}: bounds must be a smaller and a larger number, such as (0, 1), not {bounds!r}.")
    return low, high


def _checked(kind: str, name: Any) -> str:
    """Names end up in paths, tables and comma lists."""
    if not isinstance(name, str):
        raise HarnessError(f"{kind}: a name must be text, not {type(name).__name__}.")
    return plain_name(name, kind)
