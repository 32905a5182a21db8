"""Ridge regression, spectra, medians, thresholds, further bits and rows that count, against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.runtime.context import RunContext
from harness.training.building_blocks.counted_rows import centred_if, counted_rows
from harness.training.building_blocks.more_bits import turned_copies
from harness.training.building_blocks.ridge import (
    ABSOLUTE,
    RELATIVE,
    RidgeRegression,
    Spectrum,
    ridge_shift,
    scatter_of,
)
from harness.training.building_blocks.thresholds import ThresholdedCodes, weighted_median

RUN = RunContext(8, torch.device("cpu"), 0)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shift", [0.0, 0.3, 50.0])
def test_ridge_regression_is_least_squares_on_rows_that_are_added(shift):
    view, targets, weight = normal(30, 5), normal(30, 3, seed=1), normal(30, seed=2).abs() + 0.1
    root = weight.sqrt().numpy()[:, None]
    rows = np.concatenate([root * view.numpy(), shift**0.5 * np.eye(5)])
    expected = np.linalg.lstsq(rows, np.concatenate([root * targets.numpy(), np.zeros((5, 3))]), rcond=None)[0]
    np.testing.assert_allclose(RidgeRegression(view, weight, shift)(targets).numpy(), expected, atol=1e-10)


def test_without_a_ridge_and_too_few_rows_it_is_the_smallest_solution():
    view, targets = normal(4, 9), normal(4, 2, seed=1)
    expected = np.linalg.lstsq(view.numpy(), targets.numpy(), rcond=None)[0]
    found = RidgeRegression(view, torch.ones(4).double(), 0.0)(targets)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_powers_and_rank_of_a_scatter_matrix():
    scatter = scatter_of(normal(20, 6) @ torch.diag(torch.tensor([3.0, 2, 1, 1, 0, 0]).double()), torch.ones(20))
    spectrum = Spectrum(scatter, 0.5)
    assert spectrum.rank == 4
    whole = scatter + 0.5 * torch.eye(6)
    for power, expected in ((-1.0, torch.linalg.inv(whole)), (1.0, whole)):
        assert torch.allclose(spectrum.power(power), expected, atol=1e-9)
    half = spectrum.power(-0.5)
    assert torch.allclose(half @ half, torch.linalg.inv(whole), atol=1e-9)
    assert torch.allclose(Spectrum(scatter, 0.0).power(-1.0), torch.linalg.pinv(scatter, hermitian=True), atol=1e-9)


def test_units_of_a_ridge():
    scatter = torch.diag(torch.tensor([1.0, 2, 6]).double())
    assert ridge_shift(scatter, 2.0, RELATIVE) == pytest.approx(6.0)
    assert ridge_shift(scatter, 2.0, ABSOLUTE) == 2.0
    assert ridge_shift(torch.zeros(3, 3), 0.5, RELATIVE) == 0.5


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_weighted_median_is_the_median_of_so_many_copies(n):
    values = normal(n, 4)
    copies = torch.randint(1, 4, (n,), generator=torch.Generator().manual_seed(n))
    expected = np.median(np.repeat(values.numpy(), copies.numpy(), axis=0), axis=0)
    np.testing.assert_allclose(weighted_median(values, copies.double()).numpy(), expected)
    np.testing.assert_allclose(weighted_median(values, torch.ones(n).double()).numpy(), np.median(values.numpy(), 0))


def test_median_of_weights_that_halve_nowhere():
    values = torch.tensor([[3.0], [1.0], [2.0]]).double()
    assert weighted_median(values, torch.tensor([0.7, 0.1, 0.1]).double()).item() == 3.0


def test_thresholds_are_subtracted_and_stored():
    made = ThresholdedCodes()
    made.means, made.projections = (normal(3), normal(2)), (normal(3, 8), normal(2, 8))
    made.thresholds = (normal(8, seed=3), normal(8, seed=4))
    image, text = normal(5, 3, seed=5).float(), normal(5, 2, seed=6).float()
    expected = (image.double() - made.means[0]) @ made.projections[0] - made.thresholds[0]
    assert torch.allclose(made.encode_image(image), expected)
    again = ThresholdedCodes()
    again.restore(made.state(), RUN)
    assert torch.equal(again.encode_text(text), made.encode_text(text))
    assert not torch.equal(again.encode_text(text), super(ThresholdedCodes, again).encode_text(text))


@pytest.mark.parametrize(("k", "bits"), [(5, 3), (5, 5), (5, 13), (1, 4)])
def test_further_bits_are_turned_copies_of_the_first(k, bits):
    matrix = turned_copies(k, bits, RUN)
    assert matrix.shape == (k, bits)
    front = min(k, bits)
    assert torch.equal(matrix[:, :front], torch.eye(k, dtype=torch.float64)[:, :front])
    for block in matrix.split(k, dim=1):
        assert torch.allclose(block.T @ block, torch.eye(block.shape[1], dtype=torch.float64), atol=1e-12)
    assert torch.equal(matrix, turned_copies(k, bits, RUN))


def test_pairs_of_weight_nought_are_dropped_and_all_kept_where_none_counts():
    pairs = TrainingPairs(image=normal(4, 3).float(), text=normal(4, 2).float(), trusted=torch.zeros(4).bool())
    image, text, weight = counted_rows(pairs, PairTrust(torch.tensor([0.5, 0, 1, 0])))
    assert torch.equal(image, pairs.image[[0, 2]].double())
    assert torch.equal(text, pairs.text[[0, 2]].double())
    assert weight.tolist() == [0.5, 1.0]
    assert counted_rows(pairs, PairTrust(torch.zeros(4)))[2].tolist() == [1.0] * 4


def test_centring_is_left_out_on_demand():
    view, weight = normal(6, 3), torch.ones(6).double()
    centred, mean = centred_if(view, weight, True)
    assert torch.allclose(mean, view.mean(0))
    assert torch.allclose(centred + mean, view)
    raw, nought = centred_if(view, weight, False)
    assert raw is view
    assert not nought.any()
