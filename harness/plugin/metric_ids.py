"""Directions of retrieval, and metric ids as a user writes them, with any cutoff: ``map@15`` is none of the usual."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from harness.errors import HarnessError, unknown_name
from harness.plugin.declarations import MetricDeclaration
from harness.plugin.registry import Registry
from harness.quantities import DIGITS
from harness.text import shortened

MODALITIES_OF = {"i2t": ("image", "text"), "t2i": ("text", "image"), "i2i": ("image", "image"), "t2t": ("text", "text")}
"""Direction to the modality of the query and of the database."""

DIRECTIONS = tuple(MODALITIES_OF)
"""In this order in tables."""

LARGEST_CUTOFF = 1_000_000
"""More is a slip of the keyboard."""

_CUTOFF = re.compile(r"[0-9]+")


def declared_metric(registry: Registry, metric_id: str) -> MetricDeclaration:
    """The declaration that yields one metric id, and that id alone.

    Args:
        registry: What is registered.
        metric_id: Such as "map", "map@20" or "map@15".

    Returns:
        The declaration with the one cutoff.

    Raises:
        HarnessError: No such metric, or it takes no such cutoff.
    """
    declared: dict[str, MetricDeclaration] = {metric.name: metric for metric in registry.all("metric")}  # type: ignore[misc]
    usual = [known for metric in declared.values() for known in metric.ids]
    name, at, text = metric_id.partition("@")
    metric = declared.get(name)
    if metric is None or (at and not _CUTOFF.fullmatch(text)):
        raise unknown_name("metric", metric_id, usual)
    smallest = min((cutoff for cutoff in metric.cutoffs if cutoff is not None), default=None)
    if not at:
        if None not in metric.cutoffs:
            raise unknown_name("metric", metric_id, metric.ids, f"{name} needs a cutoff.")
        return replace(metric, cutoffs=(None,))
    cutoff = int(text) if len(text) < DIGITS else LARGEST_CUTOFF + 1
    if smallest is None:
        raise HarnessError(f"metric {name!r} takes no cutoff: write {name}.")
    # Ranks begin at 1 and Hamming radii at 0; the registered cutoffs tell which of them this is.
    least = min(smallest, 1)
    if not least <= cutoff <= LARGEST_CUTOFF:
        raise HarnessError(f"metric {shortened(metric_id, 60)}: expected a cutoff from {least} to {LARGEST_CUTOFF}.")
    return replace(metric, cutoffs=(cutoff,))


def metrics_with(registry: Registry, metric_ids: Sequence[str]) -> list[MetricDeclaration]:
    """All registered metrics, and those asked for with other cutoffs.

    Args:
        registry: What is registered.
        metric_ids: Ids asked for.

    Returns:
        Declarations in which every id occurs once.

    Raises:
        HarnessError: An id is unknown.
    """
    metrics: list[MetricDeclaration] = list(registry.all("metric"))  # type: ignore[arg-type]
    known = {known for metric in metrics for known in metric.ids}
    for metric_id in dict.fromkeys(metric_ids):
        metric = declared_metric(registry, metric_id)
        if not known.intersection(metric.ids):
            metrics.append(metric)
            known.update(metric.ids)
    return metrics


def checked_metrics(registry: Registry, said: Sequence[str]) -> list[str]:
    """The metrics of tables: those that are named, otherwise ``map``.

    Raises:
        HarnessError: One is unknown; near ids are suggested.
    """
    ids = list(dict.fromkeys(said)) or ["map"]
    for metric_id in ids:
        declared_metric(registry, metric_id)
    return ids
