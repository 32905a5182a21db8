"""``harness data export``: the data of a cell in one file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click

from harness.cells import axes
from harness.cells.options import Option
from harness.cells.request import OPTIONS
from harness.cli.options import DEVICE, RESULTS, GroupedCommand, cell_options, output_file, requests_of
from harness.errors import HarnessError, unknown_name
from harness.plugin.loading import load_registry
from harness.records.store import RunStore

NOT_OF_DATA = ("hasher", "detector", "objective", "preset", "epochs", "precision")
"""Options of a cell that ``--cell`` does not know. Method, code length and seed determine no data either, but may stand
there, so that a cell can be named as it is."""

CELL_KEYS = tuple(option.name for option in OPTIONS if option.name not in NOT_OF_DATA)
"""Keys of ``--cell``."""


@click.command(cls=GroupedCommand)
@click.option(
    "--cell",
    "cells",
    multiple=True,
    metavar="CELL",
    help="A run (folder or hash), or KEY=VALUE[,KEY=VALUE...] as in the options below.",
)
@output_file("npz file")
@DEVICE
@RESULTS
@cell_options
def command(cells: tuple[str, ...], output: Path, device: str, results: Path, **options: Any) -> None:
    """Write split, captions, trusted pairs, noise plan and features of a cell to one npz file.

    The file serves `harness run --features FILE --noise-plan FILE`, `harness evaluate --cell FILE`, and any other
    program.
    """
    from harness.cells.workbench import Workbench
    from harness.data.assemble import assemble
    from harness.data.features.export import export_arrays, write_export
    from harness.runtime.context import RunContext, choose_device
    from harness.runtime.seeding import global_randomness

    registry = load_registry(options["plugins"])
    said = {name for name, value in options.items() if value and name != "plugins"}
    for cell in cells:
        options = _with_cell(options, cell, results, said)
    if not options["method"]:
        options["method"] = ("none",)  # the data of a cell do not depend on the method
    requests = requests_of(options)
    request = requests[0]
    if any(other.data_key != request.data_key for other in requests):
        raise HarnessError("the options name several cells with different data; one file holds one.")
    prepared = Workbench(registry).prepare_data(request)
    prepared.source.refuse_broken()
    run = RunContext(request.bits, choose_device(device))
    with global_randomness(0, "backbones"):
        table = prepared.source.table(prepared.split, run)
        encode = prepared.source.caption_encoder(prepared.split, run)
        data = assemble(table, prepared.protocol, prepared.split, encode)
    imported = prepared.protocol.plan
    facts = {
        **prepared.facts,
        "data": prepared.source.data.fingerprint,
        "revisions": prepared.source.revisions(),
        "shared_space": prepared.source.shared_space,
        "plan": data.plan.fingerprint,
        "imported_plan": None if imported is None else imported.fingerprint,
    }
    output = write_export(output, export_arrays(data, facts))
    for note in prepared.notes:
        click.echo(f"note: {note}", err=True)
    counts = ", ".join(f"{count} {part}" for part, count in prepared.facts["images"].items())
    click.echo(f"{output}: {prepared.source.name}, {counts}, noise plan {data.plan.fingerprint}")


def _with_cell(options: dict[str, Any], cell: str, results: Path, said: set[str]) -> dict[str, Any]:
    """The options with the values that ``--cell`` sets; refused where an option sets the same value."""
    if "=" not in cell:
        from harness.cli.running.run import command as run_command

        if said:
            option = f"--{min(said).replace('_', '-')}"
            raise HarnessError(
                f"{option} has no say beside --cell {cell}, a run that fixes everything: leave one of them out."
            )
        line = RunStore(results).lookup(cell).record.command
        if not line:
            raise HarnessError(f"--cell {cell}: that run was made by another program; name the cell it belongs to.")
        parameters = run_command.make_context("run", shlex.split(line)[2:]).params
        return {
            name: parameters.get(name, value) if name != "plugins" else value or parameters[name]
            for name, value in options.items()
        }
    changed, option_of = dict(options), {option.name: option for option in OPTIONS}
    for entry in re.split(r",(?=[a-z_-]+=)", cell):
        key, _, text = entry.partition("=")
        key = key.strip().replace("-", "_")
        if key not in CELL_KEYS:
            raise unknown_name("key of --cell", key, CELL_KEYS)
        if key in said:
            raise HarnessError(f"--cell {entry} and --{key.replace('_', '-')} both say it: leave one of them out.")
        changed[key] = _value(option_of[key], text.strip())
    return changed


def _value(option: Option, text: str) -> Any:
    """What ``--cell`` says of an option, in the form in which the command line gives it."""
    if option.axis:
        return (text,)
    if option.is_switch:
        if text not in ("true", "false"):
            raise HarnessError(f"--cell {option.name}={text}: expected true or false.")
        return text == "true"
    if option.read in (int, float):
        numbers = axes.numbers(f"--cell {option.name}", [text], option.read)
        if len(numbers) != 1:
            raise HarnessError(f"--cell {option.name}={text}: expected one number.")
        return numbers[0]
    value = option.read(text)
    return (value,) if option.name == "features" else value
