"""Every hook is documented, tested and stable: within an API version hooks and arguments are only added."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path

import pytest

from harness import HARNESS_API
from harness.plugin import hookspecs
from harness.plugin.loading import KINDS, load_registry

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
HOOKS = [name for name in vars(hookspecs) if name.startswith("register_")]

COMPONENT = ["name", "target", "summary", "paper", "parameters"]
API_1 = {
    "register_methods": ["name", "recipe", "summary", "paper"],
    "register_hashers": [
        *COMPONENT, "needs", "offers", "uses_weights", "takes_objective", "phases", "precisions",
    ],
    "register_detectors": [*COMPONENT, "needs", "precisions"],
    "register_objectives": [*COMPONENT, "needs", "precisions"],
    "register_backbones": [*COMPONENT, "modality", "models", "weights", "shared_space", "recipes", "whole_folder",
        "same_results"],
    "register_datasets": ["card"],
    "register_readers": ["name", "target", "summary"],
    "register_metrics": ["name", "target", "summary", "definition", "cutoffs", "empty_query", "paper", "bounds"],
    "register_protocols": ["name", "target", "summary", "paper", "version", "labels", "takes_rate", "touches_trusted",
                           "edits_captions"],
    "register_executors": COMPONENT,
    "register_trackers": COMPONENT,
    "register_published": ["name", "numbers", "summary", "paper"],
    "register_same_results": ["same_results"],
}  # fmt: skip
"""What plugin API 1 promised. Lines are added here, never taken away; a new API begins a new table."""

EXAMPLES = {
    "register_methods": 'register("x", Recipe("random-codes"), summary="s", paper="p")',
    "register_hashers": 'register("x", "m:X", summary="s", paper="p", parameters=(), needs=Need.TRUSTED, '
    'offers=Need.EPOCHS, uses_weights=False, takes_objective=True, phases=(Phase("a", 1),), precisions=("fp32",))',
    "register_detectors": 'register("x", "m:X", summary="s", parameters=(), needs=Need.EPOCHS, precisions=("fp32",))',
    "register_objectives": 'register("x", "m:X", summary="s", parameters=(), needs=Need.TRUSTED)',
    "register_backbones": 'register("x", "m:X", modality="text", summary="s", parameters=(), models=True, '
    'weights="optional", shared_space="clip", recipes=("standard", "other"), whole_folder=True, '
    'same_results={"a": "b"})',
    "register_datasets": 'register(Path("x.toml"))',
    "register_readers": 'register("x", "m:x", summary="s")',
    "register_metrics": 'register("x", "m:x", summary="s", definition="d", cutoffs=(1, 2), empty_query="counts 0", '
    "bounds=(0, 1))",
    "register_protocols": 'register("x", "m:x", summary="s", version=2, labels=True, takes_rate=False, '
    "touches_trusted=True, edits_captions=True)",
    "register_executors": 'register("x", "m:X", summary="s", paper="p", parameters=())',
    "register_trackers": 'register("x", "m:X", summary="s", paper="p", parameters=())',
    "register_published": 'register("x", Path("x.toml"), summary="s", paper="p")',
    "register_same_results": 'register({"a": "b"})',
}
"""A call of each hook with the arguments that it documents."""

KIND_OF_HOOK = {f"register_{plural}": kind for kind, plural in KINDS.items()}


def arguments(hook: str) -> list[str]:
    """What the ``register`` function of a hook takes, from its documented protocol."""
    annotation = typing.get_type_hints(getattr(hookspecs, hook))["register"]
    return [name for name in inspect.signature(annotation.__call__).parameters if name != "self"]


def test_every_hook_has_a_kind_an_example_a_promise_and_a_section_of_the_docs():
    assert set(HOOKS) == {*KIND_OF_HOOK, "register_same_results"}
    assert set(HOOKS) == set(EXAMPLES), "add an example to tests/kit/test_hooks.py"
    assert set(HOOKS) == set(API_1), "add the hook to API_1 in tests/kit/test_hooks.py"
    page = (DOCS / "plugin-hooks.md").read_text()
    for hook in HOOKS:
        assert f"\n## {hook}\n" in page, f"docs/plugin-hooks.md has no section {hook}"


@pytest.mark.parametrize("hook", HOOKS)
def test_every_argument_is_documented(hook):
    page = (DOCS / "plugin-hooks.md").read_text()
    section = page.partition(f"\n## {hook}\n")[2].partition("\n## ")[0]
    for name in arguments(hook):
        assert f"`{name}`" in section or f"`{name}=" in section, f"docs/plugin-hooks.md, {hook}: {name} is missing"
    assert getattr(hookspecs, hook).__doc__.strip()


@pytest.mark.parametrize("hook", HOOKS)
def test_arguments_are_only_added_within_an_api_version(hook):
    assert HARNESS_API == 1
    assert set(API_1[hook]) <= set(arguments(hook))


@pytest.mark.parametrize("hook", KIND_OF_HOOK)
def test_the_hook_registers_what_it_is_given(tmp_path, hook):
    file = tmp_path / "mine.py"
    file.write_text(
        "from pathlib import Path\nfrom harness import Need, Phase, Recipe, hookimpl\nharness_api = 1\n"
        f"@hookimpl\ndef {hook}(register):\n    {EXAMPLES[hook]}\n"
    )
    registry = load_registry([file], environment={})
    declaration = registry.get(KIND_OF_HOOK[hook], "x")
    assert declaration.plugin == "mine"
    assert declaration.file == file
    if "needs=Need.TRUSTED" in EXAMPLES[hook]:
        assert declaration.needs.names == ("trusted",)
    if hook == "register_metrics":
        assert declaration.ids == ("x@1", "x@2")


def test_edits_that_changed_no_result_keep_the_hash_of_then(tmp_path):
    file = tmp_path / "mine.py"
    code = (
        "from harness import hookimpl\nclass X:\n    pass\n"
        "@hookimpl\ndef register_detectors(register):\n    register('x', X, summary='s', parameters=())\n"
    )
    file.write_text(code)
    registry = load_registry([file], environment={})
    now = registry.source_hash(registry.get("detector", "x"))
    table = tmp_path / "table.py"
    table.write_text(
        "from harness import hookimpl\n@hookimpl\ndef register_same_results(register):\n"
        f"    register({{{now!r}: 'then'}})\n"
    )
    registry = load_registry([file, table], environment={})
    assert registry.source_hash(registry.get("detector", "x")) == "then"
    file.write_text(code + "Y = 2\n")
    registry = load_registry([file, table], environment={})
    assert registry.source_hash(registry.get("detector", "x")) not in ("then", now)
