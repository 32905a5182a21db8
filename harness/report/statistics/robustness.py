"""How a row stands noise: the area under its noise curve, and what it loses between no noise and most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.report.statistics.bootstrap import RESAMPLES, mean_of, percentiles, resampled_means
from harness.report.statistics.samples import FinishedRun, Samples, Seeds, Term, records_of, runs_by_seed, samples
from harness.text import counted

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Robustness:
    """The result of :func:`robustness`; values in the unit of the metric unless said otherwise.

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
    rows: pd.DataFrame, column: str, runs: Path | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Robustness:
    """Robustness of one row of a table, from its records at several noise rates and otherwise one setting.

    Rows are comparable where their ``rates`` are equal; :func:`different_rates` says where they are not.

    Args:
        rows: Records, see :func:`harness.report.load_records`.
        column: "i2t/map", ...
        runs: The folder ``RESULTS/runs``; None where there are no arrays: then intervals go by seeds alone.
        resamples: Resamples of the bootstrap.
        seed: Seed of the resamples.

    Returns:
        The summary.

    Raises:
        HarnessError: Several records of one rate and seed.
    """
    records: dict[float, list[dict[str, Any]]] = {}
    for one in records_of(rows, column):
        if one.get("noise") is not None and not math.isnan(one["noise"]):
            records.setdefault(float(one["noise"]), []).append(one)
    by_rate = {rate: by_seed for rate in sorted(records) if (by_seed := runs_by_seed(records[rate], column, runs))}
    rates = tuple(by_rate)
    if not rates:
        return Robustness((), (), **_NOTHING, n_pairs=0, notes=(f"no run with {column} and a noise rate.",))
    everywhere = [seeds for seeds in by_rate[rates[0]] if all(seeds in by_seed for by_seed in by_rate.values())]
    notes = []
    left_out = sum(len(by_seed) - len(everywhere) for by_seed in by_rate.values())
    if left_out:
        notes.append(f"left out: {counted(left_out, 'run')} of seeds that lack one of the rates {_shown(rates)}.")
    if not everywhere:
        return Robustness(rates, (), **_NOTHING, n_pairs=0, notes=(*notes, "no seed has a run at every rate."))
    curve = _Curve(by_rate, everywhere, column, resamples, seed)
    numbers = dict(_NOTHING)
    if len(rates) > 1:
        numbers["area"], drawn = curve.quantity(trapezoid_weights(rates))
        numbers["area_low"], numbers["area_high"] = _ends(drawn)
    else:
        notes.append(f"one noise rate ({rates[0]:g}): there is no curve.")
    if rates[0] == 0 and len(rates) > 1:
        numbers.update(_drops(curve, rates))
    elif rates[0] != 0:
        notes.append("no run at noise 0: there is nothing to drop from.")
    values = tuple(mean_of(curve.samples(_one(rates, at)).data) for at in range(len(rates)))
    return Robustness(rates, values, **numbers, n_pairs=len(everywhere), notes=(*notes, *curve.notes))


_NOTHING: dict[str, float | None] = dict.fromkeys(
    f"{name}{end}" for name in ("area", "drop", "relative") for end in ("", "_low", "_high")
)


class _Curve:
    """Linear quantities of a noise curve and their resamples: each is one value per query, a weighted sum over rates.

    The same draws serve all quantities, so that quotients of them can be resampled.
    """

    def __init__(
        self,
        by_rate: dict[float, dict[Seeds, FinishedRun]],
        everywhere: list[Seeds],
        column: str,
        resamples: int,
        seed: int,
    ) -> None:
        self._runs = {seeds: [by_seed[seeds] for by_seed in by_rate.values()] for seeds in everywhere}
        self._column, self._resamples, self._seed = column, resamples, seed
        self.notes: tuple[str, ...] = ()

    def quantity(self, weights: Floats) -> tuple[float, Floats | None]:
        """The mean of sum over rates of weight x value, and its resamples; None where there is nothing to resample."""
        drawn_from = self.samples(weights)
        self.notes = drawn_from.notes
        if len(drawn_from.data) == 1 and drawn_from.data[0].sums.size == 1:
            return mean_of(drawn_from.data), None
        drawn = resampled_means(drawn_from.data, shared=drawn_from.shared, resamples=self._resamples, seed=self._seed)
        return mean_of(drawn_from.data), drawn

    def samples(self, weights: Floats) -> Samples:
        """The sums over rates of weight x value, for resampling."""
        terms = {
            seeds: [Term(float(weight), run) for weight, run in zip(weights, runs, strict=True)]
            for seeds, runs in self._runs.items()
        }
        return samples(terms, self._column)


def _drops(curve: _Curve, rates: Sequence[float]) -> dict[str, float | None]:
    """The loss of the mean between the first rate and the last, absolute and as a share."""
    first, drawn_first = curve.quantity(_one(rates, 0))
    drop, drawn = curve.quantity(_one(rates, 0) - _one(rates, -1))
    low, high = _ends(drawn)
    numbers: dict[str, float | None] = {"drop": drop, "drop_low": low, "drop_high": high}
    if first > 0:
        numbers["relative"] = drop / first
        if drawn is not None and drawn_first is not None and (drawn_first > 0).all():
            numbers["relative_low"], numbers["relative_high"] = _ends(drawn / drawn_first)
    return numbers


def trapezoid_weights(rates: Sequence[float]) -> Floats:
    """What each rate counts in the area under the curve, divided by the range of rates; they add up to 1."""
    steps = np.diff(np.asarray(rates, dtype=np.float64))
    weights: Floats = (np.append(steps, 0.0) + np.insert(steps, 0, 0.0)) / (2 * steps.sum())
    return weights


def different_rates(rows: Mapping[str, Robustness]) -> str | None:
    """Why rows are not comparable: their curves have different noise rates. None where they are.

    Args:
        rows: Row name to its summary.

    Returns:
        A sentence, or None.
    """
    by_rates: dict[tuple[float, ...], list[str]] = {}
    for name, summary in rows.items():
        by_rates.setdefault(summary.rates, []).append(name)
    if len(by_rates) < 2:
        return None
    shown = "; ".join(f"{', '.join(names)}: {_shown(rates)}" for rates, names in by_rates.items())
    return f"areas and drops over different noise rates are not comparable ({shown}): choose common rates with --where."


def _one(rates: Sequence[float], at: int) -> Floats:
    row: Floats = np.eye(len(rates))[at]
    return row


def _ends(drawn: Floats | None) -> tuple[float | None, float | None]:
    return (None, None) if drawn is None else percentiles(drawn)


def _shown(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:g}" for rate in rates) or "none"
