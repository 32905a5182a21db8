"""``harness plugin``: write, check and list plugins."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import click

from harness.cli import LazyGroup
from harness.cli.json_output import print_json
from harness.cli.options import JSON, PLUGIN
from harness.cli.rows import print_columns
from harness.errors import HarnessError
from harness.plugin.loading import load_registry

KINDS_TO_WRITE = (
    "method", "hasher", "detector", "objective", "backbone", "dataset", "metric", "noise", "executor", "tracker",
)  # fmt: skip


@click.group(cls=LazyGroup, modules={})
def command() -> None:
    """Write, check and list plugins.

    \b
    harness plugin new my-hasher --kind hasher   a file that runs, and its test
    harness plugin check my_hasher.py            does it keep the contract?
    harness plugin list                          what was found, what is broken
    """


@command.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--kind",
    required=True,
    metavar="KIND",
    type=click.Choice(KINDS_TO_WRITE),
    help=f"What it is to be: {', '.join(KINDS_TO_WRITE)}.",
)
@click.option(
    "--folder", default=".", show_default=True, metavar="DIR", type=click.Path(path_type=Path), help="Where to write."
)
@click.option("--package", is_flag=True, help="Write a package that pip installs, in a folder NAME, not one file.")
def new(name: str, kind: str, folder: Path, package: bool) -> None:
    """Write a plugin that runs as it is, commented, and its test. Nothing is overwritten."""
    from harness.testing.scaffold import write_plugin

    written = write_plugin(name, kind, folder, package=package)
    for path in written.files:
        click.echo(f"wrote {path}")
    click.echo("Try it:")
    for line in written.commands:
        click.echo(f"  {line}")


@command.command()
@click.argument("what", metavar="FILE_OR_NAME")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Parameter that makes it small.")
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; can be repeated.")
@click.option("--quick", is_flag=True, help="Leave out the checks that start processes.")
@PLUGIN
@JSON
@click.pass_context
def check(
    context: click.Context,
    what: str,
    settings: tuple[str, ...],
    only: tuple[str, ...],
    quick: bool,
    plugins: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Check that a plugin keeps the contract: a file, an installed plugin, or anything registered.

    Each check ends as ok, as a warning, as failed with a reason and a hint, or as skipped with a reason. Exit code 1 if
    any failed.
    """
    # What the checks do on purpose (noise 0, few pairs) is no news; what a component prints is not part of the report.
    logger = logging.getLogger("harness")
    context.call_on_close(partial(logger.setLevel, logger.level))
    logger.setLevel(logging.ERROR)
    from harness.testing import bound_checks, subjects_of
    from harness.testing.outcomes import failures, printed, summary, told

    chosen: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise HarnessError(f"--set {setting}: expected KEY=VALUE.")
        chosen[key] = value
    subjects = subjects_of(what, chosen, plugins=plugins)
    outcomes = []
    for bound in bound_checks(subjects, slow=not quick, only=only):
        with told():
            outcome = bound.outcome()
        outcomes.append(outcome)
        if not as_json:
            for line in printed(outcome, outcomes[-2].subject if len(outcomes) > 1 else ""):
                click.echo(line)
    if as_json:
        print_json([vars(outcome) for outcome in outcomes])
    else:
        click.echo(summary(outcomes))
    context.exit(1 if failures(outcomes) else 0)


@command.command(name="list")
@PLUGIN
@JSON
def list_plugins(plugins: tuple[Path, ...], as_json: bool) -> None:
    """All plugins that were found: state, version, plugin API, file, and what is wrong with a broken one."""
    rows: list[dict[str, Any]] = [
        {
            "name": state.name, "state": state.state, "version": state.version, "api": state.api,
            "origin": state.origin, "file": str(state.file or ""), "error": state.error,
        }
        for state in load_registry(plugins).plugins
    ]  # fmt: skip
    if as_json:
        print_json(rows)
        return

    for row in rows:
        row["api"] = "" if row["api"] is None else f"API {row['api']}"
    print_columns(rows, ["name", "state", "version", "api", "file"])
    for row in rows:
        if row["error"]:
            click.echo(f"{row['name']}: {row['error']}", err=True)
