"""What of a grid's presets, parameters and epochs each of its methods has; the rest is left out, and told."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.cells.command import command_of
from harness.cells.methods import ROLES, names_of, owners_of, parameters_by_key, resolve_method
from harness.cells.request import DEFAULT_PRESET, CellRequest, MethodRequest
from harness.errors import CombinationError, HarnessError, unknown_name
from harness.plugin.loading import Registry

logger = logging.getLogger(__name__)

PRESET, PARAMETER = "preset", "parameter"

Parts = tuple[Any, ...]
"""Name of a method, and the components put in place of its own."""


class UnknownInGridError(HarnessError):
    """A preset or a parameter that no method of the grid has.

    Attributes:
        kind: ``"preset"`` or ``"parameter"``.
        name: The preset, or the key of ``--set``.
    """

    def __init__(self, kind: str, name: str, methods: Collection[str], known: Collection[str]) -> None:
        owners = f"method{'s' if len(methods) > 1 else ''} {', '.join(methods)}"
        super().__init__(str(unknown_name(f"{kind} of {owners}", name, known)))
        self.kind, self.name = kind, name


@dataclass(frozen=True)
class _Offer:
    """What a method has, with its parts in place."""

    presets: tuple[str, ...]
    keys: tuple[str, ...]

    def has(self, kind: str, name: str) -> bool:
        """Whether there is such a preset or parameter."""
        return name in self.presets if kind == PRESET else bool(owners_of(name, self.keys))

    def names(self, kind: str) -> list[str]:
        """All that a user could have meant."""
        return [DEFAULT_PRESET, *self.presets] if kind == PRESET else names_of(self.keys)


def only_what_applies(
    registry: Registry, requests: Sequence[CellRequest], own: Mapping[str, Collection[str]] | None = None
) -> list[CellRequest]:
    """The points of a grid, each with what its method has of the presets, parameters and epochs asked for.

    A preset or a parameter holds for the methods that have it. Those without it run without it, once; a note names
    them. So does one where ``--epochs`` changes nothing, as in a closed form.

    Args:
        registry: What is registered.
        requests: The points of the grid.
        own: Name of a method to the options and keys that were said for it alone: these stay whatever it has.

    Returns:
        The points, each once. A combination that cannot work stays as it is.

    Raises:
        HarnessError: A name is unknown.
        UnknownInGridError: No method has a preset or a parameter.
    """
    own = own or {}
    offers = {_parts(method): _offer(registry, method) for method in (request.method for request in requests)}
    asked: dict[tuple[str, str], dict[Parts, _Offer]] = {}
    for method in (request.method for request in requests):
        offer = offers[_parts(method)]
        if offer is not None:
            for said in _said(method, own):
                asked.setdefault(said, {})[_parts(method)] = offer
    for (kind, name), of_methods in asked.items():
        if not any(offer.has(kind, name) for offer in of_methods.values()):
            known = {each for offer in of_methods.values() for each in offer.names(kind)}
            raise UnknownInGridError(kind, name, {parts[0]: None for parts in of_methods}, known)
    remarks: dict[tuple[str, str], dict[Parts, None]] = {}
    points: dict[str, CellRequest] = {}
    for request in requests:
        offer = offers[_parts(request.method)]
        if offer is not None:
            method, left_out = _fitted(registry, request.method, offer, own)
            request = replace(request, method=method)
            for remark in left_out:
                remarks.setdefault(remark, {})[_parts(method)] = None
        points.setdefault(command_of(request), request)
    for (what, why), without in remarks.items():
        logger.warning("%s is left out for %s: %s.", what, ", ".join(_titles(without, offers)), why)
    return list(points.values())


def _fitted(
    registry: Registry, method: MethodRequest, offer: _Offer, own: Mapping[str, Collection[str]]
) -> tuple[MethodRequest, list[tuple[str, str]]]:
    """A method without what does not apply to it, and what that was, with the reason."""
    remarks = []
    for kind, name in _said(method, own):
        if offer.has(kind, name):
            continue
        if kind == PRESET:
            method = replace(method, preset=DEFAULT_PRESET)
            remarks.append(("preset " + name, "no such preset there"))
        else:
            method = replace(method, settings={key: text for key, text in method.settings.items() if key != name})
            remarks.append(("parameter " + name, "no such parameter there"))
    # A number that means nothing stays, to be refused.
    if method.epochs is not None and method.epochs > 0 and not _epochs_count(registry, method, offer):
        method = replace(method, epochs=None)
        remarks.append(("the number of epochs", "nothing there is trained in epochs"))
    return method, remarks


def _epochs_count(registry: Registry, method: MethodRequest, offer: _Offer) -> bool:
    """Whether anything follows the number of epochs: the hasher's phases, or a detector that trains as long as they
    would.
    """
    preset = method.preset if offer.has(PRESET, method.preset) else DEFAULT_PRESET
    asked = resolve_method(registry, replace(method, settings={}, preset=preset))
    usual = resolve_method(registry, replace(method, settings={}, preset=preset, epochs=None))
    return bool(asked.phases) or asked.parameters != usual.parameters


def _offer(registry: Registry, method: MethodRequest) -> _Offer | None:
    """What a method has with its parts in place; None where they do not fit, which is told with each cell."""
    try:
        resolved = resolve_method(registry, replace(method, settings={}, preset=DEFAULT_PRESET, epochs=None))
    except CombinationError:
        return None
    return _Offer(
        tuple(registry.get("method", method.name).recipe.presets),
        tuple(parameters_by_key(resolved.components, resolved.phases)),
    )


def _said(method: MethodRequest, own: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
    """The preset and the keys of ``--set`` that were not asked for of this method alone."""
    alone = own.get(method.name, ())
    presets = [] if method.preset == DEFAULT_PRESET or PRESET in alone else [(PRESET, method.preset)]
    return [*presets, *((PARAMETER, key) for key in method.settings if key not in alone)]


def _parts(method: MethodRequest) -> Parts:
    """What decides about presets and parameters."""
    return method.name, *(getattr(method, role) for role in ROLES)


def _titles(chosen: Collection[Parts], all_parts: Collection[Parts]) -> list[str]:
    """As notes name them: "cca-itq" for a method whatever its parts, otherwise "chnr with detector none"."""
    titles: dict[str, None] = {}
    for parts in chosen:
        name, *replaced = parts
        if all(other in chosen for other in all_parts if other[0] == name):
            titles[name] = None
        else:
            said = [f"{role} {part}" for role, part in zip(ROLES, replaced, strict=True) if part is not None]
            titles[f"{name} with {', '.join(said)}" if said else name] = None
    return list(titles)
