"""``harness evaluate``: codes of any other program, through the same metrics into the same records and tables."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cells import axes
from harness.cells.request import LATER_SETTINGS, OF_DATA
from harness.cli.json_output import print_json
from harness.cli.options import JSON, RESULTS
from harness.cli.rows import print_comparisons
from harness.errors import HarnessError
from harness.plugin.loading import load_registry
from harness.plugin.metric_ids import checked_metrics, metrics_with
from harness.records.store import RunStore
from harness.runtime.environment import environment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.plugin.declarations import MetricDeclaration
    from harness.records.schema import CellFacts, RunRecord
    from harness.retrieval.codes import CodeTable
    from harness.retrieval.evaluate import Evaluation

DATA_FACTS = ("dataset", *OF_DATA, "standardise", "backbones", "images")
"""Facts that the data of a cell determine, whatever the method."""

NOT_OF_IDENTITY = ("row", "images", *LATER_SETTINGS)
"""Facts that do not enter the hash of codes of another program."""


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
    from harness.execution.results import evaluation_arrays
    from harness.files.npz import read_npz
    from harness.records.schema import facts_of
    from harness.retrieval.code_file import ARRAYS, code_table
    from harness.retrieval.evaluate import evaluate

    started = datetime.now(UTC)
    check_shares_and_seeds(said["noise"], said["trusted"], seed, said["data_seed"])
    registry = load_registry()
    metric_ids = checked_metrics(registry, axes.texts(metrics))
    declared = metrics_with(registry, metric_ids)
    store = RunStore(results)
    coded = None if cell is None else _coded_cell(cell, store)
    arrays = read_npz(codes, "--codes", ARRAYS.__contains__)
    table = code_table(arrays, f"--codes {codes}", None if coded is None else coded.labels_by_id())
    facts = _facts(said, coded, table, name or codes.stem, seed)
    # Where a cell is named, only what its file says can have a wrong type.
    where = f"--cell {cell} is damaged" if cell else f"--codes {codes}"
    cell_facts = facts_of(facts, where)
    blocks = _query_blocks(arrays, coded, table)
    store.check_writable()
    evaluation = evaluate(table, declared)
    record = _record(codes, where, facts, cell_facts, coded, table, evaluation, declared, started)
    folder = store.write(record, {**evaluation_arrays(table, evaluation), **blocks})
    for remark in evaluation.remarks:
        click.echo(f"note: {remark}", err=True)
    if record.error is not None:
        click.echo(f"{record.status}: {record.error.message}", err=True)
    if as_json:
        print_json([record.to_json()])
    else:
        print_comparisons([record], metric_ids)
        click.echo(f"record in {folder}")
    ctx.exit(0 if record.error is None else 1)


@dataclass(frozen=True)
class CodedCell:
    """What is known of the cell that codes were made on.

    Attributes:
        facts: Facts of its data, those of :data:`DATA_FACTS` among them.
        data: Fingerprint of its data; None where nothing says it.
        plan: Fingerprint of its noise plan.
        imported_plan: Fingerprint of the plan of ``--noise-plan``; None where the plan was drawn.
        query, database: (n,) ids of the items of a part, and their labels in the same order.
        blocks: (n_query,) which queries have the same caption; None where nothing says it.
    """

    facts: Mapping[str, Any]
    data: str | None
    plan: str | None
    imported_plan: str | None
    query: tuple[NDArray, NDArray]
    database: tuple[NDArray, NDArray]
    blocks: NDArray | None

    def labels_by_id(self) -> dict[str, dict[int, Any]]:
        """Part to id to label."""
        return {
            part: {int(number): label for number, label in zip(*items, strict=True)}
            for part, items in (("query", self.query), ("database", self.database))
        }


def _coded_cell(cell: str, store: RunStore) -> CodedCell:
    """The cell that ``--cell`` names.

    Raises:
        HarnessError: It is no export and no run, is damaged, or goes by another relevance than labels.
    """
    coded = _exported_cell(cell) if Path(cell).suffix == ".npz" else _cell_of_run(cell, store)
    relevance = coded.facts.get("relevance", "label")
    if relevance != "label":
        raise HarnessError(
            f"--cell: that cell goes by --relevance {relevance}, and codes of other programs are scored "
            "by labels: name a cell with --relevance label."
        )
    return coded


def _exported_cell(cell: str) -> CodedCell:
    """The cell in a file of ``harness data export``."""
    import numpy as np

    from harness.data.features.export import HEADER, header_of
    from harness.data.query_blocks import blocks_of_captions
    from harness.files.npz import read_npz

    needed = ("split", "labels", "text", "caption_choice")
    arrays = read_npz(Path(cell), "--cell", (HEADER, "captions", *needed).__contains__)
    header = header_of(arrays)
    if header is None:
        raise HarnessError(f"--cell {cell} is no file of `harness data export`.")
    _refuse_missing(cell, ("data", "plan"), header)
    _refuse_missing(cell, needed, arrays)
    _refuse_misfit(f"--cell {cell}", arrays)
    query, database = np.flatnonzero(arrays["split"] == 1), np.flatnonzero(arrays["split"] >= 2)
    captions = None if arrays.get("captions") is None else arrays["captions"].tolist()
    return CodedCell(
        header, header["data"], header["plan"], header.get("imported_plan"),
        (query, arrays["labels"][query]), (database, arrays["labels"][database]),
        blocks_of_captions(captions, arrays["text"], arrays["caption_choice"][query]),
    )  # fmt: skip


def _cell_of_run(run: str, store: RunStore) -> CodedCell:
    """The cell of a stored run."""
    from harness.files.npz import read_npz
    from harness.retrieval.code_file import ARRAYS

    stored = store.lookup(run)
    record = stored.record
    arrays = read_npz(stored.folder / "arrays.npz", "--cell", ARRAYS.__contains__)
    _refuse_missing(run, ("query_ids", "query_labels", "database_ids", "database_labels"), arrays)
    return CodedCell(
        record.cell.model_dump(), record.identity.get("data"), record.plan, record.identity.get("plan"),
        (arrays["query_ids"], arrays["query_labels"]), (arrays["database_ids"], arrays["database_labels"]),
        arrays.get("query_blocks"),
    )  # fmt: skip


def _refuse_missing(cell: str, names: tuple[str, ...], present: Mapping[str, Any]) -> None:
    """Refuse a cell that lacks one of the entries that its codes are checked against."""
    missing = [name for name in names if name not in present]
    if missing:
        raise HarnessError(
            f"--cell {cell} is damaged: {', '.join(missing)} missing; export the cell, or run it, again."
        )


def _refuse_misfit(where: str, arrays: Mapping[str, Any]) -> None:
    """Refuse an exported cell whose arrays do not fit each other in length, type or range."""
    from harness.data.matrices import check_rows

    choice = arrays["caption_choice"]
    check_rows(where, {name: arrays[name] for name in ("split", "labels", "caption_choice")}, "image")
    check_rows(where, {name: arrays[name] for name in ("text", "captions") if name in arrays}, "caption")
    for name in ("split", "caption_choice"):
        if arrays[name].ndim != 1 or arrays[name].dtype.kind not in "iu":
            raise HarnessError(f"{where}: {name} must be (n,) integers, not {arrays[name].dtype} {arrays[name].shape}.")
    if len(choice) and not 0 <= choice.min() <= choice.max() < len(arrays["text"]):
        raise HarnessError(f"{where}: caption_choice names rows of text beyond its {len(arrays['text'])}.")


def _query_blocks(arrays: Mapping[str, NDArray], coded: CodedCell | None, table: CodeTable) -> dict[str, NDArray]:
    """The array of query blocks, where the cell or the file says which queries have the same caption."""
    import numpy as np

    if coded is not None and coded.blocks is not None:
        blocks = dict(zip(coded.query[0].tolist(), coded.blocks.tolist(), strict=True))
        return {"query_blocks": np.array([blocks[number] for number in table.query_ids.tolist()], dtype=np.int64)}
    said = arrays.get("query_blocks")
    if said is None:
        return {}
    if said.shape != (len(table.query_ids),) or said.dtype.kind not in "iu":
        raise HarnessError(
            f"--codes: query_blocks must be ({len(table.query_ids)},) integers, not {said.dtype} {said.shape}."
        )
    return {"query_blocks": said.astype(np.int64)}


def _facts(said: dict[str, Any], coded: CodedCell | None, table: CodeTable, name: str, seed: int) -> dict[str, Any]:
    """Facts of the record: from the cell, otherwise from the options; a contradiction is an error."""
    facts: dict[str, Any] = {
        # What cells have that are older than the setting is the default of the record's field.
        **{fact: None for fact in (*DATA_FACTS, "precision") if fact not in LATER_SETTINGS},
        "dataset": "external",
        "backbones": {},
        "images": {"query": len(table.query_ids), "database": len(table.database_ids)},
    }
    if coded is not None:
        facts.update({key: coded.facts[key] for key in DATA_FACTS if key in coded.facts})
    for key, value in said.items():
        if value is None:
            continue
        if coded is not None and facts[key] != value:
            raise HarnessError(
                f"--{key.replace('_', '-')} {value} contradicts the cell, which has {facts[key]}: leave it out."
            )
        facts[key] = value
    method = f"external:{name}"
    return {
        **facts, "row": method, "method": method, "preset": "", "hasher": name, "detector": "external",
        "objective": None, "bits": table.n_bits, "seed": seed, "granted": [], "parameters": {},
    }  # fmt: skip


def _record(
    codes: Path,
    where: str,
    facts: dict[str, Any],
    cell_facts: CellFacts,
    coded: CodedCell | None,
    table: CodeTable,
    evaluation: Evaluation,
    declared: Sequence[MetricDeclaration],
    started: datetime,
) -> RunRecord:
    """The record of codes of another program, finished now; a mistake in it comes from the file of the cell."""
    from pydantic import ValidationError

    from harness.execution.results import evaluated_record
    from harness.records.schema import first_mistake

    identity = {
        **{key: value for key, value in facts.items() if key not in NOT_OF_IDENTITY},
        "codes": _fingerprint(table),
        "data": coded.data if coded else None,
        "plan": coded.imported_plan if coded else None,
    }
    try:
        return evaluated_record(
            evaluation, declared, identity, cell_facts, others={"detector": {}, "noise": {"requested": facts["noise"]}},
            notes=[f"codes of another program, read from {codes}"], plan=coded.plan if coded else None,
            environment=environment(None), started=started,
        )  # fmt: skip
    except ValidationError as error:
        raise HarnessError(f"{where}: {first_mistake(error)}.") from error


def _fingerprint(table: CodeTable) -> str:
    digest = hashlib.sha256()
    for part in (table.query, table.database):
        for modality in sorted(part):
            digest.update(part[modality].tobytes())
    for array in (table.query_labels, table.database_labels, table.query_ids, table.database_ids):
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
