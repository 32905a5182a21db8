"""Seeds, gains of detectors, costs and differences: the numbers that are drawn."""

from __future__ import annotations

import pytest
from report.figures.reading import points_of, texts_outside

from harness.errors import HarnessError
from harness.report.figures.cost import pareto


def test_seeds_are_points_and_the_mean_stands_above_them(written, drawn):
    values = (0.5, 0.6, 0.9)
    made = drawn(written(*({"seed": seed, "i2t": value} for seed, value in enumerate(values))), "seeds")
    axes = made.figure.axes[0]
    seeds, mean = (line for line in axes.lines if line.get_marker() not in ("None", ""))
    assert list(seeds.get_xdata()) == list(values)
    assert list(mean.get_xdata()) == [pytest.approx(2.0 / 3)]
    assert "3 seeds" in made.caption
    assert texts_outside(made.figure) == []


def test_one_seed_has_no_interval(written, drawn):
    made = drawn(written({"i2t": 0.5}), "seeds")
    assert "One run for each row, so there is no interval." in made.caption


def crossed():
    values = {("cca-itq", "none"): 0.5, ("cca-itq", "structure"): 0.6, ("h", "none"): 0.4, ("h", "oracle"): 0.3,
              ("alone", "oracle"): 0.9}  # fmt: skip
    return [
        {"method": f"{hasher}-{detector}", "hasher": hasher, "detector": detector, "i2t": value}
        for (hasher, detector), value in values.items()
    ]


def test_cross_shows_what_a_detector_gains_over_none(written, drawn):
    made = drawn(written(*crossed()), "cross")
    axes = made.figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["+0.100", "-", "-", "-0.100"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["cca-itq", "h"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["structure", "oracle"]


def test_gains_between_methods_are_told(written, drawn):
    made = drawn(written(*crossed()), "cross")
    assert "between methods of one hasher (cca-itq-none, cca-itq-structure, h-none, h-oracle)" in made.caption
    same = [{**run, "method": run["hasher"], "row": f"{run['hasher']} {run['detector']}"} for run in crossed()]
    assert "between methods" not in drawn(written(*({**run, "dataset": "d"} for run in same)), "cross",
                                          datasets=["d"]).caption  # fmt: skip


def test_cross_needs_runs_without_a_detector(written, drawn):
    with pytest.raises(HarnessError, match="cross: no hasher has runs both with detector none and with another one"):
        drawn(written(*crossed()[-1:]), "cross")


def test_points_that_nothing_beats():
    assert pareto([(3, 0.5), (1, 0.2), (2, 0.6), (2, 0.1), (4, 0.6)]) == [(1, 0.2), (2, 0.6)]
    assert pareto([]) == []


def test_cost_sets_quality_against_time(written, drawn):
    times = {"a": (10.0, 0.5), "b": (20.0, 0.7), "c": (30.0, 0.6)}
    results = written(*({"method": name, "timings": {"total": 1.0, "training": time}, "i2t": value}
                        for name, (time, value) in times.items()))  # fmt: skip
    made = drawn(results, "cost")
    (axes,) = made.figure.axes
    assert sorted(point for points in points_of(axes).values() for point in points) == [
        (10.0, 0.5),
        (20.0, 0.7),
        (30.0, 0.6),
    ]
    (step,) = (line for line in axes.lines if line.get_drawstyle() == "steps-post")
    assert list(step.get_xdata()) == [10.0, 20.0]
    assert axes.get_xlabel() == "training time (s)"
    with pytest.raises(HarnessError, match="--cost map: it takes columns"):
        drawn(results, "cost", cost="map")


def test_times_of_different_machines_have_no_line(written, drawn):
    results = written(*({"method": name, "timings": {"training": time}, "i2t": value, "device": name}
                        for name, time, value in (("a", 1.0, 0.1), ("b", 2.0, 0.2))))  # fmt: skip
    made = drawn(results, "cost")
    assert not [line for line in made.figure.axes[0].lines if line.get_drawstyle() == "steps-post"]
    assert "Where machines or devices differ there is no line" in made.caption


def test_forest_draws_differences_to_the_named_row(written, drawn):
    results = written(*({"method": method, "noise": noise, "seed": seed, "i2t": base + seed / 100}
                        for method, base in (("a", 0.5), ("b", 0.7)) for noise in (0.0, 0.4)
                        for seed in (0, 1, 2)))  # fmt: skip
    made = drawn(results, "forest", against="a")
    (axes,) = made.figure.axes
    effects = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() not in ("None", "")]
    assert effects == [pytest.approx(0.2)] * 2
    assert [text.get_text() for text in axes.get_yticklabels()] == ["noise 0", "noise 0.4"]
    assert made.caption.startswith("map of each row minus that of a")
    assert "(3 pairs)" in made.caption
    with pytest.raises(HarnessError, match="no other row has a setting"):
        drawn(results, "forest", against="a", methods=["a"])
