"""``harness.evaluate``: scores of codes, by the same path as those of a cell and of ``harness evaluate``."""

from __future__ import annotations

import html
import inspect
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from harness.api.arguments import check_names
from harness.api.inputs import array_of, registry_with
from harness.cells.cell import MOST_BITS
from harness.errors import HarnessError, unknown_name
from harness.plugin.metric_ids import DIRECTIONS, MODALITIES_OF, declared_metric, metrics_with
from harness.plugin.registry import Registry
from harness.quantities import check_whole
from harness.retrieval.code_file import Names, code_table
from harness.retrieval.evaluate import definitions, failure_notes
from harness.retrieval.evaluate import evaluate as score
from harness.runtime.context import choose_device
from harness.runtime.outlets import notes_as_warnings, warn
from harness.runtime.process_settings import process_settings_kept
from harness.runtime.seeding import frozen_global_randomness
from harness.runtime.settings import torch_settings_kept

if TYPE_CHECKING:
    import pandas
    from numpy.typing import ArrayLike, NDArray

    from harness.plugin.declarations import MetricDeclaration
    from harness.retrieval.codes import CodeTable

WHERE = "harness.evaluate"


class Scores(dict[str, "float | None"]):
    """Metric id to its mean over the queries; None where no query has a relevant item.

    Attributes:
        definitions: Metric id to what it measures, in words.
        per_query: Metric id to (n_query,) float64, NaN for a query that the metric leaves out.
        queries: ``total`` number of queries, and those ``without_relevant`` items in the database.
        notes: What is worth knowing of the codes, one sentence each: bits that never change, a metric that failed.
    """

    def __init__(
        self,
        values: Mapping[str, float | None],
        definitions: Mapping[str, str],
        per_query: Mapping[str, NDArray],
        queries: Mapping[str, int],
        notes: Iterable[str],
    ) -> None:
        super().__init__(values)
        self.definitions, self.per_query = dict(definitions), dict(per_query)
        self.queries, self.notes = dict(queries), list(notes)

    def to_frame(self) -> pandas.DataFrame:
        """One row for each metric: ``metric``, ``value`` (NaN where there is none) and ``definition``."""
        import pandas

        values = [float("nan") if value is None else value for value in self.values()]
        return pandas.DataFrame({
            "metric": list(self), "value": values, "definition": [self.definitions[metric_id] for metric_id in self],
        })  # fmt: skip

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr title="{html.escape(self.definitions[metric_id])}"><td>{html.escape(metric_id)}</td>'
            f"<td>{'' if value is None else f'{value:.4f}'}</td></tr>"
            for metric_id, value in self.items()
        )
        notes = "".join(f"<p>note: {html.escape(note)}</p>" for note in self.notes)
        return f"<table><thead><tr><th>metric</th><th>value</th></tr></thead><tbody>{rows}</tbody></table>{notes}"


def evaluate(
    *,
    query: ArrayLike | None = None,
    database: ArrayLike | None = None,
    query_labels: ArrayLike | None = None,
    database_labels: ArrayLike | None = None,
    bits: int | None = None,
    metrics: str | Iterable[str] | None = None,
    query_ids: ArrayLike | None = None,
    database_ids: ArrayLike | None = None,
    direction: str = "i2t",
    device: str = "auto",
    plugins: Iterable[Any] = (),
    **unknown: Any,
) -> Scores:
    """Score codes as a cell does: the database is ranked by Hamming distance to each query.

    Codes are packed uint8 of shape (n, ceil(bits / 8)), least significant bit first, as ``model.encode_image`` gives
    them, or (n, bits) of -1/1, 0/1, bool or real values, of which those above 0 are 1. Arrays may be of numpy or torch,
    or lists; none is changed.

    Args:
        query: Codes of the queries.
        database: Codes of the items that are ranked.
        query_labels: (n_query,) integers, one class for each query, or (n_query, n_classes) of 0/1. Query and item are
            relevant to each other where they share a class.
        database_labels: The same of the database.
        bits: Code length.
        metrics: Ids such as ``"map"`` or ``["map", "precision@50"]``, with any cutoff; None for all that are
            registered, as ``harness list metrics`` shows.
        query_ids: (n_query,) integers, where the items have numbers.
        database_ids: (n_database,) integers; none of them may be a query's.
        direction: ``i2t``, ``t2i``, ``i2i`` or ``t2t``: modality of query and database, for the notes.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``: where distances are counted; the numbers are the same.
        plugins: Plugin files, modules, or functions of this session, with metrics of your own.
        **unknown: Refused, with near names.

    Returns:
        Metric id to value, with the definitions.

    Raises:
        HarnessError: Codes, labels or ids are missing, have a wrong shape or hold NaN, an id is in both parts, or a
            metric is unknown.
    """
    check_names("evaluate", unknown, [name for name in inspect.signature(evaluate).parameters if name != "unknown"])
    declared = _declared(registry_with(plugins), metrics)
    if direction not in DIRECTIONS:
        raise unknown_name("direction", str(direction), DIRECTIONS)
    given = {
        "query": query, "database": database, "query_labels": query_labels, "database_labels": database_labels,
        "bits": bits, "query_ids": query_ids, "database_ids": database_ids,
    }  # fmt: skip
    with notes_as_warnings():
        table = _table({name: value for name, value in given.items() if value is not None}, direction)
    ids = [metric_id for declaration in declared for metric_id in declaration.ids]
    with ExitStack() as stack:
        for kept in (process_settings_kept, torch_settings_kept, frozen_global_randomness):
            stack.enter_context(kept())
        found = score(table, declared, choose_device(device), per_query_kept=ids)
    if found.violations:
        said = " ".join(found.violations)
        warn(f"{WHERE}: what must hold of any codes does not, so these are no results: {said}")
    per_query = {name.partition("/")[2]: values for name, values in found.per_query.items()}
    notes = [*found.violations, *found.remarks, *failure_notes(found)]
    return Scores(found.metrics[direction], definitions(declared), per_query, found.queries, notes)


def _declared(registry: Registry, metrics: str | Iterable[str] | None) -> list[MetricDeclaration]:
    """The metrics asked for, in that order; all where none is."""
    if metrics is None:
        return metrics_with(registry, ())
    asked = dict.fromkeys([metrics] if isinstance(metrics, str) else metrics)
    if not asked:
        raise HarnessError(f"{WHERE}: metrics names none; leave it out for all that are registered.")
    return [declared_metric(registry, str(metric_id)) for metric_id in asked]


def _table(given: Mapping[str, Any], direction: str) -> CodeTable:
    """The codes, checked; messages name the arguments."""
    what = {
        "query": "the codes of the queries", "database": "the codes of the database",
        "query_labels": "the class of each query, (n,) integers or (n, n_classes) of 0/1",
        "database_labels": "the class of each item of the database, (n,) integers or (n, n_classes) of 0/1",
        "bits": "the code length",
    }  # fmt: skip
    for name, meaning in what.items():
        if name not in given:
            raise HarnessError(f"{WHERE}: {name} is missing: give {meaning}.")
    arrays = {name: array_of(value, f"{WHERE}: {name}") for name, value in given.items()}
    if arrays["bits"].dtype.kind in "iu" and arrays["bits"].size == 1:
        check_whole("bits", int(arrays["bits"].item()), 1, MOST_BITS)
    of_query, of_database = MODALITIES_OF[direction]
    names = Names({("query", of_query): ("query",), ("database", of_database): ("database",)}, "bits")
    return code_table(arrays, WHERE, names=names)
