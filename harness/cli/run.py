"""``harness run``: one cell, or a grid of cells, from data to table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import JSON, RESULTS, cell_options, requests_of
from harness.wording import counted

if TYPE_CHECKING:
    from harness.plugins import Registry
    from harness.records.store import RunStore
    from harness.sweep import Refusal
    from harness.workbench import Job


@click.command()
@cell_options
@click.option(
    "--from",
    "from_run",
    metavar="RUN",
    help="Repeat the cell of a record (folder or hash); other options replace its values.",
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")
@RESULTS
@click.option(
    "--overwrite",
    default="failed",
    show_default=True,
    metavar="WHAT",
    help="Cells with a record that run again: never, failed, always.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="ID",
    help="Metric of the final table; repeat for several.  [default map]",
)
@click.option("--dry-run", is_flag=True, help="Show the cells and what is done already; compute nothing.")
@JSON
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Train, evaluate, record and tabulate one cell or a grid of cells.

    Options marked [axis] repeat or take comma lists; the grid of all their values is run cell by cell. Finished cells
    are not run again.
    """
    from harness.cli.axes import texts
    from harness.errors import unknown_name
    from harness.plugins import load_registry
    from harness.records.repeat import changed_since, nothing_replaced, request_of_record
    from harness.records.store import RunStore
    from harness.sweep import OVERWRITE, prepare_all, run_grid
    from harness.workbench import Workbench

    store = RunStore(options["results"])
    repeated = store.lookup(options["from_run"]).record if options["from_run"] else None
    base = None if repeated is None else request_of_record(repeated)
    plugins = (*options["plugins"], *(base.plugins if base else ()))
    with stdout_kept_clean(options["as_json"]):
        registry = load_registry(tuple(dict.fromkeys(plugins)))
    if options["overwrite"] not in OVERWRITE:
        raise unknown_name("value of --overwrite", options["overwrite"], OVERWRITE)
    metric_ids = texts(options["metrics"]) or ["map"]
    check_metrics(registry, metric_ids)
    requests = requests_of(options, base)
    workbench = Workbench(registry, options["device"])
    jobs, refused = prepare_all(workbench, requests)
    if repeated is not None and nothing_replaced(requests, base):
        for job in jobs:
            changed = changed_since(repeated, job.cell.hash, job.cell.identity)
            if changed:
                click.echo(f"note: {changed}", err=True)
    if options["dry_run"]:
        _show_plan(jobs, refused, store, options["overwrite"], options["as_json"])
        return
    from harness.cli.progress import make_listener
    from harness.context import choose_device
    from harness.settings import RunSettings

    choose_device(options["device"])
    settings = RunSettings(device=options["device"])
    store.check_writable()
    declared: Any = registry.all("metric")
    with stdout_kept_clean(options["as_json"]), make_listener() as listener:
        records = run_grid(jobs, refused, store, declared, settings, options["overwrite"], listener)
    if options["as_json"]:
        click.echo(json.dumps([record.to_json() for record in records], indent=1))
    else:
        from harness.report.frame import records_frame
        from harness.report.tables import comparison_tables, render

        frame = records_frame(records)
        for metric in metric_ids:
            tables = comparison_tables(frame, metric, limited=True)
            for table in tables:
                click.echo(f"\n{render(table)}")
            if not tables and any(record.status == "ok" for record in records):
                click.echo(
                    f"\nnote: these records were made without metric {metric}: run again with --overwrite always."
                )
        click.echo(f"\n{_closing(records, store)}")
    ctx.exit(1 if refused or any(record.status != "ok" for record in records) else 0)


def check_metrics(registry: Registry, metric_ids: list[str]) -> None:
    """Every id is known.

    Raises:
        HarnessError: One is not; near ids are suggested.
    """
    from harness.errors import unknown_name

    known = [metric_id for declaration in registry.all("metric") for metric_id in declaration.ids]  # type: ignore[attr-defined]
    for metric_id in metric_ids:
        if metric_id not in known:
            raise unknown_name("metric", metric_id, known)


@contextmanager
def stdout_kept_clean(active: bool) -> Iterator[None]:
    """Under ``--json`` nothing but JSON may reach standard output, whatever a plugin prints."""
    if not active:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def _closing(records: list[Any], store: RunStore) -> str:
    failed = sum(record.status != "ok" for record in records)
    finished = (
        f"{len(records) - failed} of {counted(len(records), 'cell')} finished, {failed} failed"
        if failed
        else f"{counted(len(records), 'cell')} finished"
    )
    return f"{finished}; records in {store.runs}"


def _show_plan(jobs: list[Job], refused: list[Refusal], store: RunStore, overwrite: str, as_json: bool) -> None:
    """List the cells of a grid and their state."""
    from tabulate import tabulate

    from harness.sweep import is_done

    rows = []
    for job in jobs:
        facts = job.cell.facts
        stored = store.find(facts["method"], facts["dataset"], job.cell.hash)
        state = stored.record.status if stored else "missing"
        rows.append(
            {"hash": job.cell.hash, "state": state, "will_run": not is_done(stored, overwrite), "cell": dict(facts)}
        )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        shown = [
            [row["hash"], row["state"], "run" if row["will_run"] else "keep", job.cell.title]
            for row, job in zip(rows, jobs, strict=True)
        ]
        click.echo(tabulate(shown, headers=["hash", "record", "would", "cell"], disable_numparse=True))
        click.echo(f"\n{counted(len(rows), 'cell')}, {sum(bool(row['will_run']) for row in rows)} to run.")
    for note in dict.fromkeys(note for job in jobs for note in job.notes):
        click.echo(f"note: {note}", err=True)
    for refusal in refused:
        click.echo(f"refused: {refusal.reason}", err=True)
