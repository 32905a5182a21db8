"""``harness evaluate``: codes of any other program, through the same metrics into the same records and tables."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.json_output import print_json
from harness.cli.options import JSON, RESULTS

if TYPE_CHECKING:
    from harness.retrieval.codes import CodeTable

DATA_FACTS = (
    "dataset",
    "noise",
    "protocol",
    "trusted",
    "data_seed",
    "standardise",
    "limit",
    "backbones",
    "images",
    "split",
    "validation",
    "relevance",
    "drop_duplicates",
)
"""What a cell's data fix for every method, and so for a foreign one too."""


@click.command()
@click.option(
    "--codes", required=True, metavar="FILE.npz", type=click.Path(path_type=Path), help="Codes, ids and labels."
)
@click.option(
    "--name",
    metavar="NAME",
    help="Name of the method; the record's method is external:NAME.  [default: the file's name]",
)
@click.option(
    "--cell",
    metavar="CELL",
    help="The cell the codes were made on: a file of `harness data export`, or a run (folder or hash).",
)
@click.option("--dataset", metavar="NAME", help="Data set, where no --cell says it.")
@click.option("--noise", type=float, metavar="RATE", help="Noise rate, where no --cell says it.")
@click.option("--protocol", metavar="NAME", help="Noise protocol, where no --cell says it.")
@click.option("--trusted", type=float, metavar="SHARE", help="Trusted share, where no --cell says it.")
@click.option("--data-seed", type=int, metavar="N", help="Data seed, where no --cell says it.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Training seed of the other program.")
@click.option(
    "--metric", "metrics", multiple=True, metavar="ID", help="Metric of the table; repeat for several.  [default map]"
)
@RESULTS
@JSON
@click.pass_context
def command(
    ctx: click.Context,
    codes: Path,
    name: str | None,
    cell: str | None,
    seed: int,
    metrics: tuple[str, ...],
    results: Path,
    as_json: bool,
    **said: Any,
) -> None:
    """Score codes of any other program with the same metrics, and record them beside our own runs.

    The file's arrays are described in docs/protocols-and-metrics.md: query_image_codes, query_text_codes,
    database_image_codes, database_text_codes, query_labels, database_labels, query_ids, database_ids.
    """

    from harness.cells.checks import check_shares_and_seeds
    from harness.cli.running.requests import metric_ids_of
    from harness.execution.results import evaluated_record, evaluation_arrays
    from harness.files.npz import read_npz
    from harness.plugin.loading import load_registry
    from harness.plugin.metric_ids import metrics_with
    from harness.records.schema import facts_of
    from harness.records.store import RunStore
    from harness.retrieval.code_file import ARRAYS, code_table
    from harness.retrieval.evaluate import evaluate
    from harness.runtime.environment import environment

    started = datetime.now(UTC)
    check_shares_and_seeds(said["noise"], said["trusted"], seed, said["data_seed"])
    registry = load_registry()
    metric_ids = metric_ids_of(registry, metrics)
    store = RunStore(results)
    frame = _by_labels(_frame(cell, store)) if cell else None
    arrays = read_npz(codes, "--codes", ARRAYS.__contains__)
    table = code_table(arrays, f"--codes {codes}", None if frame is None else _labels_by_id(frame))
    facts = _facts(said, frame, table, name or codes.stem, seed)
    cell_facts = facts_of(facts, f"--codes {codes}{f', --cell {cell}' if cell else ''}")
    identity = {
        **{
            key: value
            for key, value in facts.items()
            if key not in ("row", "images", "split", "validation", "relevance", "drop_duplicates")
        },
        "codes": _fingerprint(table),
        "data": frame["data"] if frame else None,
        "plan": frame.get("imported_plan") if frame else None,
    }
    declared = metrics_with(registry, metric_ids)
    blocks = _query_blocks(arrays, frame, table)
    store.check_writable()
    evaluation = evaluate(table, declared)
    record = evaluated_record(
        evaluation,
        declared,
        identity,
        cell_facts,
        others={"detector": {}, "noise": {"requested": facts["noise"]}},
        notes=[f"codes of another program, read from {codes}"],
        plan=frame["plan"] if frame else None,
        environment=environment(None),
        started=started,
    )
    folder = store.write(record, {**evaluation_arrays(table, evaluation), **blocks})
    for remark in evaluation.remarks:
        click.echo(f"note: {remark}", err=True)
    if record.error is not None:
        click.echo(f"{record.status}: {record.error.message}", err=True)
    if as_json:
        print_json([record.to_json()])
        ctx.exit(0 if record.error is None else 1)
    from harness.report.frame import records_frame
    from harness.report.tables import comparison_tables, render

    for metric in metric_ids:
        for shown in comparison_tables(records_frame([record]), metric, limited=True):
            click.echo(render(shown) + "\n")
    click.echo(f"record in {folder}")
    ctx.exit(0 if record.error is None else 1)


def _frame(cell: str, store: Any) -> dict[str, Any]:
    """Facts, ids and labels of the cell that codes belong to."""
    import numpy as np

    from harness.data.features.export import HEADER, header_of
    from harness.data.query_blocks import blocks_of_captions
    from harness.errors import HarnessError
    from harness.files.npz import read_npz
    from harness.retrieval.code_file import ARRAYS

    path = Path(cell)
    if path.suffix == ".npz":
        arrays = read_npz(
            path, "--cell", (HEADER, "split", "labels", "captions", "text", "caption_choice").__contains__
        )
        header = header_of(arrays)
        if header is None:
            raise HarnessError(f"--cell {cell} is no file of `harness data export`.")
        _refuse_missing(cell, ("data", "plan"), header)
        _refuse_missing(cell, ("split", "labels", "text", "caption_choice"), arrays)
        _refuse_misfit(f"--cell {cell}", arrays)
        query, database = np.flatnonzero(arrays["split"] == 1), np.flatnonzero(arrays["split"] >= 2)
        return {
            **header,
            "query": (query, arrays["labels"][query]),
            "database": (database, arrays["labels"][database]),
            "blocks": blocks_of_captions(arrays.get("captions"), arrays["text"], arrays["caption_choice"][query]),
        }
    stored = store.lookup(cell)
    record = stored.record
    arrays = read_npz(stored.folder / "arrays.npz", "--cell", ARRAYS.__contains__)
    _refuse_missing(cell, ("query_ids", "query_labels", "database_ids", "database_labels"), arrays)
    return {
        **record.cell.model_dump(),
        "data": record.identity.get("data"),
        "plan": record.plan,
        "imported_plan": record.identity.get("plan"),
        "query": (arrays["query_ids"], arrays["query_labels"]),
        "database": (arrays["database_ids"], arrays["database_labels"]),
        "blocks": arrays.get("query_blocks"),
    }


def _refuse_missing(cell: str, names: tuple[str, ...], found: Mapping[str, Any]) -> None:
    """A cell has all that codes are set against."""
    from harness.errors import HarnessError

    missing = [name for name in names if name not in found]
    if missing:
        raise HarnessError(
            f"--cell {cell} is damaged: {', '.join(missing)} missing; export the cell, or run it, again."
        )


def _refuse_misfit(where: str, arrays: Mapping[str, Any]) -> None:
    """The arrays of an exported cell fit each other, as far as codes are set against them."""
    from harness.data.matrices import check_rows
    from harness.errors import HarnessError

    choice = arrays["caption_choice"]
    check_rows(where, {name: arrays[name] for name in ("split", "labels", "caption_choice")}, "image")
    check_rows(where, {name: arrays[name] for name in ("text", "captions") if name in arrays}, "caption")
    for name in ("split", "caption_choice"):
        if arrays[name].ndim != 1 or arrays[name].dtype.kind not in "iu":
            raise HarnessError(f"{where}: {name} must be (n,) integers, not {arrays[name].dtype} {arrays[name].shape}.")
    if len(choice) and not 0 <= choice.min() <= choice.max() < len(arrays["text"]):
        raise HarnessError(f"{where}: caption_choice names rows of text beyond its {len(arrays['text'])}.")


def _by_labels(frame: dict[str, Any]) -> dict[str, Any]:
    """The cell, if its relevance goes by labels."""
    from harness.errors import HarnessError

    if frame.get("relevance", "label") != "label":
        raise HarnessError(
            f"--cell: that cell goes by --relevance {frame['relevance']}, and codes of other programs are scored "
            "by labels: name a cell with --relevance label."
        )
    return frame


def _labels_by_id(frame: dict[str, Any]) -> dict[str, dict[int, Any]]:
    return {
        part: {int(number): label for number, label in zip(*frame[part], strict=True)} for part in ("query", "database")
    }


def _query_blocks(arrays: Mapping[str, Any], frame: dict[str, Any] | None, table: CodeTable) -> dict[str, Any]:
    """The array of query blocks, where the cell or the file says which queries have the same caption."""
    import numpy as np

    from harness.errors import HarnessError

    if frame is not None and frame["blocks"] is not None:
        blocks = dict(zip(frame["query"][0].tolist(), frame["blocks"].tolist(), strict=True))
        return {"query_blocks": np.array([blocks[number] for number in table.query_ids.tolist()], dtype=np.int64)}
    said = arrays.get("query_blocks")
    if said is None:
        return {}
    if said.shape != (len(table.query_ids),) or said.dtype.kind not in "iu":
        raise HarnessError(
            f"--codes: query_blocks must be ({len(table.query_ids)},) integers, not {said.dtype} {said.shape}."
        )
    return {"query_blocks": said.astype(np.int64)}


def _facts(
    said: dict[str, Any], frame: dict[str, Any] | None, table: CodeTable, name: str, seed: int
) -> dict[str, Any]:
    """Facts of the record: from the cell, otherwise from the options; a contradiction is an error."""
    from harness.errors import HarnessError

    facts: dict[str, Any] = dict.fromkeys((*DATA_FACTS, "precision"))
    facts.update(  # what older files do not say
        split="paper", relevance="label", drop_duplicates=False,
    )  # fmt: skip
    facts.update(
        dataset="external", backbones={}, images={"query": len(table.query_ids), "database": len(table.database_ids)}
    )
    if frame is not None:
        facts.update({key: frame[key] for key in DATA_FACTS if key in frame})
    for key, value in said.items():
        if value is None:
            continue
        if frame is not None and frame[key] != value:
            raise HarnessError(
                f"--{key.replace('_', '-')} {value} contradicts the cell, which has {frame[key]}: leave it out."
            )
        facts[key] = value
    method = f"external:{name}"
    return {
        **facts, "row": method, "method": method, "preset": "", "hasher": name, "detector": "external",
        "objective": None, "bits": table.n_bits, "seed": seed, "granted": [], "parameters": {},
    }  # fmt: skip


def _fingerprint(table: CodeTable) -> str:
    digest = hashlib.sha256()
    for part in (table.query, table.database):
        for modality in sorted(part):
            digest.update(part[modality].tobytes())
    for array in (table.query_labels, table.database_labels, table.query_ids, table.database_ids):
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
