"""How well a detector tells wrong pairs from right ones, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from harness.noise.scores import KEYS, detector_scores

RANKING = ("auroc", "auroc_class", "average_precision", "f1")
NOBODY = np.zeros(6, dtype=bool)
WEIGHT = np.array([0.9, 0.8, 0.4, 0.3, 0.7, 0.1], dtype=np.float32)
WRONG = np.array([False, False, True, True, True, False])


def test_the_names_are_those_of_the_design():
    assert set(KEYS) == {"auroc", "auroc_class", "average_precision", "f1", "brier", "ece"}


def test_scores_counted_by_hand():
    # wrong: scores .6, .7, .3; right: .1, .2, .9. Of 9 comparisons a wrong pair has the higher score in 6.
    found = detector_scores(WEIGHT, WRONG, None, NOBODY)
    assert found["auroc"] == pytest.approx(6 / 9)
    # ranked by score: right, wrong, wrong, wrong, right, right
    assert found["average_precision"] == pytest.approx((1 / 2 + 2 / 3 + 3 / 4) / 3)
    # called wrong: .4, .3, .1, of which two are
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["auroc_class"] is None
    assert "class" in found["reason"]


def test_only_untrusted_pairs_count():
    trusted = np.array([False, False, False, False, False, True])  # the right pair that was thought wrong
    found = detector_scores(WEIGHT, WRONG, None, trusted)
    assert found["auroc"] == found["average_precision"] == 1.0
    assert found["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1))


def test_the_class_mask_has_a_score_of_its_own():
    changed = np.array([False, False, True, False, True, False])
    found = detector_scores(WEIGHT, WRONG, changed, NOBODY)
    # changed: .6, .3; others: .1, .2, .7, .9: 4 of 8
    assert found["auroc_class"] == pytest.approx(4 / 8)
    assert found["auroc"] == pytest.approx(6 / 9)
    assert "reason" not in found


def test_a_perfect_and_an_inverted_detector_score_one_and_zero():
    right = np.where(WRONG, 0.0, 1.0).astype(np.float32)
    assert detector_scores(right, WRONG, WRONG, NOBODY) == {
        "auroc": 1.0, "auroc_class": 1.0, "average_precision": 1.0, "f1": 1.0, "brier": 0.0, "ece": 0.0,
    }  # fmt: skip
    inverted = detector_scores(1 - right, WRONG, WRONG, NOBODY)
    assert (inverted["auroc"], inverted["auroc_class"], inverted["f1"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("weight", "called_wrong"), [(0.5, False), (0.49, True), (0.51, False)])
def test_a_pair_is_called_wrong_below_a_weight_of_one_half(weight, called_wrong):
    weights = np.array([0.9, weight], dtype=np.float32)
    found = detector_scores(weights, np.array([False, True]), None, np.zeros(2, dtype=bool))
    assert found["f1"] == (1.0 if called_wrong else 0.0)


def test_equal_weights_share_their_ranks():
    weights = np.array([0.5, 0.5, 0.5, 0.9], dtype=np.float32)
    found = detector_scores(weights, np.array([True, False, False, False]), None, np.zeros(4, dtype=bool))
    assert found["auroc"] == pytest.approx((0.5 + 0.5 + 1) / 3)


@given(data=st.data(), n=st.integers(2, 40))
@settings(derandomize=True, database=None, deadline=None, max_examples=80)
def test_scores_are_those_of_scikit_learn_over_untrusted_pairs(data, n):
    def masks():
        return st.lists(st.booleans(), min_size=n, max_size=n).map(np.array)

    # a grid of weights, so that ties are frequent
    weight = np.array(data.draw(st.lists(st.integers(0, 8), min_size=n, max_size=n)), dtype=np.float32) / 8
    wrong, changed, trusted = data.draw(masks()), data.draw(masks()), data.draw(masks())
    among = ~trusted
    assume(wrong[among].any() and not wrong[among].all() and len(set(weight[among])) > 1)
    found = detector_scores(weight, wrong, changed, trusted)
    score = 1 - weight[among].astype(np.float64)
    assert found["auroc"] == pytest.approx(roc_auc_score(wrong[among], score), abs=1e-12)
    assert found["average_precision"] == pytest.approx(average_precision_score(wrong[among], score), abs=1e-12)
    assert found["f1"] == pytest.approx(f1_score(wrong[among], weight[among] < 0.5, zero_division=0.0), abs=1e-12)
    if changed[among].any() and not changed[among].all():
        assert found["auroc_class"] == pytest.approx(roc_auc_score(changed[among], score), abs=1e-12)
    else:
        assert found["auroc_class"] is None
        assert found["reason"]


@pytest.mark.parametrize(
    ("weight", "wrong", "trusted", "reason"),
    [
        (np.ones(6), WRONG, NOBODY, "same weight"),
        (np.array([1, 1, 1, 1, 1, 0.2]), WRONG, np.array([False] * 5 + [True]), "same weight"),
        (WEIGHT, WRONG, ~NOBODY, "untrusted"),
        (WEIGHT, None, NOBODY, "nobody knows"),
        (WEIGHT, NOBODY, NOBODY, "no untrusted pair is wrong"),
        (WEIGHT, WRONG, WRONG, "no untrusted pair is wrong"),
        (WEIGHT, ~NOBODY, NOBODY, "every untrusted pair is wrong"),
        (WEIGHT, WRONG, ~WRONG, "every untrusted pair is wrong"),
    ],
    ids=[
        "constant", "constant on untrusted", "all trusted", "unknown mask", "rate 0", "wrong ones trusted", "all wrong",
        "right ones trusted",
    ],
)  # fmt: skip
def test_a_degenerate_case_has_no_scores_but_a_reason(weight, wrong, trusted, reason):
    found = detector_scores(weight.astype(np.float32), wrong, WRONG, trusted)
    assert [found[key] for key in RANKING] == [None] * 4
    assert reason in found["reason"]


def test_no_pairs_at_all_have_no_scores_but_a_reason():
    empty = np.zeros(0, dtype=bool)
    found = detector_scores(np.zeros(0, dtype=np.float32), empty, empty, empty)
    assert [found[key] for key in KEYS] == [None] * 6
    assert found["reason"]


@pytest.mark.parametrize("changed", [None, NOBODY, ~NOBODY], ids=["no labels", "none changed", "all changed"])
def test_a_class_mask_without_two_sides_takes_only_its_own_score(changed):
    found = detector_scores(WEIGHT, WRONG, changed, NOBODY)
    assert found["auroc_class"] is None
    assert found["auroc"] == pytest.approx(6 / 9)
    assert found["reason"]


def test_weights_may_come_as_float32_without_losing_order():
    weights = np.array([1.0, np.nextafter(np.float32(1), np.float32(0))], dtype=np.float32)
    found = detector_scores(weights, np.array([False, True]), None, np.zeros(2, dtype=bool))
    assert found["auroc"] == 1.0


def test_calibration_by_hand():
    found = detector_scores(WEIGHT, WRONG, None, NOBODY)
    right = ~WRONG
    assert found["brier"] == pytest.approx(sum((w - r) ** 2 for w, r in zip(WEIGHT, right, strict=True)) / 6)
    # each weight is alone in its tenth: the error of a bin is its distance from 0 or 1
    assert found["ece"] == pytest.approx((0.1 + 0.2 + 0.4 + 0.3 + 0.7 + 0.9) / 6)


def test_calibration_needs_no_wrong_pair_and_no_difference_between_weights():
    trusting = detector_scores(np.ones(6, dtype=np.float32), NOBODY, None, NOBODY)
    doubting = detector_scores(np.full(6, 0.5, dtype=np.float32), NOBODY, None, NOBODY)
    assert (trusting["brier"], trusting["ece"]) == (0, 0)
    assert (doubting["brier"], doubting["ece"]) == (0.25, 0.5)
    assert trusting["auroc"] is None


def test_a_weight_that_is_the_share_of_right_pairs_is_calibrated_and_says_nothing():
    found = detector_scores(np.full(6, 0.5, dtype=np.float32), WRONG, None, NOBODY)
    assert found["ece"] == 0
    assert found["brier"] == 0.25


def test_calibration_needs_the_mask():
    found = detector_scores(WEIGHT, None, None, NOBODY)
    assert found["brier"] is None
