"""What a cell leaves behind, our own and one of another program: its record and its arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cells.cell import content_hash
from harness.plugin.declarations import MetricDeclaration
from harness.records.plausible import verdict, violation_notes
from harness.records.schema import CellFacts, Failure, RunRecord, Status
from harness.retrieval.codes import CodeTable
from harness.retrieval.evaluate import Evaluation, definitions, failure_notes
from harness.retrieval.sanity import means_not_finite


@dataclass
class CellResult:
    """What is stored of a cell.

    Attributes:
        record: The record.
        arrays: For ``arrays.npz``.
        model: For ``model.safetensors``.
        log: Lines for ``log.txt``.
    """

    record: RunRecord
    arrays: dict[str, NDArray] | None = None
    model: dict[str, Any] | None = None
    log: list[str] = field(default_factory=list)


def make_record(
    identity: Mapping[str, Any], facts: CellFacts, status: Status, error: Failure | None, started: datetime,
    **content: Any,
) -> RunRecord:  # fmt: skip
    """A record that is finished now; its hash follows from the identity, and fields without content are empty."""
    empty: dict[str, Any] = {
        "metrics": {}, "metric_definitions": {}, "queries": {}, "plan": None, "notes": [], "timings": {}, "cost": {},
        "environment": {}, "command": "",
    }  # fmt: skip
    return RunRecord(
        hash=content_hash(identity),
        status=status,
        cell=facts,
        identity=dict(identity),
        started=started.isoformat(timespec="milliseconds"),
        finished=datetime.now(UTC).isoformat(timespec="milliseconds"),
        error=error,
        **{**empty, **content},
    )


def evaluated_record(
    evaluation: Evaluation, declared: Sequence[MetricDeclaration], identity: Mapping[str, Any], facts: CellFacts, *,
    others: Mapping[str, Mapping[str, Any]], notes: Sequence[str], **content: Any,
) -> RunRecord:  # fmt: skip
    """The record of codes that were evaluated: ``ok``, or ``invalid`` where its numbers break what must hold.

    Args:
        evaluation: Metrics, and remarks on the codes.
        declared: The metrics that were computed.
        identity, facts: As in :func:`make_record`.
        others: Groups of ``record.metrics`` beside those of the directions: "detector" and "noise".
        notes: Remarks that come before those on the codes.
        **content: Other fields of the record, its start among them.
    """
    metrics = {**evaluation.metrics, **others}
    violations = [*evaluation.violations, *means_not_finite(metrics)]
    status, error = verdict(violations)
    return make_record(
        identity, facts, status, error, metrics=metrics, metric_definitions=definitions(declared),
        queries=evaluation.queries,
        notes=[*notes, *evaluation.remarks, *failure_notes(evaluation), *violation_notes(violations)], **content,
    )  # fmt: skip


def evaluation_arrays(codes: CodeTable, evaluation: Evaluation) -> dict[str, NDArray]:
    """Codes, ids and labels under the names that ``harness evaluate --codes`` reads, per-query values and curves."""
    arrays: dict[str, NDArray] = {"n_bits": np.array(codes.n_bits)}
    for part, modalities in (("query", codes.query), ("database", codes.database)):
        for modality, packed in modalities.items():
            arrays[f"{part}_{modality}_codes"] = packed
    arrays["query_labels"], arrays["database_labels"] = codes.query_labels, codes.database_labels
    arrays["query_ids"], arrays["database_ids"] = codes.query_ids, codes.database_ids
    if codes.partners is not None:
        arrays["relevant_pairs"] = codes.partners["i2t"]
    for prefix, named in (("per_query", evaluation.per_query), ("curve", evaluation.curves)):
        arrays.update({f"{prefix}_{name.replace('/', '_')}": array for name, array in named.items()})
    return arrays
