"""Values of a plan that mean nothing, told with the line on which they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.cells import CellRequest
from harness.command import OF_METHOD
from harness.errors import CombinationError, HarnessError
from harness.methods import MethodRequest, resolve_method
from harness.plan_file import Plan
from harness.plugins import Registry
from harness.precision import check_precision
from harness.request_checks import check_numbers
from harness.toml_lines import Key, line_of


def check_values(plan: Plan, registry: Registry, requests: Sequence[CellRequest]) -> None:
    """Numbers have a meaning, and parameters of methods can be read.

    Args:
        plan: The plan.
        registry: What is registered.
        requests: The points of the grid.

    Raises:
        HarnessError: A value cannot be; the message says on which line.
    """
    for place, block in plan.blocks():
        for name, values in block.values().items():
            for value in values if name != "method" else ():
                one = CellRequest(MethodRequest(""))
                if name in OF_METHOD:
                    one = replace(one, method=replace(one.method, **{name: value}))
                else:
                    one = replace(one, **{name: value})
                if name in ("features", "noise_plan") and not value.exists():
                    raise plan.error(f"{name} {value}: there is no such file", *place, name)
                try:
                    check_numbers(one)
                    check_precision(one.precision)
                except HarnessError as error:
                    raise plan.error(str(error), *place, name) from error
    for method in {repr(request.method): request.method for request in requests}.values():
        error = _refused(registry, method)
        if error is not None:
            raise plan.error(str(error), *_place_of_setting(plan, registry, method)) from error


def _place_of_setting(plan: Plan, registry: Registry, method: MethodRequest) -> tuple[Key, ...]:
    """Where the parameter stands without which a method could be resolved."""
    for key in method.settings:
        others = {other: text for other, text in method.settings.items() if other != key}
        if _refused(registry, replace(method, settings=others)) is not None:
            continue
        for place, block in reversed(plan.blocks()):
            if place[0] == "methods" and place[-1] != method.name:
                continue
            if method.settings[key] in block.settings.get(key, ()):
                whole = (*place, "set", key)
                return whole if line_of(plan.text, whole) else (*place, "set", *key.split("."))
    return ("methods", method.name) if method.name in plan.content.methods else ("axes", "method")


def _refused(registry: Registry, method: MethodRequest) -> HarnessError | None:
    """What is wrong with a method's parameters; combinations that do not fit are no mistake in a plan."""
    try:
        resolve_method(registry, method)
    except CombinationError:
        return None
    except HarnessError as error:
        return error
    return None
