"""Two rows of a table, run by run: how far apart they are, and how sure that is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import HarnessError, unknown_name
from harness.report.frame import SETTING
from harness.report.statistics.bootstrap import RESAMPLES, interval
from harness.report.statistics.paired_tests import sign_flip, smallest_p
from harness.report.statistics.samples import (
    FinishedRun,
    Seeds,
    Term,
    by_data_seed,
    independent_parts,
    records_of,
    runs_by_seed,
    samples,
)
from harness.text import counted

TESTS = ("queries", "seeds")

ENOUGH_SEEDS = 6
"""Fewer cannot reach p = 0.05 in a two-sided sign-flip test."""

NARROW_SEEDS = 10
"""Percentile intervals of fewer seeds hold the truth clearly less often than 95 % (docs/statistics.md)."""

ONE_DATA_SEED = "all runs have one data seed"
OF_THIS_ONE = "interval and test say nothing about other splits and noise draws"


@dataclass(frozen=True)
class Comparison:
    """The result of :func:`compare_rows`; all values in the unit of the metric.

    Attributes:
        mean_a, mean_b: Means over the paired runs, each data seed weighing the same.
        effect: ``mean_a - mean_b``; None where no runs are paired.
        low, high: 95 % two-level bootstrap interval of ``effect``; None where there is nothing to resample.
        p_queries: Two-sided p of "these trained models answer equally well": sign flips over blocks of queries. None
            where it was not asked for or the records hold no values per query.
        p_seeds: Two-sided p of "the methods are equally good": exact sign flips over seeds.
        n_pairs: Paired runs.
        n_seeds: Units of the test over seeds: data seeds where there are several, else training seeds.
        n_data_seeds: Data seeds among the pairs.
        n_blocks: Units of the test over queries.
        smallest_p: The smallest ``p_seeds`` that ``n_seeds`` allow: 0.0625 at five.
        unpaired: Runs left out because the other row has none of their data seed and seed.
        notes: Sentences that must be read with the numbers.
    """

    mean_a: float | None
    mean_b: float | None
    effect: float | None
    low: float | None
    high: float | None
    p_queries: float | None
    p_seeds: float | None
    n_pairs: int
    n_seeds: int
    n_data_seeds: int
    n_blocks: int
    smallest_p: float
    unpaired: int
    notes: tuple[str, ...]


def compare_rows(
    a: pd.DataFrame,
    b: pd.DataFrame,
    column: str,
    runs: Path | None = None,
    tests: Collection[str] = TESTS,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two sets of records of one setting, paired by ``data_seed`` and ``seed``.

    Args:
        a: Records of one row of a table in one setting and one noise rate, see :func:`harness.report.load_records`.
        b: Records of the other row.
        column: "i2t/map", ...
        runs: The folder ``RESULTS/runs``; None where there are no arrays: then everything goes by seeds alone.
        tests: Which of "queries" and "seeds".
        resamples: Resamples of the bootstrap.
        seed: Seed of the resamples and of the drawn sign flips.

    Returns:
        The comparison.

    Raises:
        HarnessError: Records of different settings, several of one seed in one row, or a test that there is not.
    """
    for test in tests:
        if test not in TESTS:
            raise unknown_name("test", test, TESTS)
    _check_one_setting(a, b)
    ours, theirs = (runs_by_seed(records_of(frame, column), column, runs) for frame in (a, b))
    pairs, notes = _pairs(ours, theirs)
    unpaired = len(ours) + len(theirs) - 2 * len(pairs)
    if not pairs:
        why = (
            "no run of one has the data seed, seed and noise plan of a run of the other"
            if ours and theirs
            else f"there is no run with {column} on {'either side' if not ours and not theirs else 'one side'}"
        )
        return Comparison(None, None, None, None, None, None, None, 0, 0, 0, 0, 1.0, unpaired, (*notes, f"{why}."))
    groups = by_data_seed(pairs)
    drawn_from = samples({seeds: [Term(1.0, one), Term(-1.0, other)] for seeds, (one, other) in pairs.items()}, column)
    low, high = interval(drawn_from.data, shared=drawn_from.shared, resamples=resamples, seed=seed) or (None, None)
    differences = {seeds: one.value - other.value for seeds, (one, other) in pairs.items()}
    of_data_seeds = [np.mean([differences[seeds] for seeds in members]) for members in groups.values()]
    units = np.array(of_data_seeds if len(groups) > 1 else list(differences.values()))
    over_seeds = sign_flip(units, seed=seed)
    parts = independent_parts(drawn_from) if drawn_from.per_query else np.zeros(0)
    p_queries = sign_flip(parts, seed=seed).p if "queries" in tests and drawn_from.per_query else None
    return Comparison(
        mean_a=_mean(groups, {seeds: one.value for seeds, (one, _) in pairs.items()}),
        mean_b=_mean(groups, {seeds: other.value for seeds, (_, other) in pairs.items()}),
        effect=_mean(groups, differences),
        low=low,
        high=high,
        p_queries=p_queries,
        p_seeds=over_seeds.p if "seeds" in tests else None,
        n_pairs=len(pairs),
        n_seeds=len(units),
        n_data_seeds=len(groups),
        n_blocks=len(parts),
        smallest_p=smallest_p(len(units)),
        unpaired=unpaired,
        notes=(*notes, *drawn_from.notes, *_seed_notes(groups, unpaired, len(units))),
    )


def _check_one_setting(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Refuse records that differ in more than the row.

    Raises:
        HarnessError: They do; a comparison would be one of settings, not of rows.
    """
    for name in (*SETTING, "noise"):
        if name == "precision" or name not in a or name not in b:
            continue  # methods without a choice of precision stand beside each one
        values = pd.concat([a[name], b[name]]).astype(object)
        values = values.where(values.notna(), None).drop_duplicates()
        if len(values) > 1:
            shown = " and ".join("none" if value is None else str(value) for value in values)
            raise HarnessError(
                f"runs with different {name.replace('_', ' ')} ({shown}) are not comparable: choose one with --where."
            )


def _pairs(
    ours: dict[Seeds, FinishedRun], theirs: dict[Seeds, FinishedRun]
) -> tuple[dict[Seeds, tuple[FinishedRun, FinishedRun]], list[str]]:
    """Runs of the same seeds, and of the same noise plan where both say it."""
    pairs, other_plan = {}, 0
    for seeds, run in ours.items():
        if seeds not in theirs:
            continue
        other = theirs[seeds]
        if run.plan is not None and other.plan is not None and run.plan != other.plan:
            other_plan += 1
        else:
            pairs[seeds] = (run, other)
    notes = []
    if other_plan:
        notes.append(f"left out: {counted(other_plan, 'pair')} of the same seeds with different noise plans.")
    return pairs, notes


def _mean(groups: Mapping[Any, Sequence[Seeds]], values: Mapping[Seeds, float]) -> float:
    return float(np.mean([np.mean([values[seeds] for seeds in members]) for members in groups.values()]))


def _seed_notes(groups: Mapping[Any, Sequence[Seeds]], unpaired: int, n_seeds: int) -> list[str]:
    """Remarks on intervals and tests over few or unpaired seeds."""
    notes = []
    if unpaired:
        notes.append(f"left out: {counted(unpaired, 'run')} without a partner of the same data seed and seed.")
    if len(groups) > 1:
        notes.append(
            f"the unit of the test over seeds is the data seed ({len(groups)}): training seeds of one data seed share "
            "split and noise."
        )
        if len({len(members) for members in groups.values()}) > 1:
            notes.append("data seeds have different numbers of training seeds; each data seed weighs the same.")
    else:
        notes.append(f"{ONE_DATA_SEED} ({next(iter(groups))}): {OF_THIS_ONE}.")
    if n_seeds < ENOUGH_SEEDS:
        notes.append(
            f"too few seeds: with {n_seeds} the test over seeds cannot give a p below {smallest_p(n_seeds):g}, however "
            f"large the effect; {ENOUGH_SEEDS} are needed to reach 0.05."
        )
    if n_seeds < NARROW_SEEDS:
        notes.append(
            f"the interval rests on {counted(n_seeds, 'seed')}; below {NARROW_SEEDS} it tends to be too narrow."
        )
    return notes
