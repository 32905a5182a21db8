"""Two rows of a table, run by run: how far apart they are, and how sure that is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

TESTS = ("queries", "seeds")


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare_rows` found; all values in the unit of the metric.

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
    resamples: int = 4000,
    seed: int = 0,
) -> Comparison:
    """Compare two sets of records of one setting, paired by ``data_seed`` and ``seed``.

    Args:
        a: Records of one row of a table in one setting and one noise rate, see :func:`harness.report.load_records`.
        b: Records of the other row.
        column: "i2t/map", ...
        runs: The folder ``RESULTS/runs``; None where there are no arrays: then everything goes by seeds alone.
        tests: Which of "queries" and "seeds".
        resamples: Of the bootstrap, and sign flips that are drawn where there are too many to go through.
        seed: Of the resamples and of the drawn sign flips.

    Returns:
        The comparison.

    Raises:
        HarnessError: Several records of one seed in one row, or a test that there is not.
    """
    raise NotImplementedError
