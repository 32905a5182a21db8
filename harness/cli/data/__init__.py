"""``harness data``: data sets and their files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from harness.api.arguments import default_data_root
from harness.cli import LazyGroup
from harness.cli.json_output import print_json
from harness.cli.options import JSON, PLUGIN, data_root_option
from harness.cli.rows import print_columns
from harness.data.sets.folder import card_content, find_folder, found_word
from harness.errors import HarnessError
from harness.plugin.loading import load_registry
from harness.runtime.outlets import heading, paragraph

MODULES = {
    "check": "harness.cli.data.check",
    "fetch": "harness.cli.data.fetch",
    "audit": "harness.cli.data.audit",
    "export": "harness.cli.data.export",
}

DATA_ROOT = data_root_option("$HARNESS_DATA")

REHASH = click.option(
    "--rehash", is_flag=True, help="Read every file again, even where nothing says that it has changed (docs/data.md)."
)


@click.group(cls=LazyGroup, modules=MODULES)
def command() -> None:
    """List, describe, check, fetch and audit data sets; export the data of a cell (docs/data.md)."""


def read_files_again(wanted: bool) -> None:
    """Where ``--rehash`` was given, this process and those it starts read every file of the data again."""
    if wanted:
        os.environ["HARNESS_REHASH"] = "1"


@command.command("list")
@DATA_ROOT
@PLUGIN
@JSON
def list_(data_root: Path | None, plugins: tuple[Path, ...], as_json: bool) -> None:
    """List data sets: images, classes, captions, and whether their files are below the data root."""
    root = data_root or default_data_root()
    registry = load_registry(plugins)
    rows: list[dict[str, Any]] = []
    for declaration in registry.all("dataset"):
        row: dict[str, Any] = {"name": declaration.name}
        try:
            card = card_content(declaration.card)  # type: ignore[attr-defined]
            row |= {key: card.get(key) for key in ("title", "images", "classes", "captions_per_image", "labels")}
            row["found"] = found_word(card, root)
        except HarnessError as error:
            row["found"] = str(error)
        rows.append(row)
    if as_json:
        print_json(rows)
        return
    columns = ["name", "images", "classes", "captions", "found", "title"]
    cells = [{column: _cell(row, column) for column in columns} for row in rows]
    print_columns([{column: column for column in columns}, *cells], columns)


def _cell(row: dict[str, Any], column: str) -> str:
    """A value as the list shows it; 0, for a number that only the files tell, is shown as nothing or "vary"."""
    if column == "captions":
        number = row.get("captions_per_image")
        return "vary" if number == 0 else "" if number is None else f"{number} each"
    value = row.get(column)
    return "" if value in (0, None) else f"{value:,}" if isinstance(value, int) else str(value)


@command.command()
@click.argument("name", metavar="NAME")
@DATA_ROOT
@PLUGIN
@JSON
def info(name: str, data_root: Path | None, plugins: tuple[Path, ...], as_json: bool) -> None:
    """Show everything on the card of a data set: size, labels, layout, sources, splits, licence, citation."""
    from harness.data.features.sources import card_of

    registry = load_registry(plugins)
    card = card_of(registry, name).model_dump()
    folder = find_folder(card["layout"], data_root or default_data_root()) if card["layout"] else None
    if as_json:
        print_json({**card, "found": None if folder is None else str(folder)})
        return
    _print_card(card, folder)


def _print_card(card: dict[str, Any], folder: Path | None) -> None:
    def say(key: str, value: object) -> None:
        if value not in ("", None, (), [], {}):
            paragraph(f"{key}: {value}")

    heading(f"dataset {card['name']}: {card['title']}")
    for key in ("images", "classes", "captions_per_image"):
        say(key.replace("_", " "), card[key] or "as the files say")
    for key in ("labels", "image_size", "paper", "licence", "source", "remark", "reader"):
        say(key.replace("_", " "), card[key])
    say("reader's parameters", ", ".join(f"{key}={value}" for key, value in card["reading"].items()))
    say("class names", ", ".join(card["class_names"]))
    if card["backbones"]:
        for modality in ("image", "text"):
            weights = card["backbones"][f"{modality}_weights"]
            say(f"{modality} backbone", card["backbones"][modality] + (f" with {weights}" if weights else ""))
    say("split", card["split"])
    say("published parts", ", ".join(f"{part['name']} {part['images']}" for part in card["parts"]))
    if card["protocol"]:
        protocol = card["protocol"]
        say("protocol", f"{protocol['queries']} queries, {protocol['training'] or 'all other images'} for training")
    layout = card["layout"]
    if layout is None:
        say("files", "none: made on the spot")
    else:
        say("found", folder or "no")
        others = "".join(f" or {name}/" for name in layout["other_folders"])
        click.echo(f"  files, below the data root in {layout['folder']}/{others}:")
        for line in _layout_lines(layout):
            click.echo(f"    {line}")
    if card["sources"]:
        click.echo("  sources:")
    for source in card["sources"]:
        size = f", {source['size']:,} bytes" if source["size"] else ""
        by_hand = " (by hand)" if source["kind"] == "page" else ""
        remark = f"  {source['remark']}" if source["remark"] else ""
        click.echo(f"    {source['address']}{by_hand}{size}{remark}")
        if source["sha256"]:
            click.echo(f"      sha256 {source['sha256']}")
    if card["bibtex"]:
        click.echo(card["bibtex"].strip())


def _layout_lines(layout: dict[str, Any]) -> list[str]:
    if not layout["files"]:
        return [text for text in (layout["annotations"], f"{layout['images']}/" if layout["images"] else "") if text]
    lines = []
    for entry in layout["files"]:
        words = [entry["path"] + ("/" if entry["kind"] == "folder" else "")]
        words += [f"{entry['count']} files"] if entry["count"] else []
        words += [f"layout {entry['layout']}"] if entry["layout"] else []
        words += ["may be missing"] if entry["optional"] else []
        words += [entry["remark"]] if entry["remark"] else []
        lines.append(", ".join(words))
    return lines
