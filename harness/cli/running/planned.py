"""``--dry-run``: the cells of a grid, what is done already, and how long the rest takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli.json_output import print_json
from harness.cli.rows import aligned
from harness.text import counted

if TYPE_CHECKING:
    from harness.execution.estimate import Estimate
    from harness.execution.sweep import Sweep


def show_plan(sweep: Sweep, as_json: bool) -> None:
    """List the cells of a grid, their state, and how long the rest takes; nothing is computed or written."""
    jobs, ends, pending = sweep.jobs, sweep.ends, sweep.pending
    runs = {job.cell.hash for job in pending}
    rows = [
        {
            "hash": job.cell.hash,
            "state": ends[job.cell.hash].status if job.cell.hash in ends else "missing",
            "will_run": job.cell.hash in runs,
            "cell": dict(job.cell.facts),
        }
        for job in jobs
    ]
    if as_json:
        print_json(rows)
    else:
        shown = [
            [row["hash"], row["state"], "run" if row["will_run"] else "keep", job.cell.title]
            for row, job in zip(rows, jobs, strict=True)
        ]
        click.echo(aligned(shown, headers=["hash", "record", "would", "cell"]))
        click.echo(f"\n{counted(len(rows), 'cell')}, {len(pending)} to run.")
        if pending:
            slots = getattr(sweep.executor, "slots", None)
            workers = slots(sweep.session) if slots else sweep.session.workers or 1
            click.echo(f"estimated time: {_estimate(sweep, workers)}")
    for note in dict.fromkeys(note for job in jobs for note in job.notes):
        click.echo(f"note: {note}", err=True)
    for refusal in sweep.refused:
        click.echo(f"refused: {refusal.reason}", err=True)


def _estimate(sweep: Sweep, workers: int) -> Estimate:
    """How long the cells to run will take, from what earlier ones took."""
    from harness.execution.estimate import Times, estimate, past_cells, work_of
    from harness.runtime.context import device_to_plan_for, type_of

    works = [work_of(job) for job in sweep.pending]
    device = type_of(device_to_plan_for(sweep.settings.device))
    times = Times(past_cells(sweep.store.results, works), device, sweep.settings.threads)
    features = {}
    sources = {(id(job.data.source), job.data.split.tobytes()): job for job in sweep.pending}
    for job in sources.values():
        for modality in job.data.source.missing(job.data.split, device):
            features[f"{modality} features of {job.data.source.name}"] = times.features(job, modality)
    return estimate(works, times, workers, features)
