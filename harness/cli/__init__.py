"""The command line: one verb, one file, imported when the verb is used.

Listing the verbs imports click and nothing else, so that ``harness --help`` answers at once.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from harness.cli.leaving import exit_code, not_held_up
from harness.cli.words import check_words
from harness.errors import unknown_name
from harness.runtime.outlets import open_closed_streams, outlets
from harness.text import one_line

VERBS = {
    "run": ("harness.cli.running.run", "Train, evaluate, record and tabulate one cell or a grid of cells."),
    "sweep": ("harness.cli.running.sweep", "Run the cells of a plan file through whatever hardware there is."),
    "status": ("harness.cli.running.status", "How far a sweep is, from any terminal."),
    "list": ("harness.cli.listing", "List what is registered: methods, hashers, datasets, metrics, ..."),
    "info": ("harness.cli.info", "Parameters, defaults, needs and paper of one registered name."),
    "show": ("harness.cli.show", "Show one finished run."),
    "table": ("harness.cli.table", "Print comparison tables from the records."),
    "compare": ("harness.cli.compare", "Compare two rows: effect, interval and two paired tests."),
    "rank": ("harness.cli.rank", "Average ranks over data sets, with tests and a diagram."),
    "plot": ("harness.cli.plot", "Draw figures from the records: curves, trust, codes, ranks."),
    "results": ("harness.cli.results", "Records together: list, query, merge, prune, verify, export."),
    "evaluate": ("harness.cli.evaluate", "Score codes of any other program with the same metrics."),
    "score": ("harness.cli.score", "Compute metrics again from the codes of finished runs."),
    "plugin": ("harness.cli.plugin", "Write, check and list plugins: new, check, list."),
    "data": ("harness.cli.data", "Data sets: list, info, check, fetch, audit, export."),
    "features": ("harness.cli.features", "Cached features: list, build, prune, export."),
    "doctor": ("harness.cli.doctor", "Check installation, plugins, devices and folders."),
}
"""Verb to module and one-line help; the module has a click command named ``command``."""


class LazyGroup(click.Group):
    """Verbs of the group's own file, and verbs whose modules are imported when they are used.

    Args:
        modules: Verb to the module that holds it, as a click command named ``command``.
        lines: Verb to its help in one line, which spares the help of the group the import of all modules; without them
            the modules are asked, which must import nothing heavy then.
        settings: As of :class:`click.Group`.
    """

    def __init__(self, *, modules: Mapping[str, str], lines: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.modules = modules
        self.lines = lines

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs of the group's own file, then the others in the order given."""
        return [*super().list_commands(ctx), *self.modules]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The click command of a verb; None where there is no such verb."""
        if cmd_name in self.modules:
            command: click.Command = importlib.import_module(self.modules[cmd_name]).command
            return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for an unknown verb."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            what = f"verb of harness {ctx.info_name}" if ctx.parent else "verb"
            raise click.UsageError(str(unknown_name(what, args[0], known)), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Verbs with their help in one line, without importing them where the lines were given."""
        if self.lines is None:
            super().format_commands(ctx, formatter)
            return
        with formatter.section("Commands"):
            formatter.write_dl(list(self.lines.items()))


@click.group(
    cls=LazyGroup,
    modules={verb: module for verb, (module, _) in VERBS.items()},
    lines={verb: line for verb, (_, line) in VERBS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="noisy-hashing-harness", prog_name="harness")
def cli() -> None:
    """Benchmark harness for unsupervised cross-modal hashing under noisy image-text pairs.

    \b
    harness run --method chnr --noise 0.4          one cell on the toy data
    harness run --method chnr,cca-itq --noise 0,0.4 --seed 0-4
    harness list methods                           what there is
    """


class _Notes(logging.Handler):
    """Prints each log record of the harness as one line on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"note: {one_line(record.getMessage())}", err=True, color=True)


def main() -> None:
    """Entry point of the ``harness`` script: the process ends with the command."""
    with not_held_up():
        _command()


def _command() -> None:
    """Run the command line: errors become one sentence and an exit code."""
    logger = logging.getLogger("harness")
    logger.propagate = False
    logger.handlers = [_Notes()]
    logging.getLogger("harness_plugins").handlers = [_Notes()]  # our own plugins, which readers are, warn as the core
    # OpenMP's threads spin while they wait for each other; where another program has one of the cores, that made the
    # same cell up to ten times as slow (docs/benchmarks.md). It must be said before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    open_closed_streams()
    with outlets():
        code = exit_code(_verb)
    sys.exit(code)


def _verb() -> object:
    """Run the verb that the words of this process name."""
    words = sys.argv[1:]
    check_words(words)
    # "color" leaves colours in texts to the outlets; click would take them out of what names contain.
    return cli.main(words, prog_name="harness", standalone_mode=False, color=True)
