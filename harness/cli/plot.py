"""``harness plot``: figures from the records, one kind a verb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.api.figure_kinds import KINDS, Kind
from harness.cells.axes import texts
from harness.cli import LazyGroup
from harness.cli.options import PLUGIN, RESULTS, Decorator, output_file, results_option

OPTIONS: dict[str, Decorator] = {
    "metric": click.option("--metric", metavar="ID", help="Metric id, or i2t/map for one direction.  [default map; p "
                           "for precision-at, which takes metrics @K without their K]"),
    "published": click.option("--published", is_flag=True, help="Draw the published numbers of the same methods, too "
                              "(docs/published.md)."),
    "against": click.option("--against", required=True, metavar="ROW", help="The row that all others are compared "
                            "with."),
    "cost": click.option("--cost", metavar="COLUMN", help="What it took: timings/training, cost/peak_memory_bytes, "
                         "cost/energy_joules, cost/parameters/trained, ...  [default timings/training]"),
    "blocks": click.option("--blocks", multiple=True, metavar="NAME", help="What a block is, as of `harness rank`.  "
                           "[default dataset]"),
    "post_hoc": click.option("--post-hoc", metavar="NAME", help="nemenyi or wilcoxon-holm.  [default nemenyi]"),
    "alpha": click.option("--alpha", type=click.FloatRange(0, 0.5, True, True), help="Level of that test.  "
                          "[default 0.05]"),
}  # fmt: skip
"""Options of some kinds; those that a kind does not take, it does not have."""


class _Kinds(LazyGroup):
    """A verb for each kind of figure, made when it is used."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of a kind; None where there is no such kind."""
        return _verb(cmd_name, KINDS[cmd_name]) if cmd_name in KINDS else None


@click.group(
    cls=_Kinds,
    modules=dict.fromkeys(KINDS, __name__),
    lines={name: kind.summary for name, kind in KINDS.items()},
    invoke_without_command=True,
    subcommand_metavar="KIND -o FILE [ARGS]...",
)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Draw a figure from the records, as svg, pdf or png (docs/gallery.md).

    Needs matplotlib: pip install 'noisy-hashing-harness[figures]'.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _verb(name: str, kind: Kind) -> click.Command:
    shared: list[Decorator] = [
        RESULTS,
        output_file("svg, pdf or png"),
        *(OPTIONS[option] for option in kind.options),
        click.option("--where", metavar="CONDITION", help='Only records for which this holds, for example "bits=64".'),
        click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only these data sets."),
        click.option("--method", "methods", multiple=True, metavar="NAME", help="Only these methods."),
        click.option("--caption/--no-caption", default=True, help="Draw the caption below the panels; it is printed "
                     "in either case.  [default caption]"),
        PLUGIN,
    ]  # fmt: skip

    def draw(
        results: Path, output: Path, where: str | None, datasets: tuple[str, ...], methods: tuple[str, ...],
        caption: bool, plugins: tuple[Path, ...], **options: Any,
    ) -> None:  # fmt: skip
        from harness.api.plots import plot

        given = {
            option: texts(value) if isinstance(value, tuple) else value
            for option, value in options.items()
            if value not in (None, (), False)
        }
        made = plot(
            results, name, output, where=where, datasets=texts(datasets), methods=texts(methods), caption=caption,
            plugins=plugins, elsewhere=results_option(results),
            note=lambda text: click.echo(f"note: {text}", err=True), **given,
        )  # fmt: skip
        click.echo(made.caption)
        click.echo(f"figure: {output}", err=True)

    function: Callable[..., Any] = draw
    for option in reversed(shared):
        function = option(function)
    return click.command(name, help=kind.summary)(function)
