"""``harness results merge``: results of several machines in one folder."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path

import click

from harness.cli.json_output import print_json
from harness.cli.options import JSON, RESULTS
from harness.errors import HarnessError
from harness.records.archive import is_archive, unpacked
from harness.records.merge import merge
from harness.text import counted

SAID = {
    "added": "{runs} added",
    "better": "{runs} that had not finished here replaced",
    "same": "{runs} here already",
    "worse": "{runs} left out: unfinished there, and here already",
}


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path(path_type=Path))
@RESULTS
@click.option("--dry-run", is_flag=True, help="Check and count; copy nothing.")
@JSON
def command(sources: tuple[Path, ...], results: Path, dry_run: bool, as_json: bool) -> None:
    """Copy the runs of other results folders, or archives of `harness results export`, into --results.

    Finished runs beat unfinished ones; where both sides finished, this side's run stays. Data that contradict each
    other stop the merge before anything is copied.
    """
    with ExitStack() as stack:
        folders = []
        for source in sources:
            if not source.exists():
                raise HarnessError(f"{source}: there is no such folder or archive.")
            if source.is_file() and not is_archive(source):
                raise HarnessError(
                    f"{source}: expected a results folder, or an archive NAME.tar.gz, NAME.tgz, NAME.zip."
                )
            folders.append((str(source), stack.enter_context(unpacked(source)) if source.is_file() else source))
        merged = merge(folders, results, dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, **dataclasses.asdict(merged)})
    else:
        parts = [
            text.format(runs=counted(len(of_kind), "run"))
            for kind, text in SAID.items()
            if (of_kind := getattr(merged, kind))
        ]
        click.echo(f"{results}{' would get' if dry_run else ''}: {'; '.join(parts) or 'nothing new'}.")
    for folder in merged.differ:
        click.echo(
            f"note: {folder} finished on both sides with different codes; the one in {results} stays "
            "(`harness results verify` tells which one this machine makes).",
            err=True,
        )
