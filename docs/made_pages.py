"""Pages of the docs that are made, not written: the command line, the catalogue of what is registered, and Python.

``make docs``, that is ``python docs/made_pages.py docs``, writes them; a test of the suite compares them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from harness.plugin.loading import Registry

WIDTH = 110
MADE = "<!-- Made by `make docs`; edits here are lost. -->"
OWN = "noisy-hashing-harness"

INTRODUCTIONS = {
    "method": "`--method NAME`; `harness info NAME` shows every parameter with its meaning.",
    "hasher": "`--hasher NAME` replaces the hasher of a method.",
    "detector": "`--detector NAME` replaces the noise detector of a method.",
    "objective": "`--objective NAME`, for hashers that let their loss be chosen.",
    "protocol": "`--protocol NAME`: how captions are made wrong.",
    "metric": "Computed and stored with every run; the definitions are in docs/protocols-and-metrics.md.",
    "backbone": "`--image-backbone NAME`, `--text-backbone NAME`.",
    "dataset": "`--dataset NAME`.",
    "reader": "Layouts that a card of a data set can name.",
    "executor": "`--executor NAME`: where cells are run.",
    "tracker": "`--tracker NAME`: who hears of runs.",
}
"""Kind to what is said of it; other kinds are listed too."""


def pages() -> dict[str, str]:
    """Name of each made page to its content."""
    import python_page

    return {
        "cli.md": command_line_page(),
        "catalogue.md": catalogue_page(),
        "python-reference.md": python_page.content(MADE, _table),
    }


def write(folder: Path) -> list[Path]:
    """Write all pages into a folder."""
    written = []
    for name, content in pages().items():
        path = folder / name
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written


def command_line_page() -> str:
    """The ``--help`` of every verb."""
    from harness.cli import cli

    parts = ["# Command line", MADE, "What `--help` says, verb by verb."]
    for words, text in _helps(cli, ("harness",)):
        parts += [f"## {' '.join(words)}", f"```text\n{text}\n```"]
    return "\n\n".join(parts) + "\n"


def _helps(command: click.Command, words: tuple[str, ...], parent: click.Context | None = None) -> Iterator[Any]:
    """Words and help of a command and of all below it."""
    context = click.Context(
        command, info_name=words[-1], parent=parent, terminal_width=WIDTH, max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )  # fmt: skip
    yield words, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _helps(below, (*words, name), context)


def catalogue_page(registry: Registry | None = None) -> str:
    """Everything that our own plugins register."""
    from harness.plugin.loading import KINDS, load_registry

    registry = registry or load_registry(environment={})
    ours = {state.name for state in registry.plugins if state.origin.partition(" ")[0] == OWN}
    parts = ["# Catalogue", MADE, "What is registered when nothing but the harness is installed, from the registry."]
    kinds = [*INTRODUCTIONS, *(kind for kind in KINDS if kind not in INTRODUCTIONS)]
    for kind in kinds:
        found = [one for one in registry.all(kind) if one.plugin in ours] if kind in KINDS else []
        if not found:
            continue
        parts += [f"## {KINDS[kind].capitalize()}", INTRODUCTIONS.get(kind, "")]
        parts.append(_table([_row(one, registry) for one in found]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(declaration: Any, registry: Registry) -> dict[str, str]:
    """What a table says of one declaration; columns that are empty throughout are left out."""
    needs = getattr(declaration, "needs", None)
    recipe = getattr(declaration, "recipe", None)
    row = {"name": f"`{declaration.name}`", "what it is": declaration.summary}
    if recipe is not None:
        row["made of"] = " + ".join(name for name in (recipe.hasher, recipe.detector, recipe.objective) if name)
        row["presets"] = ", ".join(recipe.presets)
    if getattr(declaration, "ids", None):
        row["ids"] = ", ".join(f"`{metric_id}`" for metric_id in declaration.ids)
    if declaration.kind == "backbone":
        row["name"] = f"`{declaration.name}/MODEL`" if declaration.models else row["name"]
        row["for"] = declaration.modality
        row["shared space"] = declaration.shared_space
    if declaration.kind == "dataset":
        row["what it is"] = _title(declaration.card)
    if needs:
        row["needs"] = ", ".join(needs.names)
    offers = getattr(declaration, "offers", None)
    if offers:
        row["offers"] = ", ".join(offers.names)
    if declaration.kind in ("hasher", "detector", "objective", "backbone", "executor", "tracker"):
        row["parameters"] = ", ".join(f"{one.name}={one.default}" for one in declaration.parameters)
    row["paper"] = declaration.paper
    return row


def _title(card: Path) -> str:
    from harness.api.catalogue import title_of_card

    return title_of_card(card)


def _table(rows: list[dict[str, str]]) -> str:
    columns = [name for name in dict.fromkeys(key for row in rows for key in row) if any(row.get(name) for row in rows)]
    lines = [columns, ["---"] * len(columns)]
    lines += [[row.get(name, "").replace("|", "\\|").replace("\n", " ") for name in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    for page in write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")):
        click.echo(f"wrote {page}")
