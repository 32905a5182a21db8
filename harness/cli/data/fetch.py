"""``harness data fetch``: download the files of a data set."""

from __future__ import annotations

from pathlib import Path

import click

from harness.api.arguments import default_data_root
from harness.cli.data import DATA_ROOT
from harness.cli.features import size_shown
from harness.cli.options import PLUGIN
from harness.data.sets.download import Patience
from harness.errors import HarnessError
from harness.plugin.loading import load_registry
from harness.runtime.outlets import bars_shown


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@DATA_ROOT
@click.option("--dry-run", is_flag=True, help="Show what would be fetched, and where it would go.")
@click.option("--again", is_flag=True, help="Also what was fetched before.")
@click.option("--timeout", default=30.0, show_default=True, metavar="SECONDS", help="Longest wait for a server.")
@click.option("--tries", default=5, show_default=True, metavar="N", help="Tries before a download is given up.")
@PLUGIN
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    data_root: Path | None,
    dry_run: bool,
    again: bool,
    timeout: float,
    tries: int,
    plugins: tuple[Path, ...],
) -> None:
    """Download the files of data sets into the data root, check and unpack them.

    An interrupted download goes on where it stopped. What has no public address is named, with the place where it
    belongs; the exit code is then 1, and so is that of a dry run that could fetch nothing. Please mind the licences
    that `harness data info NAME` shows.
    """
    from harness.data.features.sources import card_of
    from harness.data.sets.check import check
    from harness.data.sets.fetch import fetch, plan

    if timeout <= 0 or tries < 1:
        raise HarnessError(f"--timeout {timeout:g} --tries {tries}: expected a time above 0 and at least one try.")
    registry = load_registry(plugins)
    root = data_root or default_data_root()
    if root is None:
        raise HarnessError("no folder to fetch into: give --data-root DIR or set HARNESS_DATA.")
    by_hand = 0
    for name in names:
        card = card_of(registry, name)
        if card.layout is None:
            click.echo(f"{card.name}: made on the spot, there is nothing to fetch")
            continue
        if dry_run:
            steps = plan(card, root, again=again)
            states = {step.state for step in steps}
            by_hand += "by hand" in states and not states & {"fetch", "put"}
            for step in steps:
                size = f" ({size_shown(step.source.size)})" if step.source.size else ""
                said = {
                    "there": f"{step.name or step.source.address} is there already",
                    "put": f"{step.file} would be checked and put into {step.place}",
                    "fetch": f"{step.source.address}{size} would go into {step.place}",
                    "by hand": step.advice,
                }[step.state]
                click.echo(f"{card.name}: {said}")
            continue
        with bars_shown("bytes") as watch:
            steps = fetch(card, root, patience=Patience(tries=tries, timeout=timeout), watch=watch, again=again)
        for step in steps:
            if step.state == "by hand":
                by_hand += 1
                click.echo(f"{card.name}: {step.advice}")
            else:
                done = "was there already" if step.state == "there" else f"is in {step.place}"
                click.echo(f"{card.name}: {step.name or step.source.address} {done}")
        findings = [finding for finding in check(registry, card, root) if finding.harmful]
        for finding in findings:
            click.echo(f"{card.name}: {finding.kind}: {finding.text}")
        by_hand += bool(findings)
        if not findings:
            click.echo(f"{card.name}: in order")
    ctx.exit(1 if by_hand else 0)
