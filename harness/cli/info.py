"""``harness info``: everything that is declared about a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cells.methods import resolve_method
from harness.cells.request import MethodRequest
from harness.cli.json_output import print_json
from harness.cli.options import JSON, PLUGIN
from harness.cli.outlets import heading, paragraph
from harness.errors import unknown_name
from harness.plugin.declarations import DatasetDeclaration, MethodDeclaration, PublishedDeclaration
from harness.plugin.loading import Registry, load_registry


@click.command()
@click.argument("name", metavar="NAME")
@PLUGIN
@JSON
def command(name: str, plugins: tuple[Path, ...], as_json: bool) -> None:
    """Show parameters (type, default, meaning), needs, paper and file of everything called NAME."""
    registry = load_registry(plugins)
    metric_ids = {metric_id: metric for metric in registry.all("metric") for metric_id in metric.ids}  # type: ignore[attr-defined]
    declarations = registry.matching(name) or registry.matching(name.partition("/")[0])
    if not declarations and name in metric_ids:
        declarations = [metric_ids[name]]
    if not declarations:
        raise unknown_name("name", name, [*registry.all_names(), *metric_ids])
    described = [_describe(declaration, registry) for declaration in declarations]
    if as_json:
        print_json(described)
        return
    for number, facts in enumerate(described):
        if number:
            click.echo()
        _print(facts)


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


def _lines(key: str, value: Any) -> list[str]:
    """A fact as text; one line for each entry of a list of tables."""
    if isinstance(value, dict):
        plain = {name: entry for name, entry in value.items() if not _is_tables(entry)}
        nested = [line for name, entry in value.items() if _is_tables(entry) for line in _lines(f"{key}.{name}", entry)]
        return [f"{key}: {_said(plain)}", *nested]
    if _is_tables(value):
        return [f"{key}: {_said(entry)}" for entry in value]
    return [f"{key}: {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}"]


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(entry, dict) for entry in value)


def _said(table: dict[str, Any]) -> str:
    """The entries of a table that are not empty, as text."""
    return ", ".join(
        f"{name} {' or '.join(map(str, entry)) if isinstance(entry, list | tuple) else entry}"
        for name, entry in table.items()
        if entry not in (None, "", (), [], False)
    )


def _print(facts: dict[str, Any]) -> None:
    """One declaration as text."""
    heading(f"{facts['kind']} {facts['name']}")
    for key, value in facts.items():
        if key in ("kind", "name", "parameters", "phases", "presets") or value in ("", None, [], (), {}):
            continue
        if key == "bibtex":
            click.echo("".join(f"  {line}\n" for line in value.splitlines()), nl=False)
            continue
        for line in _lines(key, value):
            paragraph(line)
    for phase in facts.get("phases", []):
        click.echo(
            f"  phase {phase['name']}: {phase['epochs']} epochs on {phase['pairs']} pairs, trust {phase['trust']}"
        )
    for name, values in facts.get("presets", {}).items():
        changed = ", ".join(f"{key}={value}" for key, value in values.items()) or "the defaults"
        paragraph(f"preset {name}: {changed}")
    if facts.get("parameters"):
        click.echo("  parameters:")
    for parameter in facts.get("parameters", []):
        click.echo(f"    {parameter['name']} = {parameter['default']}  ({parameter['type']})")
        remark = "".join(f" {value} needs {', '.join(needs)}." for value, needs in parameter.get("needs", {}).items())
        if parameter["meaning"] or remark:
            paragraph(parameter["meaning"] + remark, 8, 8)
