"""Hostile sweep plans."""

from __future__ import annotations

from typing import Any

from fuzz.answers import answered
from fuzz.hostile import as_toml, files
from hypothesis import given, settings

from harness.cells.command import command_of, request_of
from harness.cells.plans.file import Plan, read_plan
from harness.cells.plans.values import checked_requests
from harness.cells.request import CellRequest
from harness.plugin.loading import load_registry

VALID: dict[str, Any] = {
    "title": "Small", "description": "Nothing", "repeats": 2, "metrics": ["map", "map_relevant@20"],
    "exclude": [{"method": "random-codes", "noise": 0.4}, {"set": {"hasher.hidden": 64}, "bits": [16]}],
    "axes": {
        "method": ["chnr", "cca-itq", "random-codes"], "dataset": ["toy", "card.toml"], "noise": [0, 0.4],
        "bits": [16, 32], "set": {"hasher.beta": [0.01, 0.1]},
    },
    "fixed": {
        "trusted": 0.2, "limit": 100, "skip_broken": True, "data_root": "data", "image_weights": "a.pth",
        "plugin": ["plugin.py"], "set": {"hasher": {"hidden": 64}},
    },
    "methods": {"chnr": {"epochs": 4, "set": {"hasher.batch_size": 64}}, "cca-itq": {"seed": ["0-2", 7]}},
    "datasets": {"toy": {"split": ["paper"], "noise": [0.2]}},
}  # fmt: skip
REGISTRY = load_registry()


def grid(plan: Plan) -> list[CellRequest]:
    plan.check_plugins()
    plan.check_names(REGISTRY)
    return checked_requests(plan, REGISTRY, plan.requests())


@settings(settings.get_profile("fuzz"))
@given(content=files(VALID, as_toml))
def test_a_plan_is_a_grid_or_refused(sandbox, content):
    path = sandbox.file("plan.toml", content)
    sandbox.file("plugin.py", b"")
    sandbox.file("card.toml", b"")
    with sandbox.untouched():
        plan = answered(lambda: read_plan(path))
        if plan is None:
            return
        requests = answered(lambda: grid(plan))
        for request in requests or []:
            command = command_of(request)
            assert command_of(request_of(command)) == command


def test_the_valid_plan_is_valid(sandbox):
    """Otherwise all examples would be of one kind."""
    path = sandbox.file("plan.toml", as_toml(VALID))
    sandbox.file("plugin.py", b"")
    assert len(grid(read_plan(path))) > 8
