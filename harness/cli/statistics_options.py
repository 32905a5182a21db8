"""Options that ``harness compare`` and ``harness rank`` share, and their checks."""

from __future__ import annotations

from collections.abc import Iterable

import click

from harness.cli.options import Decorator
from harness.errors import unknown_name

FORMATS = {"simple": "simple", "github": "github", "latex": "latex_booktabs", "csv": "csv", "json": "json"}
"""Value of ``--format`` to the name that tabulate has for it; csv and json are written by the verb."""

DIRECTION = click.option(
    "--direction",
    "directions",
    multiple=True,
    metavar="NAME",
    help="i2t, t2i, i2i or t2t; repeat for several.  [default i2t, t2i]",
)
FORMAT = click.option(
    "--format", "style", default="simple", show_default=True, metavar="NAME", help=f"One of {', '.join(FORMATS)}."
)


def where(example: str) -> Decorator:
    """The option ``--where`` with an example in its help."""
    return click.option(
        "--where",
        metavar="CONDITION",
        help=f'Only records for which this holds, for example "{example}", as in `harness results list`.',
    )


def check_format(style: str) -> None:
    """Refuse a format that there is not.

    Raises:
        HarnessError: It is none of :data:`FORMATS`.
    """
    if style not in FORMATS:
        raise unknown_name("value of --format", style, FORMATS)


def print_notes(notes: Iterable[str]) -> None:
    """Notes on standard error, where standard output is for programs."""
    for note in notes:
        click.echo(f"note: {note}", err=True)
