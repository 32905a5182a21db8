"""Holm's correction, against its definition as a sequence of tests."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.report.statistics import holm


def rejected_step_by_step(p_values, alpha):
    """Holm 1979: test the smallest at alpha / m, the next at alpha / (m - 1), ...; stop at the first that fails."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    rejected = set()
    for step, at in enumerate(order):
        if p_values[at] > alpha / (len(p_values) - step):
            break
        rejected.add(at)
    return rejected


@pytest.mark.parametrize("seed", range(5))
def test_corrected_values_reject_what_the_stepwise_procedure_rejects(seed):
    p_values = np.random.default_rng(seed).random(9) ** 3
    corrected = holm(p_values.tolist())
    for alpha in (0.01, 0.05, 0.1, 0.3):
        assert {at for at, p in enumerate(corrected) if p <= alpha} == rejected_step_by_step(p_values, alpha)


def test_published_example_and_order_are_kept():
    # p.adjust(c(0.04, 0.01, 0.03, 0.02), "holm") of R
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])


def test_missing_tests_count_for_nothing():
    assert holm([None, 0.01, math.nan, 0.03]) == [None, pytest.approx(0.02), None, pytest.approx(0.03)]
    assert holm([]) == []


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"not 1\.5"):
        holm([0.1, 1.5])
