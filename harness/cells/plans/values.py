"""Values of a plan that mean nothing, told with the line on which they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.cells.applicability import PRESET, UnknownInGridError, only_what_applies
from harness.cells.checks import check_numbers
from harness.cells.methods import resolve_method
from harness.cells.plans.file import Plan
from harness.cells.plans.schema import Block
from harness.cells.request import DEFAULT_PRESET, CellRequest, MethodRequest, with_values
from harness.errors import CombinationError, HarnessError
from harness.files.toml import Key, line_of
from harness.plugin.loading import Registry
from harness.runtime.precision import check_precision


def checked_requests(plan: Plan, registry: Registry, requests: Sequence[CellRequest]) -> list[CellRequest]:
    """The points of a grid whose numbers have a meaning, each with what applies to its method.

    Args:
        plan: The plan.
        registry: What is registered.
        requests: The points of the grid.

    Returns:
        The points, each once; what a table ``[methods.NAME]`` says stays, so that it is refused where it cannot be.

    Raises:
        HarnessError: A value cannot be; the message says on which line.
    """
    for place, block in plan.blocks():
        for name, values in block.values.items():
            for value in values if name != "method" else ():
                one = with_values(CellRequest(MethodRequest("")), {name: value})
                if name in ("features", "noise_plan") and not value.exists():
                    raise plan.error(f"{name} {value}: there is no such file", *place, name)
                try:
                    check_numbers(one)
                    check_precision(one.precision)
                except HarnessError as error:
                    raise plan.error(str(error), *place, name) from error
    own = {name: {*block.values, *block.settings} for name, block in plan.content.methods.items()}
    try:
        fitted = only_what_applies(registry, requests, own)
    except UnknownInGridError as error:
        where = _place_of_preset(plan, error.name) if error.kind == PRESET else _place_of_key(plan, error.name)
        raise plan.error(f"{error} What one method alone is given stands in [methods.NAME].", *where) from error
    for method in {repr(request.method): request.method for request in fitted}.values():
        refusal = _refused(registry, method)
        if refusal is not None:
            where = _place_of_mistake(plan, registry, method)
            owner = f"[methods.{method.name}]: " if where[0] == "methods" else ""
            raise plan.error(f"{owner}{refusal}", *where) from refusal
    return fitted


def _place_of_mistake(plan: Plan, registry: Registry, method: MethodRequest) -> tuple[Key, ...]:
    """Where the preset or the parameter stands without which a method could be resolved."""
    if _refused(registry, replace(method, preset=DEFAULT_PRESET)) is None:
        return _place_of_preset(plan, method.preset, method.name)
    for key, text in method.settings.items():
        others = {other: value for other, value in method.settings.items() if other != key}
        if _refused(registry, replace(method, settings=others)) is None:
            return _place_of_key(plan, key, text, method.name)
    return ("methods", method.name) if method.name in plan.content.methods else ("axes", "method")


def _place_of_preset(plan: Plan, preset: str, method: str | None = None) -> tuple[Key, ...]:
    """Where a preset stands, for a method or for any."""
    for place, block in _blocks_for(plan, method):
        if preset in block.values.get("preset", ()):
            return (*place, "preset")
    return ("axes", "method")


def _place_of_key(plan: Plan, key: str, text: str | None = None, method: str | None = None) -> tuple[Key, ...]:
    """Where a key of ``--set`` stands, with a value or any, for a method or for any."""
    for place, block in _blocks_for(plan, method):
        texts = block.settings.get(key, ())
        if texts and (text is None or text in texts):
            whole = (*place, "set", key)
            return whole if line_of(plan.text, whole) else (*place, "set", *key.split("."))
    return ("axes", "method")


def _blocks_for(plan: Plan, method: str | None) -> list[tuple[tuple[Key, ...], Block]]:
    """The tables that have a say, the last word first; those of other methods are left out where one is named."""
    return [
        (place, block)
        for place, block in reversed(plan.blocks())
        if method is None or place[0] != "methods" or place[-1] == method
    ]


def _refused(registry: Registry, method: MethodRequest) -> HarnessError | None:
    """What is wrong with a method's parameters; combinations that do not fit are no mistake in a plan."""
    try:
        resolve_method(registry, method)
    except CombinationError:
        return None
    except HarnessError as error:
        return error
    return None
