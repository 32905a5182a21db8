"""From codes and labels to the metrics of the four directions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError, text_of
from harness.plugin.declarations import MetricDeclaration
from harness.plugin.metric_ids import MODALITIES_OF
from harness.retrieval.codes import CodeTable
from harness.retrieval.counting import in_threads, threads
from harness.retrieval.histograms import DistanceHistogram
from harness.retrieval.metrics import precision_recall_by_radius
from harness.retrieval.partners import partner_histogram
from harness.retrieval.relevance import Relevance
from harness.retrieval.sanity import constant_bits, contracts, value_violations
from harness.retrieval.self_check import SelfCheck

if TYPE_CHECKING:
    import torch


@dataclass
class Evaluation:
    """The result of :func:`evaluate`.

    Attributes:
        metrics: Direction to metric id to value; None where no query has a relevant item.
        per_query: ``"i2t/map"`` to (n_query,) float64, NaN for a query that the metric leaves out.
        curves: ``"i2t/precision_by_radius"`` and the others of :data:`CURVES`: (n_bits + 1,).
        queries: Number of queries, and of those without any relevant item in the database.
        failed: Metric id to why it has no value: its function raised, or returned something else than numbers.
        violations: What must hold of any codes and does not, one sentence each; such numbers are no result.
        remarks: What is worth knowing of the codes, one sentence each: all of them equal, bits that never change.
    """

    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    per_query: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    curves: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    queries: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


CURVES = ("precision_by_radius", "recall_by_radius", "empty_by_radius")

PER_QUERY_KEPT = ("map", "map_relevant@20")
"""Metrics whose per-query values are kept for paired statistics; any other can be recomputed from the stored codes."""


def evaluate(
    table: CodeTable,
    declared: Sequence[MetricDeclaration],
    device: torch.device | str | None = None,
    per_query_kept: Collection[str] = PER_QUERY_KEPT,
) -> Evaluation:
    """Score codes in every direction for which both modalities are there.

    Labels are sorted once and codes are put in their order once, whatever the number of directions; all metrics of a
    direction come from one histogram.

    Args:
        table: Codes, ids and labels.
        declared: The metrics to compute.
        device: A CUDA device to count distances on; otherwise the processor counts.
        per_query_kept: Ids of the metrics whose values of each query are returned.

    Returns:
        Metrics, per-query values and curves, and what is wrong with them.
    """
    functions = {
        metric_id: (_function(declaration), cutoff)
        for declaration in declared
        for metric_id, cutoff in zip(declaration.ids, declaration.cutoffs, strict=True)
    }
    result = Evaluation(queries={"total": len(table.query_labels)})
    for modality in ("image", "text"):
        parts = [part[modality] for part in (table.query, table.database) if modality in part]
        result.remarks += constant_bits(modality, parts, table.n_bits)
    directions = {
        name: (query, database)
        for name, (query, database) in MODALITIES_OF.items()
        if query in table.query and database in table.database and (table.partners is None or name in table.partners)
    }
    said, checks = contracts(declared), SelfCheck(table, device)
    for direction, histogram in _histograms(table, directions, device):
        without = int((histogram.total_relevant == 0).sum())
        result.queries["without_relevant"] = max(without, result.queries.get("without_relevant", 0))
        per_query = values_per_query(histogram, functions, result.failed)
        whole = {metric_id: values for metric_id, values in per_query.items() if metric_id not in result.failed}
        result.violations += checks.counts(direction, *directions[direction], histogram)
        result.violations += value_violations(
            direction, whole, histogram.total_relevant, len(table.database[directions[direction][1]]), said
        )
        if "map" in whole and not result.metrics:  # the first direction: relevance is the same in the others
            result.violations += checks.random_codes(direction, *directions[direction], histogram, functions["map"][0])
        result.metrics[direction] = {metric_id: _mean(values) for metric_id, values in per_query.items()}
        for metric_id in per_query_kept:
            if metric_id in per_query:
                result.per_query[f"{direction}/{metric_id}"] = per_query[metric_id]
        for name, curve in zip(CURVES, precision_recall_by_radius(histogram), strict=True):
            result.curves[f"{direction}/{name}"] = curve
    return result


def _histograms(
    table: CodeTable, directions: Mapping[str, tuple[str, str]], device: torch.device | str | None
) -> Iterator[tuple[str, DistanceHistogram]]:
    """Direction and histogram, one direction at a time."""
    if table.partners is not None:
        for direction, (query, database) in directions.items():
            yield (
                direction,
                partner_histogram(
                    table.query[query], table.database[database], table.partners[direction], table.n_bits, device
                ),
            )
        return
    relevance = Relevance.of(table.query_labels, table.database_labels)
    queries = {name: relevance.query_words(table.query[name]) for name in {query for query, _ in directions.values()}}
    databases = {
        name: relevance.database_words(table.database[name]) for name in {name for _, name in directions.values()}
    }
    for direction, (query, database) in directions.items():
        yield (
            direction,
            DistanceHistogram.counted(relevance, queries[query], databases[database], table.n_bits, device),
        )


def _function(declaration: MetricDeclaration) -> Callable:
    """The metric's function, or one that says why it cannot be imported."""
    try:
        function: Callable = declaration.load()
        return function
    except HarnessError as error:
        reason = str(error)

        def not_there(*_: object) -> None:
            raise HarnessError(reason)

        return not_there


def values_per_query(
    histogram: DistanceHistogram,
    functions: Mapping[str, tuple[Callable, int | None]],
    failed: dict[str, str] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Every metric of every query, some queries at a time.

    A metric that fails must not cost the training that came before it: it gets NaN for every query, and the others
    their values.

    Args:
        histogram: The histograms.
        functions: Metric id to function and cutoff.
        failed: Gets the reason of each metric that failed.

    Returns:
        Metric id to (n_query,) values.
    """
    reasons = {} if failed is None else failed

    def score(part: DistanceHistogram) -> dict[str, NDArray[np.float64]]:
        values = {}
        for metric_id, (function, cutoff) in functions.items():
            try:
                scores = function(part) if cutoff is None else function(part, cutoff)
                if np.shape(scores) != (len(part),):
                    raise TypeError(f"it returned shape {np.shape(scores)} for {len(part)} queries")
                values[metric_id] = np.asarray(scores, dtype=np.float64)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                reasons.setdefault(metric_id, f"{type(error).__name__}: {text_of(error)}")
                values[metric_id] = np.full(len(part), np.nan)
        return values

    parts = in_threads(score, histogram.parts(), threads())
    return {
        metric_id: np.concatenate([part[metric_id] for part in parts])
        if metric_id not in reasons
        else np.full(len(histogram), np.nan)
        for metric_id in functions
    }


def failure_notes(evaluation: Evaluation) -> list[str]:
    """One remark for the record for each metric that failed."""
    return [
        f"{failure_prefix(metric_id)}, because its function failed: {reason}"
        for metric_id, reason in evaluation.failed.items()
    ]


def failure_prefix(metric_id: str) -> str:
    """The beginning of the remark about a metric without a value."""
    return f"metric {metric_id} has no value"


def _mean(per_query: NDArray[np.float64]) -> float | None:
    """Mean over the queries that count; None where none does, or where it is infinite."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # mean of nothing
        value = float(np.nanmean(per_query)) if len(per_query) else math.nan
    return value if math.isfinite(value) else None


def definitions(declared: Sequence[MetricDeclaration]) -> dict[str, str]:
    """Metric id to its definition in words, as stored beside the numbers."""
    return {
        metric_id: f"{declaration.definition} Query without relevant items: {declaration.empty_query}."
        for declaration in declared
        for metric_id in declaration.ids
    }
