"""``harness results verify``: a stored run against the same cell run again."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.json_output import print_json
from harness.cli.options import JSON, RESULTS, data_root_option
from harness.records.store import RunStore
from harness.runtime.outlets import heading
from harness.text import counted

if TYPE_CHECKING:
    from harness.execution.verification import MetricDifference, Verification


SHOWN = 5
"""Names that are listed of many."""


@click.command()
@click.argument("run", metavar="RUN")
@RESULTS
@click.option("--device", metavar="NAME", help="Where to run it.  [default: as recorded]")
@data_root_option("as recorded")
@JSON
@click.pass_context
def command(
    ctx: click.Context, run: str, results: Path, device: str | None, data_root: Path | None, as_json: bool
) -> None:
    """Run a cell again and compare with all that is stored of it. RUN is a run folder or the beginning of a hash.

    Nothing is stored. It uses the threads and the device of the record. The exit code is 0 if all is identical, 1 if
    something differs.
    """
    from harness.execution.verification import verify

    verified = verify(RunStore(results).lookup(run), device, data_root)
    if as_json:
        print_json(_facts(verified))
    else:
        _print(verified)
    ctx.exit(0 if verified.identical else 1)


def _facts(verified: Verification) -> dict[str, object]:
    largest = verified.differing[0] if verified.differing else None
    return {
        "identical": verified.identical,
        **dataclasses.asdict(verified),
        "largest_difference": None
        if largest is None
        else {**dataclasses.asdict(largest), "size": None if math.isinf(largest.size) else largest.size},
    }


def _print(verified: Verification) -> None:
    verdict = "identical" if verified.identical else "different"
    heading(f"{verified.hash}: {verdict}")
    click.echo(f"run again on {verified.device} with {counted(verified.threads, 'thread')} in {verified.seconds:.1f} s")
    differ = [code for code in verified.codes if code.differing_items]
    click.echo(f"codes: {'equal' if not differ else ''}".rstrip())
    for code in differ:
        click.echo(
            f"  {code.part} {code.modality}: {code.differing_bits:.3%} of bits, "
            f"{code.differing_items:.2%} of {counted(code.items, 'item')}"
        )
    if verified.differing:
        largest = verified.differing[0]
        click.echo(
            f"metrics: {len(verified.differing)} of {verified.metrics} differ, most of all {largest.metric}: "
            f"{_values(largest)}"
        )
    else:
        click.echo(f"metrics: all {verified.metrics} equal")
    _print_parts("arrays", verified.arrays, verified.differing_arrays)
    if verified.tensors:
        _print_parts("tensors of the model", verified.tensors, verified.differing_tensors)
    for phrase in verified.facts:
        click.echo(f"wrong in the record: {phrase}")
    if verified.lacking and verified.same_program:
        click.echo(f"missing in the run: {_listed(verified.lacking)}")
    elif verified.lacking:
        click.echo(f"note: the run of another version does not hold {_listed(verified.lacking)}.", err=True)
    if verified.not_computed:
        click.echo(
            f"note: not compared, for no plugin that is here computes it: {_listed(verified.not_computed)}.", err=True
        )
    if verified.changes:
        click.echo("changed since:" if verified.identical else "the likely reason, changed since:")
        for change in verified.changes:
            click.echo(f"  {change}")
    elif not verified.identical:
        click.echo(
            "nothing recorded has changed: look for a file of the run that was edited or damaged, for data that were "
            "replaced, or for an algorithm that is not deterministic (--deterministic)."
        )


def _print_parts(what: str, both: int, differing: list[str]) -> None:
    if differing:
        click.echo(f"{what}: {len(differing)} of {both} differ: {_listed(differing)}")
    else:
        click.echo(f"{what}: all {both} equal")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _values(difference: MetricDifference) -> str:
    return f"{_value(difference.stored)} stored, {_value(difference.now)} now"


def _value(value: object) -> str:
    return "not defined" if value is None else f"{value:.6g}" if isinstance(value, int | float) else repr(value)
