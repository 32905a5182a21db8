"""What is registered: ``harness.list`` and ``harness.info``, and the verbs of these names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.inputs import registry_with
from harness.cells.methods import resolve_method
from harness.cells.request import MethodRequest
from harness.errors import HarnessError, unknown_name
from harness.plugin.declarations import (
    BackboneDeclaration,
    Component,
    DatasetDeclaration,
    MethodDeclaration,
    MetricDeclaration,
    PublishedDeclaration,
)
from harness.plugin.loading import KINDS, Registry
from harness.text import counted

if TYPE_CHECKING:
    import pandas as pd

LISTED = (
    "methods", "detectors", "hashers", "objectives", "backbones", "datasets", "readers", "metrics", "protocols",
    "executors", "trackers", "published", "plugins",
)  # fmt: skip


def list_registered(what: str, *, plugins: Any = ()) -> pd.DataFrame:
    """What is registered, as ``harness list`` shows it.

    Args:
        what: methods, detectors, hashers, objectives, backbones, datasets, readers, metrics, protocols, executors,
            trackers, published (numbers of papers) or plugins.
        plugins: Plugin files, modules, or classes of this session that are loaded besides.

    Returns:
        One row for each name: ``name``, ``summary``, ``needs`` and what else there is to say.

    Raises:
        HarnessError: There is no such kind of thing, or a plugin is broken.
    """
    import pandas as pd

    from harness.runtime.outlets import notes_as_warnings, warn

    with notes_as_warnings():
        rows, broken = rows_of(what, registry_with(plugins))
        for note in broken:
            warn(note)
    return pd.DataFrame(rows)


def info(name: str, *, plugins: Any = ()) -> dict[str, dict[str, Any]]:
    """Everything that is declared about a name, as ``harness info`` shows it.

    Args:
        name: A method, hasher, detector, data set, metric id or whatever else is registered.
        plugins: As of :func:`harness.list`.

    Returns:
        For each kind of thing that has the name, ``"method"`` for instance, its facts: summary, paper, parameters with
        type, default and meaning, needs, file.

    Raises:
        HarnessError: Nothing has the name; near names are suggested.
    """
    from harness.runtime.outlets import notes_as_warnings

    with notes_as_warnings():
        return {facts["kind"]: facts for facts in described(name, registry_with(plugins))}


def rows_of(what: str, registry: Registry) -> tuple[list[dict[str, Any]], list[str]]:
    """One row for each name that a user can write, and which plugins are left out.

    Raises:
        HarnessError: ``what`` is none of :data:`LISTED`.
    """
    if not what:
        raise HarnessError(f"name what to list, for example `harness list methods`; known: {', '.join(LISTED)}.")
    if what not in LISTED:
        raise unknown_name("kind", what, LISTED)
    if what == "plugins":
        states = [
            {"name": one.name, "state": one.error or "loaded", "origin": one.origin, "file": str(one.file or "")}
            for one in registry.plugins
        ]
        return states, []
    kind = next(singular for singular, plural in KINDS.items() if plural == what)
    rows = [row for declaration in registry.all(kind) for row in _rows(declaration)]
    return rows, [f"plugin {one.name} is left out: {one.error}" for one in registry.plugins if one.error]


def _rows(declaration: Any) -> list[dict[str, Any]]:
    """One row for each name that a user can write."""
    row: dict[str, Any] = {"name": declaration.name, "summary": declaration.summary, "plugin": declaration.plugin}
    if isinstance(declaration, MetricDeclaration):
        return [{**row, "name": metric_id, "definition": declaration.definition} for metric_id in declaration.ids]
    if isinstance(declaration, BackboneDeclaration):
        name = f"{declaration.name}/MODEL" if declaration.models else declaration.name
        return [{**row, "name": name, "modality": declaration.modality}]
    if isinstance(declaration, DatasetDeclaration):
        return [{**row, "summary": title_of_card(declaration.card)}]
    if isinstance(declaration, Component):
        row["needs"] = ", ".join(declaration.needs.names)
    return [row]


def title_of_card(path: Path) -> str:
    """Title and size, read without the schema, which would cost the import of pydantic."""
    from harness.data.sets.folder import card_content

    try:
        card = card_content(path)
        facts = (
            (card["images"], counted(card["images"], "image")),
            (card["classes"], counted(card["classes"], "class", "classes")),
            (card["captions_per_image"], f"{counted(card['captions_per_image'], 'caption')} each"),
        )
        known = ", ".join(text for number, text in facts if number)  # 0: the files alone say it
        return f"{card['title']}: {known}" if known else card["title"]
    except (HarnessError, KeyError, TypeError) as error:
        return f"the card is wrong ({error}); `harness info` says more"


def described(name: str, registry: Registry) -> list[dict[str, Any]]:
    """The facts of everything that has a name.

    Raises:
        HarnessError: Nothing has it.
    """
    metric_ids = {metric_id: metric for metric in registry.all("metric") for metric_id in metric.ids}  # type: ignore[attr-defined]
    declarations = registry.matching(name) or registry.matching(name.partition("/")[0])
    if not declarations and name in metric_ids:
        declarations = [metric_ids[name]]
    if not declarations:
        raise unknown_name("name", name, [*registry.all_names(), *metric_ids])
    return [_describe(declaration, registry) for declaration in declarations]


def _describe(declaration: Any, registry: Registry) -> dict[str, Any]:
    facts: dict[str, Any] = declaration.described()
    if isinstance(declaration, MethodDeclaration):
        facts.update(_method_facts(declaration, registry))
    elif isinstance(declaration, PublishedDeclaration):
        from harness.report.published import read_published

        numbers = read_published(declaration.numbers, declaration.name)
        facts.update(
            numbers=len(numbers), addresses=sorted({one.address for one in numbers}), toml=str(declaration.numbers),
            datasets=sorted({number.dataset for number in numbers}), metrics=sorted({one.metric for one in numbers}),
            methods={one.method: one.corresponds_to for one in numbers},
        )  # fmt: skip
    elif isinstance(declaration, DatasetDeclaration):
        from harness.data.cards import read_card

        facts.update(
            read_card(declaration.card).model_dump(exclude={"name", "paper"}), paper=read_card(declaration.card).paper
        )
    return facts


def _method_facts(declaration: Any, registry: Registry) -> dict[str, Any]:
    """The recipe with every parameter at the method's own default."""
    resolved = resolve_method(registry, MethodRequest(declaration.name))
    known = {
        f"{role}.{parameter.name}": parameter
        for role, component in resolved.components.items()
        for parameter in component.parameters
    }
    return {
        "hasher": declaration.recipe.hasher,
        "detector": declaration.recipe.detector,
        "objective": declaration.recipe.objective,
        "phases": [
            {"name": phase.name, "epochs": phase.epochs, "pairs": phase.pairs, "trust": phase.trust}
            for phase in resolved.phases
        ],
        "presets": {"described": {}, **{name: dict(values) for name, values in declaration.recipe.presets.items()}},
        "needs": list(resolved.needs.names),
        "published": _published(declaration.name, registry),
        "parameters": [parameter.described(resolved.parameters[key], key) for key, parameter in known.items()],
    }


def _published(method: str, registry: Registry) -> list[dict[str, Any]]:
    """Which papers print numbers of a method, and where."""
    from harness.report.published import load_published

    printed_in: dict[tuple[str, ...], list[Any]] = {}
    for number in load_published(registry, []):
        if number.corresponds_to == method:
            key = number.name, number.method, number.metric, number.dataset, number.preset
            printed_in.setdefault(key, []).append(number)
    return [
        {
            "in": name, "as": printed, "metric": metric, "dataset": dataset, "preset": preset,
            "bits": sorted({number.bits for number in numbers}), "noise": sorted({number.noise for number in numbers}),
            "numbers": len(numbers),
        }
        for (name, printed, metric, dataset, preset), numbers in printed_in.items()
    ]  # fmt: skip
