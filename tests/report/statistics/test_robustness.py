"""Area under the noise curve and drop from noise 0, against numpy by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.report.statistics import different_rates, robustness
from harness.report.statistics.robustness import trapezoid_weights

N = 25
RATES = (0.0, 0.2, 0.8)


def fill(folder, row="a", rates=RATES, seeds=3, spread=0.05):
    """Values of queries that fall with the noise; (rate, seed) to them."""
    random, made = np.random.default_rng(0), {}
    difficulty = random.uniform(0.4, 0.9, size=N)
    for rate in rates:
        for seed in range(seeds):
            made[rate, seed] = difficulty * (1 - rate / 2) + spread * random.normal(size=N)
            folder.add(row, made[rate, seed], noise=rate, seed=seed, blocks=np.arange(N))
    return made


def test_area_and_drop_by_hand(folder):
    made = fill(folder)
    found = robustness(*folder.rows("a"), "i2t/map", folder.runs)
    curve = [np.mean([made[rate, seed] for seed in range(3)]) for rate in RATES]
    assert found.rates == RATES
    assert found.values == pytest.approx(curve)
    assert found.area == pytest.approx(np.trapezoid(curve, RATES) / 0.8)
    assert found.drop == pytest.approx(curve[0] - curve[-1])
    assert found.relative == pytest.approx((curve[0] - curve[-1]) / curve[0])
    assert (found.n_pairs, found.notes) == (3, ())


def test_intervals_equal_resampling_by_hand(folder):
    made = fill(folder)
    found = robustness(*folder.rows("a"), "i2t/map", folder.runs, resamples=20_000)
    values = np.array([[made[rate, seed] for seed in range(3)] for rate in RATES])  # (rates, seeds, queries)
    random = np.random.default_rng(5)
    areas, drops, shares = [], [], []
    for _ in range(20_000):
        seeds, queries = random.integers(3, size=3), random.integers(N, size=N)
        curve = values[:, seeds][:, :, queries].mean(axis=(1, 2))
        areas.append(np.trapezoid(curve, RATES) / 0.8)
        drops.append(curve[0] - curve[-1])
        shares.append((curve[0] - curve[-1]) / curve[0])
    for ends, drawn in (
        ((found.area_low, found.area_high), areas),
        ((found.drop_low, found.drop_high), drops),
        ((found.relative_low, found.relative_high), shares),
    ):
        np.testing.assert_allclose(ends, np.quantile(drawn, [0.025, 0.975]), atol=0.003)


@pytest.mark.parametrize("rates", [(0, 0.4), (0, 0.1, 0.2, 0.8), (0.2, 0.3, 0.9)])
def test_weights_are_those_of_the_trapezoid(rates):
    curve = np.random.default_rng(0).random(len(rates))
    weights = trapezoid_weights(rates)
    assert weights @ curve == pytest.approx(np.trapezoid(curve, rates) / (rates[-1] - rates[0]))
    assert weights.sum() == pytest.approx(1)


def test_seeds_that_lack_a_rate_are_left_out(folder):
    made = fill(folder)
    folder.add("a", np.full(N, 0.9), noise=0.0, seed=7)
    found = robustness(*folder.rows("a"), "i2t/map", folder.runs)
    assert found.values[0] == pytest.approx(np.mean([made[0.0, seed] for seed in range(3)]))
    assert "left out: 1 run of seeds that lack one of the rates 0, 0.2, 0.8." in found.notes


def test_without_values_per_query_intervals_go_by_seeds(folder):
    for rate in RATES:
        for seed in range(4):
            folder.add("a", value=0.8 - rate / 2 + 0.01 * seed, noise=rate, seed=seed)
    found = robustness(*folder.rows("a"), "i2t/map")
    assert found.area_low < found.area < found.area_high
    assert (found.drop_low, found.drop_high) == pytest.approx((0.4, 0.4))


def test_one_run_for_each_rate_has_no_interval_without_queries(folder):
    for rate in RATES:
        folder.add("a", value=0.8 - rate / 2, noise=rate)
    found = robustness(*folder.rows("a"), "i2t/map")
    assert (found.area_low, found.drop_high, found.relative_low) == (None, None, None)
    assert found.relative == pytest.approx(0.5)


def test_what_is_missing_is_said(folder):
    fill(folder, rates=(0.2, 0.4))
    fill(folder, "b", rates=(0.2,))
    without_zero, one_rate = (robustness(rows, "i2t/map", folder.runs) for rows in folder.rows("a", "b"))
    assert without_zero.drop is None
    assert without_zero.area is not None
    assert "no run at noise 0: there is nothing to drop from." in without_zero.notes
    assert one_rate.area is None
    assert "one noise rate (0.2): there is no curve." in one_rate.notes
    nothing = robustness(folder.rows("a")[0], "i2t/other")
    assert (nothing.rates, nothing.notes) == ((), ("no run with i2t/other and a noise rate.",))


def test_rates_without_a_common_seed(folder):
    folder.add("a", value=0.5, noise=0.0, seed=0)
    folder.add("a", value=0.4, noise=0.4, seed=1)
    found = robustness(*folder.rows("a"), "i2t/map")
    assert found.area is None
    assert "no seed has a run at every rate." in found.notes


def test_rows_with_different_rates_are_not_comparable(folder):
    fill(folder), fill(folder, "b"), fill(folder, "c", rates=(0.0, 0.8))
    found = {name: robustness(*folder.rows(name), "i2t/map") for name in "abc"}
    assert different_rates({name: found[name] for name in "ab"}) is None
    sentence = different_rates(found)
    assert "(a, b: 0, 0.2, 0.8; c: 0, 0.8)" in sentence


def test_two_runs_of_one_rate_and_seed_are_refused(folder):
    folder.add("a", value=0.5, noise=0.0)
    folder.add("a", value=0.6, noise=0.0)
    with pytest.raises(HarnessError, match="have the same data seed 0 and seed 0"):
        robustness(*folder.rows("a"), "i2t/map")
