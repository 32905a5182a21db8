"""``harness results prune``: remove what is of no use any more."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.json_output import print_json
from harness.cli.options import JSON, RESULTS
from harness.errors import HarnessError
from harness.records.index import open_index
from harness.records.leftovers import abandoned, remove_abandoned
from harness.records.prune import Doomed, doom, prune
from harness.records.run_files import run_folder
from harness.text import counted


@click.command()
@RESULTS
@click.option("--limited", is_flag=True, help="Also runs on a limited number of images.")
@click.option("--old-code", is_flag=True, help="Also runs that tables leave out because newer code made their row.")
@click.option("--dry-run", is_flag=True, help="Show what would go; remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
def command(results: Path, limited: bool, old_code: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove runs that did not finish and what killed processes left; on request limited and superseded runs too."""
    if not (results / "runs").is_dir():
        raise HarnessError(f"no records in {results}/runs: name another folder with --results.")
    if as_json and not (yes or dry_run):
        raise HarnessError("--json cannot ask: add --yes, or --dry-run to see what would go.")
    doomed = _doomed(results, limited, old_code)
    leftovers = list(abandoned(results / "runs"))
    if as_json:
        listed = [{"folder": str(run.folder), "why": run.why} for run in doomed]
        listed += [{"folder": str(path), "why": "left by a killed process"} for path in leftovers]
    else:
        for run in doomed:
            click.echo(f"{run.folder}  {run.why}")
        for path in leftovers:
            click.echo(f"{path}  left by a killed process")
    total = len(doomed) + len(leftovers)
    if not total and not as_json:
        click.echo("nothing to remove.")
        return
    if not dry_run and total:
        if not yes and not click.confirm(f"Remove {counted(total, 'folder')} for good?"):
            click.echo("nothing was removed.")
            return
        removed, kept = prune(doomed)
        removed += remove_abandoned(results / "runs") if leftovers else 0
        for folder in kept:
            click.echo(f"note: {folder} was run again meanwhile, and stays.", err=True)
        if not as_json:
            click.echo(f"{counted(removed, 'folder')} removed.")
    elif not as_json:
        click.echo(f"{counted(total, 'folder')} would be removed.")
    if as_json:
        print_json({"dry_run": dry_run, "folders": listed})


def _doomed(results: Path, limited: bool, old_code: bool) -> list[Doomed]:
    """The runs that the options mean, each once."""
    wanted: dict[str, str] = {}
    with open_index(results) as index:
        columns = index.read(["folder", "status", "limit"])
    for folder, status, limit in zip(*columns.values(), strict=True):
        if status != "ok":
            wanted[folder] = status
        elif limited and limit is not None:
            wanted[folder] = f"limited to {limit} images"
    if old_code:
        from harness.report.frame import load_records
        from harness.report.tables import superseded

        for folder in superseded(load_records(results, metrics=(), more=("folder",)))["folder"]:
            wanted.setdefault(folder, "old code")
    return [doom(run_folder(results / "runs", folder), why) for folder, why in wanted.items()]
