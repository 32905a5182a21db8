"""What must hold of every query's values, whatever the codes: checked for every record; and what codes should be like.

p@1, hit@1 and mrr@1 ask the same of the first item, and so do map@1, map_hits@1 and ndcg@1; the expectation of average
precision over the orders of ties lies between its bounds; a metric stays within the limits that it declares, and is a
number wherever it is defined. A value that breaks this is no result, but the sign of a mistake in a metric or in the
counting of distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.plugin.declarations import MetricDeclaration

Floats = NDArray[np.float64]

TOLERANCE = 1e-9
"""Two sums of the same terms may differ by this, and by :data:`PER_ITEM` for each item of the database."""

PER_ITEM = 1e-14
"""Differences of harmonic numbers are multiplied by ranks: at rank N a unit in the last place of H(N), below 4e-15 at
1e7 items, becomes N times that (tests/retrieval/test_sanity.py measures it)."""

FIRST_ITEM = ("p@1", "hit@1", "mrr@1", "map@1", "map_hits@1", "ndcg@1")
"""Metric ids that all say whether the first item is relevant, for a query that has relevant items."""

BRACKET = ("map_pessimistic", "map", "map_optimistic")
"""Metric ids in the order that they must have."""


@dataclass(frozen=True)
class Contract:
    """What a metric's declaration promises of its values.

    Attributes:
        bounds: Smallest and largest value; None where none are declared. Only a metric that declares its bounds
            must have a value for each query that it counts.
        counts_empty: Whether a query without relevant items has a value, too.
    """

    bounds: tuple[float, float] | None
    counts_empty: bool


def contracts(declared: Iterable[MetricDeclaration]) -> dict[str, Contract]:
    """Metric id to what its declaration promises."""
    return {
        metric_id: Contract(declaration.bounds, declaration.empty_query == "counts 0")
        for declaration in declared
        for metric_id in declaration.ids
    }


def value_violations(
    direction: str,
    values: Mapping[str, Floats],
    relevant: NDArray[np.int64],
    n_items: int,
    said: Mapping[str, Contract],
) -> list[str]:
    """What is wrong with the values of one direction.

    Args:
        direction: Such as "i2t".
        values: Metric id to (n_query,) values; without metrics that failed.
        relevant: (n_query,) relevant items of each query in the database.
        n_items: Size of the database.
        said: From :func:`contracts`.

    Returns:
        One sentence for each invariant and metric that is violated; it names the first such query, from 0, and how many
        there are.
    """
    violations: list[str] = []
    answerable, near = relevant > 0, TOLERANCE + n_items * PER_ITEM
    for metric_id, of_queries in values.items():
        violations += _of_one(f"{direction}: {metric_id}", of_queries, relevant, said[metric_id], near)
    first = [metric_id for metric_id in FIRST_ITEM if metric_id in values]
    for other in first[1:]:
        differ = answerable & (np.abs(values[other] - values[first[0]]) > near)
        violations += _told(differ, _two_first_items(direction, values, other, first[0]))
    ordered = [metric_id for metric_id in BRACKET if metric_id in values]
    for low, high in pairwise(ordered):
        violations += _told(values[low] - values[high] > near, _out_of_order(direction, values, low, high))
    return violations


def _two_first_items(direction: str, values: Mapping[str, Floats], other: str, first: str) -> Callable[[int], str]:
    return lambda query: (
        f"{direction}: {other} of query {query} is {values[other][query]:.6g} and {first} is "
        f"{values[first][query]:.6g}; both say whether the first item is relevant and must be equal"
    )


def _out_of_order(direction: str, values: Mapping[str, Floats], low: str, high: str) -> Callable[[int], str]:
    return lambda query: (
        f"{direction}: {low} of query {query} is {values[low][query]:.6g}, more than {high}, which is "
        f"{values[high][query]:.6g}"
    )


def _of_one(name: str, values: Floats, relevant: NDArray[np.int64], said: Contract, near: float) -> list[str]:
    """What is wrong with the values of one metric by themselves."""
    violations = _told(np.isinf(values), lambda query: f"{name} of query {query} is infinite")
    if said.bounds is None:
        return violations
    counts = (relevant > 0) | said.counts_empty
    violations += _told(
        counts & np.isnan(values),
        lambda query: (
            f"{name} of query {query} is not a number, and the query has {relevant[query]} relevant items"
            if relevant[query]
            else f"{name} of query {query} is not a number; without relevant items it counts 0"
        ),
    )
    low, high = said.bounds
    outside = np.isfinite(values) & ((values < low - near) | (values > high + near))
    return violations + _told(
        outside, lambda query: f"{name} of query {query} is {values[query]:.6g}, outside of {low:g} to {high:g}"
    )


def _told(wrong: NDArray[np.bool_], sentence: Callable[[int], str]) -> list[str]:
    """The sentence about the first query that is wrong, and how many more there are."""
    queries = np.flatnonzero(wrong)
    if not len(queries):
        return []
    more = f" (and {len(queries) - 1} more queries)" if len(queries) > 1 else ""
    return [f"{sentence(int(queries[0]))}{more}"]


def means_not_finite(metrics: Mapping[str, object]) -> list[str]:
    """Numbers of a record that are none.

    Args:
        metrics: ``record.metrics``: groups ("i2t", "detector", "noise") of names and values.

    Returns:
        One sentence for each.
    """
    return [
        f"{group}: {name} is {value}, which is no finite number"
        for group, values in metrics.items()
        if isinstance(values, Mapping)
        for name, value in values.items()
        if isinstance(value, float) and not np.isfinite(value)
    ]


def constant_bits(modality: str, parts: Sequence[NDArray[np.uint8]], n_bits: int) -> list[str]:
    """A remark on bits that are the same in all codes of a modality, and so say nothing.

    Args:
        modality: "image" or "text".
        parts: (n, bytes) packed codes of queries, of the database, or of both.
        n_bits: Code length.

    Returns:
        One sentence, or none where every bit varies or there is no more than one code.
    """
    number = sum(len(codes) for codes in parts)
    if number < 2:
        return []
    ever = np.bitwise_or.reduce([np.bitwise_or.reduce(codes, axis=0) for codes in parts])
    always = np.bitwise_and.reduce([np.bitwise_and.reduce(codes, axis=0) for codes in parts])
    constant = n_bits - int(np.unpackbits(ever ^ always, count=n_bits, bitorder="little").sum())
    if constant == n_bits:
        ones = int(np.unpackbits(always, count=n_bits, bitorder="little").sum())
        why = {
            n_bits: ": every output is above 0, so take 0.5 off those of a sigmoid first",
            0: ": no output is above 0",
        }
        return [f"all {number} {modality} codes are equal, so that they rank nothing{why.get(ones, '')}"]
    return [f"{constant} of {n_bits} bits are the same in all {number} {modality} codes"] if constant else []


def random_order_moments(n_items: int, relevant: Sequence[int] | NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Mean and variance of average precision when R relevant among M items stand in random order, exact.

    With a_t = 1/t, H = sum a_t, S = sum a_t^2 and r_t = 1 where rank t is relevant, R AP = sum_t a_t r_t + sum_{s<t}
    a_t r_s r_t. The expectation of a product of k different r's is c_k = R (R-1) ... (R-k+1) / (M (M-1) ... (M-k+1)),
    so that mean and second moment are sums of a_t over pairs, triples and quadruples of ranks, all of which come down
    to H, S and M. The mean is a little above the prevalence R/M: (H + (R-1) (M-H) / (M-1)) / M.

    Args:
        n_items: M, at least 1.
        relevant: (n,) R of each query, from 1 to M.

    Returns:
        (n,) means and (n,) variances.
    """
    m = float(n_items)
    r = np.asarray(relevant, dtype=np.float64)
    reciprocal = 1.0 / np.arange(1, n_items + 1)
    h, s = float(reciprocal.sum()), float((reciprocal**2).sum())
    falling = np.ones_like(r)
    c = []
    for k in range(4):
        falling = falling * np.maximum(r - k, 0.0) / max(m - k, 1.0)
        c.append(falling)
    one, two, three, four = c
    pairs = m - h  # sum_{s<t} a_t
    squares = h - s  # sum_{s<t} a_t^2
    products = (h * h - s) / 2  # sum_{s<t} a_s a_t
    chains = pairs - products  # sum_{s<t<u} a_t a_u
    forks = m - 3 * h + 2 * s  # sum of a_t^2 over t and ordered pairs of two ranks before it
    singles = one * s + two * (h * h - s)
    mixed = two * (squares + products) + three * (h * pairs - squares - products)
    doubles = two * squares + three * (forks + 4 * chains) + four * (pairs**2 - squares - forks - 4 * chains)
    mean = (one * h + two * pairs) / r
    variance = (singles + 2 * mixed + doubles) / r**2 - mean**2
    return mean, np.maximum(variance, 0.0)
