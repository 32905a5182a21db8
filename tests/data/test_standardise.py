"""Standardisation with statistics of the training rows."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.assemble import STANDARDISATIONS, fit_standardiser


@pytest.fixture
def training():
    random = np.random.default_rng(0)
    return (random.normal(size=(200, 6)) * np.array([1, 2, 5, 0.1, 30, 1]) + np.arange(6)).astype(np.float32)


def test_the_choices_are_those_of_the_design():
    assert set(STANDARDISATIONS) == {"scalar", "feature", "center", "none"}


def test_scalar_uses_one_mean_and_one_deviation_of_the_whole_matrix(training):
    found = fit_standardiser(training, "scalar")(training)
    wide = training.astype(np.float64)
    np.testing.assert_allclose(found, (wide - wide.mean()) / wide.std(), atol=1e-6)
    assert found.mean(dtype=np.float64) == pytest.approx(0, abs=1e-6)
    assert found.std(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    # one affine map for all: ratios between features stay
    np.testing.assert_allclose(found.std(axis=0) / found.std(), training.std(axis=0) / training.std(), rtol=1e-5)


def test_feature_uses_mean_and_deviation_of_each_column(training):
    found = fit_standardiser(training, "feature")(training)
    np.testing.assert_allclose(found.mean(axis=0, dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0, dtype=np.float64), 1, atol=1e-5)


def test_center_only_moves_the_mean_to_zero(training):
    found = fit_standardiser(training, "center")(training)
    np.testing.assert_allclose(found.mean(axis=0, dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0), training.std(axis=0), rtol=1e-5)


def test_none_leaves_every_bit_alone(training):
    np.testing.assert_array_equal(fit_standardiser(training, "none")(training), training)


@pytest.mark.parametrize("choice", STANDARDISATIONS)
def test_statistics_are_those_of_the_training_rows_for_any_other_rows(training, choice):
    standardise = fit_standardiser(training, choice)
    other = training[:20] * 3 - 7
    kept_mean, kept_scale = standardise.mean.copy(), standardise.scale.copy()
    np.testing.assert_allclose(standardise(other), (other - kept_mean) / kept_scale, rtol=1e-5, atol=1e-5)
    # row by row it is the same as all at once
    rows = np.concatenate([standardise(other[i : i + 1]) for i in range(20)])
    np.testing.assert_array_equal(rows, standardise(other))


@pytest.mark.parametrize("choice", STANDARDISATIONS)
def test_the_result_is_float32_and_the_input_untouched(training, choice):
    before = training.copy()
    assert fit_standardiser(training, choice)(training).dtype == np.float32
    np.testing.assert_array_equal(training, before)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 123456.7, 1e-8])
@pytest.mark.parametrize("n", [1, 3, 1050])
def test_a_constant_feature_becomes_zero_and_does_not_blow_up_elsewhere(value, n):
    training = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    training[:, 1] = value
    standardise = fit_standardiser(training, "feature")
    assert np.abs(standardise(training)[:, 1]).max() < 1e-6 * max(1, abs(value))
    query = training[:1].copy()
    query[0, 1] += 0.5
    assert standardise(query)[0, 1] == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("choice", STANDARDISATIONS)
def test_a_constant_matrix_stays_finite(choice):
    training = np.full((10, 4), 2.5, dtype=np.float32)
    found = fit_standardiser(training, choice)(training)
    np.testing.assert_array_equal(found, 2.5 if choice == "none" else 0.0)


def test_a_large_offset_costs_no_accuracy():
    # float32 sums of 10**5 values around 10**4 would be off in the third digit
    training = (np.random.default_rng(0).normal(size=(20_000, 5)) + 10_000).astype(np.float32)
    found = fit_standardiser(training, "scalar")(training)
    assert found.mean(dtype=np.float64) == pytest.approx(0, abs=1e-4)
    assert found.std(dtype=np.float64) == pytest.approx(1, abs=1e-4)
