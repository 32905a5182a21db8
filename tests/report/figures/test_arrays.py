"""Figures of arrays: weights of pairs, curves of training and retrieval, codes."""

from __future__ import annotations

import numpy as np
import pytest
from report.figures.reading import points_of, texts_outside

from harness.errors import HarnessError
from harness.noise.scores import calibration
from harness.report.figures.codes import bit_correlations, distance_shares
from harness.report.figures.detector_curves import calibration_curve, roc_on_grid

HASH = "0" * 12


@pytest.fixture
def weighed(written, with_arrays):
    """A run of 40 untrusted pairs, ten of them wrong, and two trusted ones."""
    results = written({"i2t": 0.5, "detector": "d", "scores": {"auroc": 0.9}})
    random = np.random.default_rng(0)
    wrong = np.arange(42) < 10
    trust = np.where(wrong, random.uniform(0, 0.5, 42), random.uniform(0.3, 1, 42)).astype(np.float32)
    with_arrays(results, HASH, trust=trust, plan_wrong=wrong, plan_trusted=np.arange(42) >= 40)
    return results, trust[:40].astype(np.float64), wrong[:40]


def test_trust_draws_the_shares_of_right_and_wrong_untrusted_pairs(weighed, drawn):
    results, trust, wrong = weighed
    made = drawn(results, "trust")
    (axes,) = made.figure.axes
    right, _, its = (np.asarray(one.get_data().values) for one in axes.patches)
    assert right.sum() == pytest.approx(100)
    np.testing.assert_allclose(its, np.histogram(trust[wrong], 25, (0, 1))[0] * 10)
    assert [text.get_text() for text in axes.texts] == ["AUROC 0.900"]
    assert texts_outside(made.figure) == []


def test_area_below_the_drawn_curve_is_the_auroc():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(1)
    positive = random.random(3000) < 0.3
    score = np.round(random.normal(size=3000) + positive, 1)
    area = np.trapezoid(roc_on_grid(score, positive), dx=1 / 200)
    assert area == pytest.approx(roc_auc_score(positive, score), abs=0.003)
    np.testing.assert_allclose(roc_on_grid(np.ones(4), np.array([True, False, True, False])), np.linspace(0, 1, 201))
    perfect = roc_on_grid(np.array([1.0, 0.0]), np.array([True, False]))
    np.testing.assert_array_equal(perfect, 1)


def test_gaps_of_the_calibration_curve_are_the_recorded_error():
    random = np.random.default_rng(2)
    weight, right = random.random(500), random.random(500) < 0.4
    mean, share, held = calibration_curve(weight, right)
    assert np.abs(mean - share) @ held == pytest.approx(calibration(weight.astype(np.float64), right)["ece"])


@pytest.mark.parametrize("kind", ["detector-roc", "reliability"])
def test_detectors_are_drawn_and_equal_weights_left_out(weighed, with_arrays, written, drawn, kind):
    results, *_ = weighed
    written({"i2t": 0.5, "method": "equal", "detector": "none"})
    with_arrays(results, f"{1:012x}", trust=np.ones(9, np.float32), plan_wrong=np.arange(9) < 3,
                plan_trusted=np.zeros(9, bool))  # fmt: skip
    made = drawn(results, kind)
    assert [text.get_text() for text in made.figure.legends[0].get_texts()] == ["cca-itq"]
    assert "left out: equal, where all pairs have one weight." in made.remarks
    assert texts_outside(made.figure) == []


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("trust", "a detector that tells pairs apart, and wrong pairs"),
        ("detector-roc", "a detector that tells pairs apart, and wrong pairs"),
        ("reliability", "a detector that tells pairs apart"),
        ("training", "a loss by epoch"),
        ("precision-recall", "precision and recall by radius"),
        ("codes", "stored codes"),
    ],
)
def test_runs_whose_arrays_are_gone_are_told(written, drawn, kind, what):
    with pytest.raises(HarnessError, match=f"^{kind}: no finished run among these in .* has {what}.$"):
        drawn(written({"i2t": 0.5}), kind)


def test_training_draws_means_and_marks_phases(written, with_arrays, drawn):
    results = written({"i2t": 0.5, "seed": 0}, {"i2t": 0.5, "seed": 1}, {"i2t": 0.5, "seed": 2})
    for seed, away in enumerate((-1.0, 1.0)):
        with_arrays(results, f"{seed:012x}", curve_loss=np.array([5.0, 4.0, 3.0, 2.0]) + away,
                    curve_phase=np.array(["warm-up", "warm-up", "all", "all"]),
                    curve_detector_epoch=np.array([3, 4]), curve_detector_auroc=np.array([0.6, 0.8]))  # fmt: skip
    made = drawn(results, "training")
    loss, area = made.figure.axes
    (points,) = points_of(loss).values()
    assert points == [(1, 5), (2, 4), (3, 3), (4, 2)]
    assert list(points_of(area).values()) == [[(3, pytest.approx(0.6)), (4, pytest.approx(0.8))]]
    assert [text.get_text() for text in loss.texts] == ["warm-up", "all"]
    assert [float(line.get_xdata()[0]) for line in loss.lines if line.get_marker() == "None"] == [2.5]
    assert "left out: 1 run without a loss by epoch." in made.remarks
    assert "Means over 2 seeds" in made.caption
    assert texts_outside(made.figure) == []


def test_precision_recall_draws_means_of_the_stored_curves(written, with_arrays, drawn):
    results = written({"i2t": 0.5, "seed": 0}, {"i2t": 0.5, "seed": 1})
    for seed, precision in enumerate((0.8, 0.6)):
        with_arrays(results, f"{seed:012x}", curve_i2t_precision_by_radius=[0.0, precision, 0.2],
                    curve_i2t_recall_by_radius=[0.0, 0.5, 1.0])  # fmt: skip
    made = drawn(results, "precision-recall")
    (axes,) = made.figure.axes
    (points,) = points_of(axes).values()
    assert points == [(0.5, pytest.approx(0.7)), (1.0, pytest.approx(0.2))]


def packed(bits):
    return np.packbits(np.asarray(bits, dtype=np.uint8), axis=1, bitorder="little")


def test_distances_and_correlations_of_bits():
    queries, items = [[0, 0, 0], [1, 1, 1]], [[0, 0, 1], [1, 1, 1], [1, 0, 0]]
    run = {"n_bits": np.array(3), "query_image_codes": packed(queries), "database_text_codes": packed(items),
           "query_labels": np.array([0, 1]), "database_labels": np.array([0, 1, 1])}  # fmt: skip
    shares = distance_shares(run, "image", "text")
    np.testing.assert_allclose(shares[True], [1 / 3, 1 / 3, 1 / 3, 0])  # 1; 0 and 2
    np.testing.assert_allclose(shares[False], [0, 1 / 3, 1 / 3, 1 / 3])  # 3 and 1; 2
    by_instance = {**run, "relevant_pairs": np.array([[0, 1, 1], [0, 1, 2]])}
    np.testing.assert_allclose(distance_shares(by_instance, "image", "text")[True], shares[True])
    signs = np.array([[1, 1, -1, 1], [1, -1, 1, 1], [-1, 1, -1, 1], [-1, -1, 1, 1]], dtype=float)
    # Bits 1 and 2 are independent, 2 and 3 opposite; a bit that never changes counts as bad.
    np.testing.assert_allclose(bit_correlations(signs), [0, 0, 1, 1, 1, 1])


def test_codes_draw_three_panels(written, with_arrays, drawn):
    results = written({"i2t": 0.5, "bits": 12})
    random = np.random.default_rng(0)
    codes = {f"{part}_{kind}_codes": packed(random.integers(0, 2, (n, 12)))
             for part, n in (("query", 20), ("database", 60)) for kind in ("image", "text")}  # fmt: skip
    with_arrays(results, HASH, n_bits=12, query_labels=random.integers(0, 3, 20),
                database_labels=random.integers(0, 3, 60), **codes)  # fmt: skip
    made = drawn(results, "codes")
    balance, correlation, distance = made.figure.axes
    ones = np.sort(np.unpackbits(codes["database_image_codes"], axis=1, bitorder="little")[:, :12].mean(axis=0))
    np.testing.assert_allclose(balance.lines[0].get_ydata(), ones * 100)
    assert sum(correlation.patches[0].get_data().values) == pytest.approx(100)
    assert [sum(patch.get_data().values) for patch in distance.patches] == [pytest.approx(100)] * 2
    assert texts_outside(made.figure) == []


def test_damaged_codes_are_one_sentence(written, with_arrays, drawn):
    results = written({"i2t": 0.5})
    with_arrays(results, HASH, n_bits=64, database_image_codes=np.zeros((3, 2), np.uint8))
    with pytest.raises(HarnessError, match="the codes of a run are damaged: database_image_codes has the shape"):
        drawn(results, "codes")


@pytest.mark.parametrize("kind", ["trust", "training"])
def test_arrays_that_do_not_fit_together_are_one_sentence(written, with_arrays, drawn, kind):
    results = written({"i2t": 0.5})
    with_arrays(results, HASH, trust=np.ones(3), plan_wrong=np.ones(2, bool), plan_trusted=np.zeros(3, bool),
                curve_loss=np.ones((2, 2)), curve_phase=np.array(["a", "a"]))  # fmt: skip
    with pytest.raises(HarnessError, match=f"run {HASH}: its arrays .* do not fit together"):
        drawn(results, kind)
