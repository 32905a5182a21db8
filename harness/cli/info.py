"""``harness info``: everything that is declared about a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.api.catalogue import described
from harness.cli.json_output import print_json
from harness.cli.options import JSON, PLUGIN
from harness.plugin.loading import load_registry
from harness.runtime.outlets import heading, paragraph


@click.command()
@click.argument("name", metavar="NAME")
@PLUGIN
@JSON
def command(name: str, plugins: tuple[Path, ...], as_json: bool) -> None:
    """Show parameters (type, default, meaning), needs, paper and file of everything called NAME."""
    facts_of_each = described(name, load_registry(plugins))
    if as_json:
        print_json(facts_of_each)
        return
    for number, facts in enumerate(facts_of_each):
        if number:
            click.echo()
        _print(facts)


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
