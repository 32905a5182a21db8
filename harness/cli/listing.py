"""``harness list``: what is registered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.json_output import print_json
from harness.cli.options import JSON, PLUGIN
from harness.cli.rows import print_columns
from harness.errors import HarnessError, unknown_name
from harness.plugin.declarations import BackboneDeclaration, Component, DatasetDeclaration, MetricDeclaration
from harness.plugin.loading import KINDS, load_registry
from harness.text import counted

LISTED = (
    "methods", "detectors", "hashers", "objectives", "backbones", "datasets", "readers", "metrics", "protocols",
    "executors", "trackers", "published", "plugins",
)  # fmt: skip


@click.command()
@click.argument("what", metavar="WHAT", default="")
@PLUGIN
@JSON
def command(what: str, plugins: tuple[Path, ...], as_json: bool) -> None:
    """List what is registered.

    WHAT: methods, detectors, hashers, objectives, backbones, datasets, readers, metrics, protocols, executors,
    trackers, published (numbers of papers) or plugins.
    """
    if not what:
        raise HarnessError(f"name what to list, for example `harness list methods`; known: {', '.join(LISTED)}.")
    if what not in LISTED:
        raise unknown_name("kind", what, LISTED)
    registry = load_registry(plugins)
    if what == "plugins":
        rows = [
            {
                "name": state.name,
                "state": state.error or "loaded",
                "origin": state.origin,
                "file": str(state.file or ""),
            }
            for state in registry.plugins
        ]
    else:
        kind = next(singular for singular, plural in KINDS.items() if plural == what)
        rows = [row for declaration in registry.all(kind) for row in _rows(declaration)]
    if as_json:
        print_json(rows)
    else:
        columns = ("name", "state", "file") if what == "plugins" else ("name", "summary", "needs")
        print_columns(rows, [column for column in columns if any(row.get(column) for row in rows)])
    for state in registry.plugins:
        if state.error and what != "plugins":
            click.echo(f"note: plugin {state.name} is left out: {state.error}", err=True)


def _rows(declaration: Any) -> list[dict[str, Any]]:
    """The rows of a declaration: one for each name by which a user can refer to it."""
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
