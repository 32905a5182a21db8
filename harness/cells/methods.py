"""From a method's name, overrides and ``--set`` to what exactly is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.cells.request import DEFAULT_PRESET, MethodRequest
from harness.errors import CombinationError, HarnessError, unknown_name
from harness.plugin.declarations import Component, HasherDeclaration
from harness.plugin.interfaces import NOTHING, EpochsOf, Need, Phase, Recipe
from harness.plugin.loading import Registry
from harness.plugin.parameters import Parameter, find, needs_of_values

ROLES = ("hasher", "detector", "objective")


@dataclass(frozen=True)
class ResolvedMethod:
    """A method with every choice made.

    Attributes:
        name: Name of the method.
        row: Name of its table row: the method and what differs from its defaults.
        preset: The preset asked for.
        components: Role to declaration; the objective is there only if the hasher takes one.
        parameters: ``"hasher.beta"`` and ``"phase.warm-up.epochs"`` to value, all of them.
        phases: Training phases with their final lengths.
        learners: 1, or 2 for co-teaching.
        needs: What all components together need.
    """

    name: str
    row: str
    preset: str
    components: Mapping[str, Component]
    parameters: Mapping[str, Any]
    phases: tuple[Phase, ...]
    learners: int
    needs: Need

    @property
    def precisions(self) -> frozenset[str]:
        """Number formats that at least one component can train in."""
        return frozenset(name for component in self.components.values() for name in component.precisions)

    @property
    def hasher(self) -> HasherDeclaration:
        """The hasher's declaration."""
        declaration = self.components["hasher"]
        assert isinstance(declaration, HasherDeclaration)
        return declaration

    def arguments(self, role: str) -> dict[str, Any]:
        """Keyword arguments of the component in a role."""
        prefix = role + "."
        return {key.removeprefix(prefix): value for key, value in self.parameters.items() if key.startswith(prefix)}


def resolve_method(registry: Registry, request: MethodRequest) -> ResolvedMethod:
    """Resolve a method and name its table row.

    Args:
        registry: What is registered.
        request: What is asked for.

    Returns:
        The resolved method.

    Raises:
        HarnessError: A name is unknown or a value not allowed.
        CombinationError: The components do not fit.
    """
    resolved = _resolve(registry, request)
    recipe: Recipe = registry.get("method", request.name).recipe
    remarks = [
        f"{role}={component.name}"
        for role, component in resolved.components.items()
        if component.name != getattr(recipe, role)
    ]
    if request.preset != DEFAULT_PRESET:
        remarks.append(f"preset={request.preset}")
    unscaled = _resolve(registry, replace(request, settings={}, epochs=None))
    scaled = _resolve(registry, replace(request, settings={}))
    if scaled.phases != unscaled.phases:
        remarks.append(f"epochs={sum(phase.epochs for phase in scaled.phases)}")
    remarks += [f"{key}={value}" for key, value in resolved.parameters.items() if value != scaled.parameters.get(key)]
    return replace(resolved, row=f"{request.name} [{', '.join(remarks)}]" if remarks else request.name)


def _resolve(registry: Registry, request: MethodRequest) -> ResolvedMethod:
    """What is run: the components and their phases, and for each parameter the last of what is said of it: its default,
    the recipe's value, the length of the phase that it follows, ``--set``.
    """
    recipe: Recipe = registry.get("method", request.name).recipe
    if request.preset != DEFAULT_PRESET and request.preset not in recipe.presets:
        raise unknown_name(f"preset of method {request.name}", request.preset, [DEFAULT_PRESET, *recipe.presets])
    own_roles = {role for role in ROLES if getattr(request, role) in (None, getattr(recipe, role))}
    components = _components(registry, request, recipe)
    own = {role: component for role, component in components.items() if role in own_roles}
    of_recipe = _values_of_recipe(recipe, request.preset, own)
    phases = _phases(components["hasher"], recipe, request)
    settings = _values_of_settings(request, components, phases)
    phases = tuple(replace(phase, epochs=settings.get(_length_key(phase), phase.epochs)) for phase in phases)

    values = {
        f"{role}.{one.name}": one.default for role, component in components.items() for one in component.parameters
    }
    # A closed form has no phases; a detector that trains "as long as the warm-up" then trains as long as that would be.
    lengths = {phase.name: phase.epochs for phase in (*_divided(recipe.phases, request), *phases)}
    for key, value in of_recipe.items():
        if not isinstance(value, EpochsOf):
            values[key] = value
        elif value.phase in lengths:
            values[key] = max(1, lengths[value.phase])
    values.update(settings)
    values.update({_length_key(phase): phase.epochs for phase in phases})
    needs = _needs(components, values, phases)
    return ResolvedMethod(
        name=request.name,
        row=request.name,
        preset=request.preset,
        components=components,
        parameters=dict(sorted(values.items())),
        phases=phases,
        learners=_learners(recipe, own_roles, needs),
        needs=needs,
    )


def _components(registry: Registry, request: MethodRequest, recipe: Recipe) -> dict[str, Component]:
    """Role to declaration: what was asked for, otherwise the recipe's."""
    names = {role: getattr(recipe if getattr(request, role) is None else request, role) for role in ROLES}
    hasher: HasherDeclaration = registry.get("hasher", names["hasher"])
    components: dict[str, Component] = {"hasher": hasher, "detector": registry.get("detector", names["detector"])}
    objective = names["objective"]
    if hasher.takes_objective:
        if objective is None:
            raise CombinationError(
                f"hasher {hasher.name!r} needs an objective, and method {request.name!r} names none: add --objective, "
                f"one of {', '.join(registry.names('objective'))}."
            )
        components["objective"] = registry.get("objective", objective)
    elif request.objective is not None:
        registry.get("objective", request.objective)
        raise CombinationError(
            f"hasher {hasher.name!r} has a loss of its own: leave out --objective {request.objective}."
        )
    return components


def _values_of_recipe(recipe: Recipe, preset: str, components: Mapping[str, Component]) -> dict[str, Any]:
    """What recipe and preset say of the recipe's own components; those that replace them start from their defaults."""
    values = {}
    for key, value in {**recipe.parameters, **recipe.presets.get(preset, {})}.items():
        role, _, name = key.partition(".")
        if role in components:
            parameter = find(components[role].parameters, name, f"{role} {components[role].name}")
            values[key] = value if isinstance(value, EpochsOf) else parameter.read(value, key)
    return values


def _values_of_settings(
    request: MethodRequest, components: Mapping[str, Component], phases: tuple[Phase, ...]
) -> dict[str, Any]:
    """What ``--set`` says of parameters and of lengths of phases, by full key."""
    values: dict[str, Any] = {}
    keys: dict[str, str] = {}
    for key, text in request.settings.items():
        full, parameter = find_key(key, components, phases, request.name)
        if full in keys:
            raise HarnessError(f"--set {keys[full]} and --set {key} name the same parameter: give one of them.")
        keys[full] = key
        values[full] = parameter.read(text, full)
    return values


def _phases(hasher: Component, recipe: Recipe, request: MethodRequest) -> tuple[Phase, ...]:
    """The phases that the hasher goes through, before ``--set``; none for one that is fitted in one step."""
    assert isinstance(hasher, HasherDeclaration)
    if Need.EPOCHS not in hasher.offers:
        return ()
    phases = recipe.phases or hasher.phases
    if not phases:
        raise CombinationError(
            f"hasher {hasher.name!r} trains in epochs, and neither it nor method {request.name!r} names a phase."
        )
    return _divided(phases, request)


def _divided(phases: tuple[Phase, ...], request: MethodRequest) -> tuple[Phase, ...]:
    return phases if request.epochs is None else divide_epochs(phases, request.epochs)


def _length_key(phase: Phase) -> str:
    """The key of ``--set`` that gives the length of a phase."""
    return f"phase.{phase.name}.epochs"


def _learners(recipe: Recipe, own_roles: set[str], needs: Need) -> int:
    """Two if a component asks for it, as a detector that co-teaches does with any hasher. What the recipe itself says
    holds for its own hasher and detector: with another one in place there may be nothing to exchange.
    """
    if Need.TWO_LEARNERS in needs:
        return 2
    return recipe.learners if {"hasher", "detector"} <= own_roles else 1


def divide_epochs(phases: tuple[Phase, ...], total: int) -> tuple[Phase, ...]:
    """Divide a total number of epochs among phases in proportion to their lengths, by largest remainders.

    Args:
        phases: The phases.
        total: Epochs in all.

    Returns:
        Phases whose lengths sum to ``total``; a phase that had epochs keeps at least one where the total allows it.
    """
    wanted = sum(phase.epochs for phase in phases)
    if not wanted:
        return phases
    exact = [total * phase.epochs / wanted for phase in phases]
    lengths = [int(value) for value in exact]
    for at in sorted(range(len(phases)), key=lambda at: (lengths[at] - exact[at], at))[: total - sum(lengths)]:
        lengths[at] += 1
    for at, phase in enumerate(phases):
        if phase.epochs and not lengths[at] and max(lengths) > 1:
            lengths[lengths.index(max(lengths))] -= 1
            lengths[at] = 1
    return tuple(replace(phase, epochs=length) for phase, length in zip(phases, lengths, strict=True))


def find_key(
    key: str, components: Mapping[str, Component], phases: tuple[Phase, ...], method: str
) -> tuple[str, Parameter]:
    """The parameter that a key of ``--set`` means.

    Args:
        key: ``ROLE.NAME``, ``phase.NAME.epochs``, or a bare name that one component alone has.
        components: Role to declaration.
        phases: The phases.
        method: Name of the method, for the message.

    Returns:
        The full key and the parameter.

    Raises:
        HarnessError: No component has it, or several have the bare name.
    """
    known = parameters_by_key(components, phases)
    owners = owners_of(key, known)
    if len(owners) == 1:
        return owners[0], known[owners[0]]
    if len(owners) > 1:
        raise HarnessError(f"--set {key}: several components of method {method} have it; write {' or '.join(owners)}.")
    raise unknown_name(f"parameter of method {method}", key, names_of(known))


def parameters_by_key(components: Mapping[str, Component], phases: tuple[Phase, ...]) -> dict[str, Parameter]:
    """Every parameter that ``--set`` can reach, by its full key: ``ROLE.NAME`` or ``phase.NAME.epochs``."""
    known = {
        f"{role}.{parameter.name}": parameter
        for role, component in components.items()
        for parameter in component.parameters
    }
    for phase in phases:
        known[_length_key(phase)] = Parameter("epochs", phase.epochs, f"Epochs of phase {phase.name}.", minimum=0)
    return known


def owners_of(key: str, known: Iterable[str]) -> list[str]:
    """The full keys that a key of ``--set`` may mean: itself, or those of the components that have the bare name."""
    known = list(known)
    if key in known:
        return [key]
    return [full for full in known if full.partition(".")[2] == key and not full.startswith("phase.")]


def names_of(known: Iterable[str]) -> list[str]:
    """Full keys, and the bare names that stand for them."""
    known = list(known)
    return [*known, *{full.partition(".")[2] for full in known if not full.startswith("phase.")}]


def _needs(components: Mapping[str, Component], values: Mapping[str, Any], phases: tuple[Phase, ...]) -> Need:
    needs = NOTHING
    for role, component in components.items():
        own = {key.removeprefix(role + "."): value for key, value in values.items() if key.startswith(role + ".")}
        needs |= component.needs | needs_of_values(component.parameters, own)
    if any(phase.pairs == "trusted" and phase.epochs for phase in phases):
        needs |= Need.TRUSTED
    return needs
