"""Long help in sections: an option carries its group, and the command writes one section for each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click

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


def options_of(group: str) -> Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]]:
    """``click.option`` for the options of one group."""
    return partial(click.option, cls=GroupedOption, group=group)


METHOD = options_of("Method")
DATA = options_of("Data")
FEATURES = options_of("Features")
NOISE = options_of("Noise")
RUNNING = options_of("Running")
OUTPUT = options_of("Results")
