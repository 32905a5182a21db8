"""``harness data check``: are the files of a data set complete and in order?"""

from __future__ import annotations

from pathlib import Path

import click

from harness.api.arguments import default_data_root
from harness.cli.data import DATA_ROOT
from harness.cli.json_output import print_json
from harness.cli.options import JSON, PLUGIN
from harness.plugin.loading import load_registry
from harness.runtime.outlets import bars_shown


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@DATA_ROOT
@click.option("--deep", is_flag=True, help="Decode every image, to find those that are damaged.")
@PLUGIN
@JSON
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    data_root: Path | None,
    deep: bool,
    plugins: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Say which files are missing, where they belong, and what is wrong with those that are there.

    The exit code is 1 if anything is wrong. Images that no annotation names are mentioned, and are no fault.
    """
    from harness.data.features.sources import card_of
    from harness.data.sets.check import check

    registry = load_registry(plugins)
    root = data_root or default_data_root()
    reports = []
    harmful = 0
    for name in names:
        card = card_of(registry, name)
        with bars_shown("items") as watch:
            findings = check(registry, card, root, deep=deep, watch=watch)
        wrong = sum(finding.harmful for finding in findings)
        harmful += wrong
        reports.append(
            {
                "name": card.name,
                "in_order": not wrong,
                "findings": [
                    {"kind": one.kind, "path": str(one.path), "text": one.text, "files": list(one.files)}
                    for one in findings
                ],
            }
        )
        if not as_json:
            if not wrong:
                deeply = ", every image decoded" if deep else ""
                click.echo(f"{card.name}: in order{deeply}" if card.layout else f"{card.name}: made on the spot")
            for one in findings:
                click.echo(f"{card.name}: {one.kind}: {one.text}")
            if wrong and card.sources:
                by_hand = all(source.by_hand for source in card.sources)
                command = f"harness data fetch {card.name}"
                click.echo(
                    f"{card.name}: `{command} --dry-run` says how to get it by hand"
                    if by_hand
                    else f"{card.name}: `{command}` gets what can be downloaded"
                )
    if as_json:
        print_json(reports)
    ctx.exit(1 if harmful else 0)
