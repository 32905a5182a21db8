"""How a row stands noise: the area under its noise curve, and what it loses between no noise and most."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Robustness:
    """What :func:`robustness` found; values in the unit of the metric unless said otherwise.

    Attributes:
        rates: Noise rates at which all counted seeds have a run, ascending.
        values: Means at these rates.
        area: Area under the noise curve (trapezoid), divided by the range of rates; None for fewer than two rates.
        area_low, area_high: 95 % interval.
        drop: Value at rate 0 minus value at the highest rate; None without rate 0.
        drop_low, drop_high: 95 % interval.
        relative: ``drop`` as a share of the value at rate 0.
        relative_low, relative_high: 95 % interval.
        n_pairs: Seeds (data seed, seed) that have a run at every rate.
        notes: Sentences that must be read with the numbers.
    """

    rates: tuple[float, ...]
    values: tuple[float, ...]
    area: float | None
    area_low: float | None
    area_high: float | None
    drop: float | None
    drop_low: float | None
    drop_high: float | None
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    n_pairs: int
    notes: tuple[str, ...]


def robustness(
    rows: pd.DataFrame, column: str, runs: Path | None = None, *, resamples: int = 4000, seed: int = 0
) -> Robustness:
    """Robustness of one row of a table, from its records at several noise rates and otherwise one setting.

    Rows are comparable where their ``rates`` are equal; :func:`different_rates` says where they are not.

    Args:
        rows: Records, see :func:`harness.report.load_records`.
        column: "i2t/map", ...
        runs: The folder ``RESULTS/runs``; None where there are no arrays: then intervals go by seeds alone.
        resamples: Of the bootstrap.
        seed: Of the resamples.

    Returns:
        The summary.

    Raises:
        HarnessError: Several records of one rate and seed.
    """
    raise NotImplementedError
