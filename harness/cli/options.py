"""Options that several verbs share, help in sections, and the step from options to the requests of a grid."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from harness.api.arguments import grid_of
from harness.cells import axes
from harness.cells.options import Option
from harness.cells.request import DECLARED, OPTIONS, CellRequest
from harness.cli.json_output import claim_stdout

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

UNGROUPED = "Options"


class GroupedOption(click.Option):
    """An option that says to which section of the help it belongs.

    Args:
        words: As of :class:`click.Option`.
        group: Title of the section.
        settings: As of :class:`click.Option`.
    """

    def __init__(self, *words: Any, group: str, **settings: Any) -> None:
        super().__init__(*words, **settings)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help has a section for each group, in the order in which the groups first appear."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does, section by section; options without a group stand under "Options"."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            line = parameter.get_help_record(ctx)
            if line is not None:
                sections.setdefault(getattr(parameter, "group", UNGROUPED), []).append(line)
        for title, lines in sections.items():
            with formatter.section(title):
                formatter.write_dl(lines)


def options_of(group: str) -> Callable[..., Decorator]:
    """``click.option`` for the options of one group."""
    return partial(click.option, cls=GroupedOption, group=group)


METHOD = options_of("Method")
DATA = options_of("Data")
RUNNING = options_of("Running")
OUTPUT = options_of("Results")

PLUGIN = METHOD(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE.py",
    type=click.Path(path_type=Path),
    help="Load a one-file plugin.",
)

SETTINGS = METHOD(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Parameter of the components that have it (hasher.beta=0.01, phase.warm-up.epochs=50). A comma list is an "
    "axis.",
)


def declared(option: Option) -> Decorator:
    """The option as click takes it; the values of axes are read later, by :func:`given_of`."""
    return options_of(option.group)(
        option.flag,
        option.argument,
        multiple=option.varies is not None or option.repeats,
        is_flag=option.is_switch or None,  # click takes False for a flag that may have a value
        default=option.default if option.shows_default else None,
        show_default=option.shows_default,
        type=click.Path(path_type=Path) if option.read is Path else None if option.axis else option.read,
        metavar=option.metavar,
        help=option.help,
    )


_REPEATED = {"preset": SETTINGS, "precision": PLUGIN}
"""Name of an option to the repeatable option that follows it in the help."""

CELL_OPTIONS: list[Decorator] = []
for _option in DECLARED:
    CELL_OPTIONS += [declared(_option), *([_REPEATED[_option.name]] if _option.name in _REPEATED else [])]
"""Everything that chooses cells."""

RESULTS = OUTPUT(
    "--results",
    default="results",
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of records.",
)
DEVICE = click.option("--device", default="auto", show_default=True, metavar="NAME", help="Where backbones run.")
JSON = OUTPUT(
    "--json",
    "as_json",
    is_flag=True,
    callback=claim_stdout,
    help="Print JSON on standard output, and nothing else there.",
)


def output_file(kind: str = "file") -> Decorator:
    """The option ``--output`` of the verbs that write one file; ``kind`` is what its help calls it."""
    return click.option(
        "-o", "--output", required=True, metavar="FILE", type=click.Path(path_type=Path), help=f"The {kind} to write."
    )


def data_root_option(default: str, option: Callable[..., Decorator] = click.option) -> Decorator:
    """The option ``--data-root``.

    Args:
        default: What its help says of the default.
        option: ``click.option``, or that of a section of the help, such as :data:`DATA`.
    """
    what = f"Folder of the data sets.  [default: {default}]"
    return option("--data-root", metavar="DIR", type=click.Path(path_type=Path), help=what)


def cell_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options that choose cells."""
    for option in reversed(CELL_OPTIONS):
        command = option(command)
    return command


def requests_of(options: Mapping[str, Any], base: CellRequest | None = None) -> list[CellRequest]:
    """The grid that the options span.

    Args:
        options: Values of :data:`CELL_OPTIONS` by name, as click gives them.
        base: The cell whose values stand where an option is not given; None for the defaults.

    Returns:
        One request for each point; the data axes change slowest, so that data are prepared once.

    Raises:
        HarnessError: No method, or a value that cannot be read.
    """
    return grid_of(given_of(options), axes.settings(options["settings"]), options["plugins"], base)


def given_of(options: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Name of each option of a cell to the values given for it; empty lists where it was left out.

    Raises:
        HarnessError: A value cannot be read.
    """
    return {option.name: _values(option, options[option.name]) for option in OPTIONS}


def _values(option: Option, given: Any) -> list[Any]:
    """The values of one option; empty if it is not given."""
    if option.axis:
        texts = option.read not in (int, float)
        return axes.texts(given, option.flag) if texts else axes.numbers(option.flag, given, option.read)
    if option.varies is not None:
        return list(given)
    return [] if given is None or given is False else [given]


def results_option(results: Path) -> str:
    """What a command needs to write into a results folder that is not the usual one: " --results DIR", or ""."""
    return "" if results == Path("results") else f" --results {shlex.quote(str(results))}"
