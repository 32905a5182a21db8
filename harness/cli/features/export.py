"""``harness features export``: features of a data set as a file for ``--features``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.data import REHASH, read_files_again
from harness.cli.features import feature_options, feature_requests
from harness.cli.options import DEVICE, GroupedCommand, output_file
from harness.errors import HarnessError
from harness.plugin.loading import load_registry


@click.command(cls=GroupedCommand)
@feature_options
@output_file("npz file")
@click.option(
    "--no-split",
    is_flag=True,
    help="Leave the split out, so that each --data-seed draws its own; only for backbones that are not fitted.",
)
@DEVICE
@REHASH
def command(output: Path, no_split: bool, device: str, rehash: bool, **options: Any) -> None:
    """Write the features of a data set, its labels, captions, file names and split to one npz file.

    `harness run --features FILE` then gives the codes and metrics that the run from the raw data gives, where both use
    the same --data-seed. `harness data export` writes trusted pairs and noise as well.
    """
    from harness.cells.workbench import Workbench
    from harness.data.cache import uses_noted
    from harness.data.features.export import feature_arrays, write_export
    from harness.runtime.context import RunContext, choose_device
    from harness.runtime.seeding import global_randomness

    read_files_again(rehash)
    registry = load_registry(options["plugins"])
    requests = feature_requests(options)
    if len(requests) > 1:
        raise HarnessError(f"the options name {len(requests)} sets of features; one file holds one.")
    (request,) = requests
    job = Workbench(registry, device).prepare_data(request)
    source = job.source
    fitted = [choice.name for choice in (source.image, source.text) if choice is not None and choice.fitted]
    if no_split and fitted:
        raise HarnessError(
            f"--no-split: backbone {fitted[0]!r} was fitted on the training images of one split, which must come with "
            "its features; leave --no-split out, and export once for each --data-seed."
        )
    source.refuse_broken()
    with uses_noted() as uses, global_randomness(0, "backbones"):
        table = source.table(job.split, RunContext(request.bits, choose_device(device)))
    facts = {
        "dataset": source.name,
        "data": source.data.fingerprint,
        "data_seed": request.data_seed,
        "limit": source.limited,
        "backbones": source.backbones(),
        "revisions": source.revisions(),
        "shared_space": source.shared_space,
        "split": job.facts["split"],
        "relevance": request.relevance,
    }
    output = write_export(output, feature_arrays(table, None if no_split else job.split, facts))
    cached = sum(use.hit for use in uses)
    for note in job.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(
        f"{output}: {source.name}, {len(table)} images, {len(table.text)} captions, "
        f"{cached} of {len(uses)} features from the cache"
    )
