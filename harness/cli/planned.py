"""``--dry-run``: the cells of a grid, what is done already, and how long the rest takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.wording import counted

if TYPE_CHECKING:
    from harness.records.store import RunStore
    from harness.settings import RunSettings
    from harness.standing import Standing
    from harness.sweep import Refusal
    from harness.workbench import Job


def show_plan(
    jobs: Sequence[Job],
    refused: Sequence[Refusal],
    store: RunStore,
    standing: Standing,
    settings: RunSettings,
    executor: Any,
    options: dict[str, Any],
) -> None:
    """List the cells of a grid, their state, and how long the rest takes; nothing is computed or written."""
    from harness.cli.running import session_of

    rows = []
    for job in jobs:
        facts = job.cell.facts
        stored = store.find(facts["method"], facts["dataset"], job.cell.hash)
        stands = stored is not None and standing.holds(stored.record.status, stored.record.finished)
        state = stored.record.status if stored else "missing"
        rows.append({"hash": job.cell.hash, "state": state, "will_run": not stands, "cell": dict(facts)})
    if options["as_json"]:
        click.echo(json.dumps(rows, indent=1))
    else:
        from tabulate import tabulate

        shown = [
            [row["hash"], row["state"], "run" if row["will_run"] else "keep", job.cell.title]
            for row, job in zip(rows, jobs, strict=True)
        ]
        click.echo(tabulate(shown, headers=["hash", "record", "would", "cell"], disable_numparse=True))
        pending = [job for row, job in zip(rows, jobs, strict=True) if row["will_run"]]
        click.echo(f"\n{counted(len(rows), 'cell')}, {len(pending)} to run.")
        session = session_of(options, settings, store.results)
        workers = executor.slots(session) if hasattr(executor, "slots") else session.workers or 1
        if pending:
            click.echo(f"estimated time: {_estimate(pending, store, workers)}")
    for note in dict.fromkeys(note for job in jobs for note in job.notes):
        click.echo(f"note: {note}", err=True)
    for refusal in refused:
        click.echo(f"refused: {refusal.reason}", err=True)


def _estimate(pending: Sequence[Job], store: RunStore, workers: int) -> str:
    """How long cells will take, from what earlier ones took."""
    from harness.estimate import CellKind, PastCell, estimate

    past = [
        PastCell(CellKind.of(stored.record.cell.model_dump()), stored.record.timings["total"])
        for stored in store.all()
        if stored.record.status == "ok" and "total" in stored.record.timings
    ]
    return str(estimate([CellKind.of(job.cell.facts) for job in pending], past, workers))
