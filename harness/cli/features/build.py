"""``harness features build``: compute features without training anything."""

from __future__ import annotations

from typing import Any

import click

from harness.api.progress import make_listener
from harness.cli.data import REHASH, read_files_again
from harness.cli.features import feature_options, feature_requests, jsonable_use
from harness.cli.json_output import print_json
from harness.cli.options import DEVICE, JSON, GroupedCommand
from harness.plugin.loading import load_registry


@click.command(cls=GroupedCommand)
@feature_options
@DEVICE
@REHASH
@JSON
@click.pass_context
def command(ctx: click.Context, device: str, rehash: bool, as_json: bool, **options: Any) -> None:
    """Compute the features of data sets by backbones and keep them in the cache; nothing is trained.

    Options marked [axis] repeat or take comma lists. Features that are there already are not computed again. The exit
    code is 1 if some could not be kept.
    """
    from harness.cells.workbench import Workbench
    from harness.data.cache import uses_noted
    from harness.runtime.context import RunContext, choose_device
    from harness.runtime.seeding import global_randomness

    read_files_again(rehash)
    rows: list[dict[str, Any]] = []
    registry = load_registry(options["plugins"])
    requests = feature_requests(options)
    bench = Workbench(registry, device)
    chosen = choose_device(device)
    with make_listener(None, len(requests), in_process=True) as listener:
        for request in requests:
            job = bench.prepare_data(request)
            for note in job.notes:
                listener.noted(note)
            job.source.refuse_broken()
            run = RunContext(request.bits, chosen, listener=listener.progressed)
            with uses_noted() as uses, global_randomness(0, "backbones"):
                table = job.source.table(job.split, run)
            widths = {"image": table.image.shape, "text": table.text.shape}
            for use in uses:
                modality = use.about["modality"]
                choice = getattr(job.source, modality)
                row = {**jsonable_use(use), "backbone": choice.name, "shape": list(widths[modality])}
                if row["entry"] not in {other["entry"] for other in rows}:
                    rows.append(row)
                    listener.say(_line(row))
            if job.source.ready is not None:
                listener.say(f"{job.source.name} comes as features: there is nothing to compute.")
    lost = sum(bool(row["lost"]) for row in rows)
    if as_json:
        print_json(rows)
    else:
        cached = sum(row["cached"] for row in rows)
        not_kept = f", {lost} computed but not kept" if lost else ""
        click.echo(f"{len(rows) - cached - lost} computed, {cached} from the cache{not_kept}")
    ctx.exit(1 if lost else 0)


def _line(row: dict[str, Any]) -> str:
    how = "from the cache" if row["cached"] else f"computed in {row['seconds']:.1f} s"
    how += f", not kept: {row['lost']}" if row["lost"] else ""
    count, width = row["shape"]
    items = "images" if row["modality"] == "image" else "captions"
    return f"{row['dataset']}: {count} {items} by {row['backbone']}, {width} numbers each: {how} ({row['entry']})"
