"""What is checked: one registered thing, or the plugin file that registers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cells.methods import ROLES, ResolvedMethod, resolve_method
from harness.cells.request import DEFAULT_PRESET, MethodRequest
from harness.errors import HarnessError, unknown_name
from harness.files.paths import require_regular
from harness.plugin.interfaces import Need, Phase, Recipe
from harness.plugin.loading import KINDS, PluginState, Registry, load_registry

EPOCHS = {"method": 4, "hasher": 4, "objective": 4, "detector": 16}
"""Epochs of a training in a check; a detector may wait some epochs before it says anything."""

KIND_OF_PLUGIN = "plugin"


@dataclass(frozen=True)
class Subject:
    """What is checked.

    Attributes:
        kind: One of :data:`harness.plugin.loading.KINDS`, or "plugin".
        name: Its name.
        registry: What is registered; a registry of checks, not to be used for anything else.
        plugins: Files that were named with ``--plugin``.
        preset: Preset, for methods.
        settings: Values of ``--set`` that make it small; keys that it lacks are left out.
        state: What became of the plugin, for plugins.
        memory: What checks of this subject keep for each other.
    """

    kind: str
    name: str
    registry: Registry = field(repr=False)
    plugins: tuple[Path, ...] = ()
    preset: str = DEFAULT_PRESET
    settings: Mapping[str, str] = field(default_factory=dict)
    state: PluginState | None = field(default=None, repr=False)
    memory: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + ("" if self.preset == DEFAULT_PRESET else f" ({self.preset})")

    @property
    def declaration(self) -> Any:
        """Its declaration."""
        return self.registry.get(self.kind, self.name)

    @property
    def file(self) -> Path | None:
        """The file that it comes from."""
        return self.state.file if self.state is not None else self.declaration.file

    def method(self, **changed: Any) -> ResolvedMethod:
        """The method itself, or a small one around the component; see :func:`small_method`.

        Args:
            **changed: Fields of the recipe that differ, for example ``detector``.
        """
        return small_method(self, **changed)


def parts_of(subject: Subject) -> list[tuple[str, str]]:
    """Kind and name of the components of a method; nothing for others."""
    if subject.kind != "method":
        return []
    recipe = subject.declaration.recipe
    return [(role, name) for role in ROLES if (name := getattr(recipe, role)) is not None]


def small_method(subject: Subject, **changed: Any) -> ResolvedMethod:
    """A method that contains the subject, trains a few epochs, and has plain partners where it needs any.

    Args:
        subject: A method, hasher, detector or objective.
        **changed: Fields of the recipe that differ.

    Raises:
        HarnessError: It cannot be resolved.
    """
    registry = subject.registry
    name, preset, epochs = subject.name, subject.preset, EPOCHS[subject.kind]
    overrides = {key: value for key, value in changed.items() if value is not None}
    if subject.kind != "method":
        name = f"check.{subject.kind}.{subject.name}"
        if name not in registry.names("method"):
            from harness.plugin.declarations import MethodDeclaration

            registry.add(MethodDeclaration("method", name, "made for a check", recipe=_recipe(subject)))
    base = MethodRequest(name, preset=preset, **overrides)
    resolved = resolve_method(registry, base)
    known = resolved.parameters
    settings = {key: text for key, text in subject.settings.items() if key in known}
    return resolve_method(registry, MethodRequest(name, preset=preset, epochs=epochs, settings=settings, **overrides))


def _recipe(subject: Subject) -> Recipe:
    """The plainest recipe that contains a component."""
    from harness.testing import partners

    partners.add_partners(subject.registry)
    declaration = subject.declaration
    if subject.kind == "hasher":
        objective = _first_objective(subject.registry) if declaration.takes_objective else None
        return Recipe(hasher=subject.name, detector=partners.EVEN, objective=objective)
    if subject.kind == "objective":
        training = (Phase("training", EPOCHS["objective"]),)
        return Recipe(partners.LEARNER_WITH_OBJECTIVE, partners.EVEN, subject.name, training)
    watches = declaration.needs & (Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS)
    draws = _has_method(declaration, "weigh_batch")
    if not watches and not draws:
        return Recipe(hasher=partners.CLOSED_FORM, detector=subject.name)
    half = EPOCHS["detector"] // 2
    first = Phase("warm-up", half, pairs="trusted" if Need.TRUSTED in declaration.needs else "all", trust="ones")
    phases = (first, Phase("noisy", half))
    learners = 2 if Need.TWO_LEARNERS in declaration.needs else 1
    return Recipe(partners.LEARNER, subject.name, None, phases, learners)


def _has_method(declaration: Any, name: str) -> bool:
    try:
        return callable(getattr(declaration.load(), name, None))
    except HarnessError:
        return False


def _first_objective(registry: Registry) -> str:
    names = registry.names("objective")
    if not names:
        raise HarnessError("no objective is registered, and the hasher takes one.")
    return names[0]


def subjects_of(
    what: str | Path, settings: Mapping[str, str] | None = None, *, plugins: Sequence[Path] = ()
) -> list[Subject]:
    """Everything that a plugin file, an installed plugin, or a name stands for.

    Args:
        what: Path of a plugin file, name of an installed plugin, or name of something registered.
        settings: Values of ``--set`` that make things small.
        plugins: Other plugin files to load beside it.

    Returns:
        The plugin first, then what it registers.

    Raises:
        HarnessError: There is no such file or name.
    """
    is_file = str(what).endswith(".py") or Path(what).is_file()
    if not is_file:
        registry = load_registry(plugins)
        state = next((state for state in registry.plugins if state.name == str(what)), None)
        if state is not None:
            return subjects_in(registry, [state], settings, tuple(plugins))
        declarations = registry.matching(str(what))
        if not declarations:
            names = [*registry.all_names(), *(state.name for state in registry.plugins)]
            raise unknown_name("plugin or name", str(what), names)
        owners = {declaration.plugin for declaration in declarations}
        states = [state for state in registry.plugins if state.name in owners]
        subjects = subjects_in(registry, states, settings, tuple(plugins))
        return [subject for subject in subjects if subject.kind == KIND_OF_PLUGIN or subject.name == str(what)]
    file, plugins = Path(what).absolute(), tuple(path.absolute() for path in plugins)
    require_regular(file)
    files = (*plugins, file)
    try:
        registry = load_registry(files)
    except HarnessError as error:
        broken = PluginState(file.stem, str(file), file, str(error).removeprefix(f"--plugin {file}: "))
        return [Subject(KIND_OF_PLUGIN, file.stem, Registry(), files, state=broken)]
    states = [state for state in registry.plugins if state.file and state.file.resolve() == file.resolve()]
    return subjects_in(registry, states, settings, files)


def subjects_in(
    registry: Registry,
    states: Iterable[PluginState],
    settings: Mapping[str, str] | None = None,
    plugins: tuple[Path, ...] = (),
) -> list[Subject]:
    """The subjects of some loaded plugins: each plugin, and each thing that it registers, methods in every preset."""
    subjects = []
    for state in states:
        subjects.append(Subject(KIND_OF_PLUGIN, state.name, registry, plugins, state=state))
        for kind in KINDS:
            for declaration in registry.all(kind):
                if declaration.plugin == state.name:
                    presets: tuple[str, ...] = (DEFAULT_PRESET,)
                    if kind == "method":
                        presets += tuple(declaration.recipe.presets)  # type: ignore[attr-defined]
                    subjects += [
                        Subject(kind, declaration.name, registry, plugins, preset, dict(settings or {}))
                        for preset in presets
                    ]
    return subjects
