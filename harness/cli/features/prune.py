"""``harness features prune``: remove features from the cache."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.features import matches, row_of, size_shown
from harness.cli.json_output import print_json
from harness.cli.options import JSON, PLUGIN
from harness.cli.rows import aligned
from harness.errors import HarnessError
from harness.plugin.loading import load_registry
from harness.quantities import seconds_of, size_of
from harness.text import counted

if TYPE_CHECKING:
    from harness.data.features.cache_entries import Entry


@click.command()
@click.option("--unused-for", metavar="TIME", help="Those that have not been used for so long: 12h, 30d.")
@click.option("--larger-than", metavar="SIZE", help="Those that are larger: 500MB.")
@click.option("--keep", metavar="SIZE", help="Those used longest ago, until the cache is no larger than this: 20GB.")
@click.option("--backbone", metavar="NAME", help="Those of this backbone, or family of backbones.")
@click.option("--dataset", metavar="NAME", help="Those of this data set.")
@click.option(
    "--unreachable", is_flag=True, help="Those that nothing can ask for, with the libraries and plugins of today."
)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--dry-run", is_flag=True, help="Show what would go; remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@PLUGIN
@JSON
def command(
    unused_for: str | None,
    larger_than: str | None,
    keep: str | None,
    backbone: str | None,
    dataset: str | None,
    unreachable: bool,
    everything: bool,
    dry_run: bool,
    yes: bool,
    plugins: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Remove features from the cache; without options only what is damaged or was never finished.

    An entry goes if one of --unreachable, --all and --keep means it, or if it fulfils all of --unused-for,
    --larger-than, --backbone and --dataset that are given. What a process is computing stays.
    """
    from harness.data.features.cache_entries import cache_entries, remove_entry, why_unreachable

    if as_json and not (yes or dry_run):
        raise HarnessError("--json cannot ask: add --yes, or --dry-run to see what would go.")
    entries = cache_entries()
    doomed: dict[Path, tuple[Entry, str]] = {entry.folder: (entry, entry.damage) for entry in entries if entry.damage}

    def doom(entry: Entry, why: str) -> None:
        doomed.setdefault(entry.folder, (entry, why))

    before = time.time() - seconds_of(unused_for, "--unused-for") if unused_for else None
    least = size_of(larger_than, "--larger-than") if larger_than else None
    most = size_of(keep, "--keep") if keep else None
    if any(value is not None for value in (before, least, backbone, dataset)):
        for entry in entries:
            if (
                matches(entry, dataset, backbone)
                and (before is None or entry.used < before)
                and (least is None or entry.size > least)
            ):
                doom(entry, "as asked for")
    if everything:
        for entry in entries:
            doom(entry, "as asked for")
    if unreachable:
        for entry, why in why_unreachable(entries, load_registry(plugins)):
            doom(entry, why)
    if most is not None:
        total = 0
        for entry in entries:  # what was used last comes first
            if entry.folder not in doomed:
                total += entry.size
                if total > most:
                    doom(entry, f"beyond {keep}")
    listed = [{**entry.facts(), "why": why} for entry, why in doomed.values()]
    if not as_json:
        _show(list(doomed.values()), dry_run)
    if not doomed or dry_run:
        if as_json:
            print_json({"dry_run": dry_run, "entries": listed, "removed": []})
        return
    if not yes and not click.confirm(f"Remove {counted(len(doomed), 'entry', 'entries')} for good?"):
        click.echo("nothing was removed.")
        return
    removed = []
    for entry, _ in doomed.values():
        if remove_entry(entry):
            removed.append(entry)
        else:
            click.echo(f"note: {entry.folder.name} is in use by a running process, and stays.", err=True)
    if as_json:
        names = [entry.folder.name for entry in removed]
        print_json({"dry_run": dry_run, "entries": listed, "removed": names})
    else:
        freed = size_shown(sum(entry.size for entry in removed))
        click.echo(f"{counted(len(removed), 'entry', 'entries')} removed, {freed} freed.")


def _show(doomed: list[tuple[Entry, str]], dry_run: bool) -> None:
    if not doomed:
        click.echo("nothing to remove.")
        return
    shown = ("entry", "data", "backbone", "size", "last use")
    rows = [{**{name: row_of(entry)[name] for name in shown}, "why": why} for entry, why in doomed]
    click.echo(aligned(rows, headers="keys"))
    if dry_run:
        size = size_shown(sum(entry.size for entry, _ in doomed))
        click.echo(f"{counted(len(doomed), 'entry', 'entries')}, {size}, would be removed.")
