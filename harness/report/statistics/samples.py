"""Runs of one setting, in order for resampling: data seeds, training seeds inside them, blocks of queries inside."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.records.run_files import run_folder, run_place
from harness.report.statistics.bootstrap import BlockSums
from harness.report.statistics.per_query import QueryValues, common_blocks, read_queries

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Seeds = tuple[Any, Any]
"""Data seed and training seed; None where a record has none."""

CONTRADICTION = 1e-6
"""Largest difference between a recorded value and the mean of its stored values per query."""

FROM_CODES = (
    "older records do not say which queries have the same caption: those whose caption codes are equal "
    "in every run count as one"
)
ALONE = "nothing says which queries have the same caption: each counts as an observation of its own"


@dataclass(frozen=True)
class FinishedRun:
    """The parts of a finished run that statistics use.

    Attributes:
        hash: Its hash.
        value: The recorded value.
        folder: Where its arrays are, or None.
        plan: Fingerprint of its noise plan, or None where the frame does not say it.
    """

    hash: str
    value: float
    folder: Path | None
    plan: str | None


@dataclass(frozen=True)
class Term:
    """A run and the weight of its value: 1 for one side of a difference, -1 for the other."""

    weight: float
    run: FinishedRun


@dataclass(frozen=True)
class Samples:
    """The input of the bootstrap and of the tests.

    Attributes:
        data: Values of each data seed.
        images: For each data seed, (n_queries,) the images of its queries.
        blocks: For each data seed, (n_queries,) the block of each.
        shared: All data seeds have the same queries in the same blocks.
        per_query: Values are per query; otherwise each run is one number.
        notes: Remarks on the runs.
    """

    data: list[BlockSums]
    images: list[Ints]
    blocks: list[Ints]
    shared: bool
    per_query: bool
    notes: tuple[str, ...]


_OF_RUNS = ("status", "row", "method", "dataset", "hash", "noise", "data_seed", "seed", "noise_plan", "folder")


def columns_of(frame: pd.DataFrame, column: str) -> list[str]:
    """The columns that statistics of one metric read."""
    return [name for name in (*_OF_RUNS, column) if name in frame]


def records_of(frame: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """What :func:`runs_by_seed` reads of a frame; column by column, which is much faster than row by row."""
    names = columns_of(frame, column)
    return [dict(zip(names, row, strict=True)) for row in zip(*(frame[name].tolist() for name in names), strict=True)]


def runs_by_seed(records: Iterable[Mapping[str, Any]], column: str, runs: Path | None) -> dict[Seeds, FinishedRun]:
    """The finished runs of one row, setting and noise rate that have a value.

    Args:
        records: Of :func:`records_of`.
        column: "i2t/map", ...
        runs: The folder ``RESULTS/runs``, or None.

    Returns:
        Data seed and seed to run, ascending.

    Raises:
        HarnessError: Two runs of the same seeds.
    """
    by_seed: dict[Seeds, FinishedRun] = {}
    for row in records:
        value = row.get(column)
        if row.get("status", "ok") != "ok" or value is None or not math.isfinite(value):
            continue
        seeds = _seed(row["data_seed"]), _seed(row["seed"])
        plan = row.get("noise_plan")
        run = FinishedRun(str(row["hash"]), float(value), _folder(row, runs), plan if isinstance(plan, str) else None)
        if seeds in by_seed:
            raise HarnessError(
                f"runs {by_seed[seeds].hash} and {run.hash} of {row.get('row', 'one row')} have the same data seed "
                f"{seeds[0]} and seed {seeds[1]}: leave one of them out with --where, or prune the superseded ones."
            )
        by_seed[seeds] = run
    return dict(sorted(by_seed.items(), key=lambda item: tuple((part is not None, part or 0) for part in item[0])))


def _seed(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)


def _folder(row: Mapping[str, Any], runs: Path | None) -> Path | None:
    """Where a record is: as the index says, or by the rule of the store."""
    if runs is None:
        return None
    place = row.get("folder")
    return run_folder(runs, place if isinstance(place, str) else run_place(row["method"], row["dataset"], row["hash"]))


def by_data_seed(seeds: Collection[Seeds]) -> dict[Any, list[Seeds]]:
    """Data seed to its pairs of seeds, in order."""
    by_data_seed: dict[Any, list[Seeds]] = {}
    for pair in seeds:
        by_data_seed.setdefault(pair[0], []).append(pair)
    return by_data_seed


def samples(terms: Mapping[Seeds, Sequence[Term]], column: str) -> Samples:
    """Weighted sums of runs, per query where all of them keep their values.

    Args:
        terms: Data seed and seed to the runs whose values are added up.
        column: "i2t/map", ...

    Returns:
        The samples; without values per query each run counts as one number, and a note says why.
    """
    groups = by_data_seed(terms)
    by_number = [np.array([[_total(terms[seeds])] for seeds in members]) for members in groups.values()]
    whole = [BlockSums(sums, np.ones(1)) for sums in by_number]
    nothing = [np.zeros(0, dtype=np.int64)] * len(whole)
    if any(term.run.folder is None for of_one in terms.values() for term in of_one):
        return Samples(whole, nothing, nothing, shared=False, per_query=False, notes=())
    try:
        made = [_of_data_seed([terms[seeds] for seeds in members], column) for members in groups.values()]
    except HarnessError as error:
        reason = str(error).rstrip(".")
        note = f"no statistics over queries: {reason}."
        return Samples(whole, nothing, nothing, shared=False, per_query=False, notes=(note,))
    origins = {origin for *_, origin in made}
    notes = [f"{text}." for origin, text in (("codes", FROM_CODES), ("", ALONE)) if origin in origins]
    images, blocks = [part[1] for part in made], [part[2] for part in made]
    shared = all(
        np.array_equal(images[0], image) and np.array_equal(blocks[0], block)
        for image, block in zip(images, blocks, strict=True)
    )
    return Samples([part[0] for part in made], images, blocks, shared, per_query=True, notes=tuple(notes))


def _total(terms: Sequence[Term]) -> float:
    return sum(term.weight * term.run.value for term in terms)


def _of_data_seed(members: Sequence[Sequence[Term]], column: str) -> tuple[BlockSums, Ints, Ints, str]:
    """Sums by block of the runs of one data seed, the images of the queries, their blocks, and where these are from."""
    read: dict[str, QueryValues] = {}
    first: tuple[str, QueryValues] | None = None
    for term in (term for of_one in members for term in of_one):
        assert term.run.folder is not None
        values = read_queries(term.run.folder, column)
        average = float(np.nanmean(values.values)) if np.isfinite(values.values).any() else math.nan
        if not abs(average - term.run.value) <= CONTRADICTION:
            raise HarnessError(
                f"run {term.run.hash} says {term.run.value:.6g} and its values per query average to {average:.6g}: "
                "`harness score` computes them again"
            )
        first = first or (term.run.hash, values)
        read[term.run.hash] = _in_order_of(first[1], values, first[0], term.run.hash)
    assert first is not None
    counted = np.logical_and.reduce([np.isfinite(values.values) for values in read.values()])
    if not counted.any():
        raise HarnessError(f"no query has a value of {column} in all runs")
    blocks, origin = common_blocks(list(read.values()))
    blocks = np.unique(blocks[counted], return_inverse=True)[1].reshape(-1)
    per_query = np.array(
        [
            sum(term.weight * read[term.run.hash].values[counted] for term in of_one)  # type: ignore[misc]
            for of_one in members
        ]
    )
    sizes = np.bincount(blocks)
    sums = np.array([np.bincount(blocks, weights=line, minlength=len(sizes)) for line in per_query])
    return BlockSums(sums, sizes.astype(np.float64)), first[1].queries[counted], blocks, origin


def _in_order_of(first: QueryValues, other: QueryValues, first_hash: str, other_hash: str) -> QueryValues:
    """A run with its queries in the order of another.

    Raises:
        HarnessError: They answer different queries.
    """
    if np.array_equal(first.queries, other.queries):
        return other
    if len(np.unique(first.queries)) == len(first.queries) and np.array_equal(
        np.sort(first.queries), np.sort(other.queries)
    ):
        order = np.argsort(other.queries)[np.argsort(np.argsort(first.queries))]
        return QueryValues(
            other.values[order],
            other.queries[order],
            None if other.blocks is None else other.blocks[order],
            None if other.codes is None else other.codes[order],
        )
    raise HarnessError(f"runs {first_hash} and {other_hash} answer different queries")


def independent_parts(samples: Samples) -> Floats:
    """What each independent unit of queries contributes to the mean over data seeds.

    A unit is a block; blocks of different data seeds that have a query image in common are one unit, because the same
    query is no new observation.

    Args:
        samples: Samples with values per query.

    Returns:
        (n_units,) contributions, which add up to the mean.
    """
    parts = np.concatenate([data.sums.mean(axis=0) / (data.sizes.sum() * len(samples.data)) for data in samples.data])
    if len(samples.data) == 1:
        return parts
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts = np.cumsum([0, *(len(data.sizes) for data in samples.data)])
    block = np.concatenate([start + blocks for start, blocks in zip(starts, samples.blocks, strict=False)])
    image = np.unique(np.concatenate(samples.images), return_inverse=True)[1].reshape(-1)
    nodes = len(parts) + int(image.max()) + 1
    links = coo_array((np.ones(len(block), dtype=np.int8), (block, len(parts) + image)), shape=(nodes, nodes))
    units = connected_components(links, directed=False)[1][: len(parts)]
    return np.bincount(np.unique(units, return_inverse=True)[1].reshape(-1), weights=parts).astype(np.float64)
