"""``--dry-run``: the cells of a grid, what is done already, and how long the rest takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from harness.cli.json_output import print_json
from harness.cli.rows import aligned
from harness.execution.estimate import CellKind, PastCell, estimate
from harness.records.index import open_index
from harness.text import counted

if TYPE_CHECKING:
    from harness.cells.workbench import Job
    from harness.execution.sweep import Sweep
    from harness.records.store import RunStore


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
            click.echo(f"estimated time: {_estimate(pending, sweep.store, workers)}")
    for note in dict.fromkeys(note for job in jobs for note in job.notes):
        click.echo(f"note: {note}", err=True)
    for refusal in sweep.refused:
        click.echo(f"refused: {refusal.reason}", err=True)


def _estimate(pending: Sequence[Job], store: RunStore, workers: int) -> str:
    """How long cells will take, from what earlier ones took."""
    past = []
    if store.runs.is_dir():
        with open_index(store.results) as index:
            columns = ["method", "dataset", "bits", "image_backbone", "text_backbone", "seconds"]
            rows = index.rows(columns, "status = 'ok' AND seconds IS NOT NULL AND bits IS NOT NULL")
        past = [
            PastCell(CellKind(method, dataset, bits, _names(backbones)), seconds)
            for method, dataset, bits, *backbones, seconds in rows
        ]
    return str(estimate([CellKind.of(job.cell.facts) for job in pending], past, workers))


def _names(backbones: Sequence[str]) -> str:
    """Names of backbones without their weights, joined as by :func:`harness.execution.estimate.backbones_of`."""
    return " + ".join(name.partition(" (")[0] for name in backbones if name)
