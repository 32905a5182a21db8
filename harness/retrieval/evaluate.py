"""From codes and labels to the metrics of the four directions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.declarations import MetricDeclaration
from harness.retrieval.histograms import distance_histogram
from harness.retrieval.metrics import precision_recall_by_radius

DIRECTIONS = {"i2t": ("image", "text"), "t2i": ("text", "image"), "i2i": ("image", "image"), "t2t": ("text", "text")}
"""Direction to the modality of the query and of the database."""


@dataclass(frozen=True)
class CodeTable:
    """Codes, ids and labels of queries and database.

    Attributes:
        n_bits: Code length.
        query: Modality to (n_query, bytes) packed codes; a modality may be missing.
        database: Modality to (n_database, bytes) packed codes.
        query_labels: (n_query,) integers or (n_query, n_classes) 0/1.
        database_labels: As ``query_labels``.
        query_ids: (n_query,) int64 numbers of the items in their data set.
        database_ids: (n_database,) int64.
    """

    n_bits: int
    query: Mapping[str, NDArray[np.uint8]]
    database: Mapping[str, NDArray[np.uint8]]
    query_labels: NDArray
    database_labels: NDArray
    query_ids: NDArray[np.int64]
    database_ids: NDArray[np.int64]


@dataclass
class Evaluation:
    """What :func:`evaluate` found.

    Attributes:
        metrics: Direction to metric id to value; None where no query has a relevant item.
        per_query: ``"i2t/map"`` to (n_query,) float64, NaN for a query that the metric leaves out.
        curves: ``"i2t/precision_by_radius"``, ``".../recall_by_radius"``, ``".../empty_by_radius"``: (n_bits + 1,).
        queries: Number of queries, and of those without any relevant item in the database.
    """

    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    per_query: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    curves: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    queries: dict[str, int] = field(default_factory=dict)


PER_QUERY_KEPT = ("map", "map_relevant@20")
"""Metrics whose per-query values are kept for paired statistics; any other can be recomputed from the stored codes."""


def evaluate(table: CodeTable, declared: Sequence[MetricDeclaration]) -> Evaluation:
    """Score codes in every direction for which both modalities are there.

    Args:
        table: Codes, ids and labels.
        declared: The metrics to compute.

    Returns:
        Metrics, per-query values and curves.
    """
    functions = [(declaration, declaration.load()) for declaration in declared]
    result = Evaluation(queries={"total": len(table.query_labels)})
    for direction, (query_modality, database_modality) in DIRECTIONS.items():
        if query_modality not in table.query or database_modality not in table.database:
            continue
        histogram = distance_histogram(
            table.query[query_modality],
            table.database[database_modality],
            table.n_bits,
            table.query_labels,
            table.database_labels,
        )
        result.queries["without_relevant"] = int((histogram.total_relevant == 0).sum())
        values: dict[str, float | None] = {}
        for declaration, function in functions:
            for metric_id, cutoff in zip(declaration.ids, declaration.cutoffs, strict=True):
                per_query = function(histogram) if cutoff is None else function(histogram, cutoff)
                values[metric_id] = _mean(per_query)
                if metric_id in PER_QUERY_KEPT:
                    result.per_query[f"{direction}/{metric_id}"] = per_query
        result.metrics[direction] = values
        precisions, recalls, empty = precision_recall_by_radius(histogram)
        result.curves[f"{direction}/precision_by_radius"] = precisions
        result.curves[f"{direction}/recall_by_radius"] = recalls
        result.curves[f"{direction}/empty_by_radius"] = empty
    return result


def _mean(per_query: NDArray[np.float64]) -> float | None:
    """Mean over the queries that count; None where none does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # mean of nothing
        value = float(np.nanmean(per_query)) if len(per_query) else math.nan
    return None if math.isnan(value) else value


def definitions(declared: Sequence[MetricDeclaration]) -> dict[str, str]:
    """Metric id to its definition in words, as stored beside the numbers."""
    return {
        metric_id: f"{declaration.definition} Query without relevant items: {declaration.empty_query}."
        for declaration in declared
        for metric_id in declaration.ids
    }
