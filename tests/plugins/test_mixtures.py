"""Mixtures against scikit-learn and by hand, and what they say where there is nothing to split."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from harness_plugins.noisy_correspondence.mixtures import beta_mixture, beta_moments, gaussian_mixture, two_groups
from scipy import stats
from sklearn.mixture import GaussianMixture


def two_humps(n=600, share=0.3, seed=0):
    random = np.random.default_rng(seed)
    upper = random.random(n) < share
    return torch.from_numpy(np.where(upper, random.normal(0.75, 0.08, n), random.normal(0.3, 0.1, n))), upper


def test_gaussian_mixture_agrees_with_scikit_learn():
    values, upper = two_humps()
    found = gaussian_mixture(values, iterations=300, tolerance=1e-10)
    theirs = GaussianMixture(2, max_iter=300, tol=1e-10, reg_covar=5e-4, random_state=0).fit(values.numpy()[:, None])
    posterior = theirs.predict_proba(values.numpy()[:, None])[:, theirs.means_[:, 0].argmax()]
    np.testing.assert_allclose(found.upper.numpy(), posterior, atol=1e-4)
    assert found.share == pytest.approx(upper.mean(), abs=0.01)


def test_beta_mixture_finds_both_components():
    random = np.random.default_rng(1)
    upper = random.random(3000) < 0.4
    values = np.where(upper, random.beta(8, 2, 3000), random.beta(2, 6, 3000))
    found = beta_mixture(torch.from_numpy(values), iterations=100)
    truth = 0.4 * stats.beta.pdf(values, 8, 2)
    truth = truth / (truth + 0.6 * stats.beta.pdf(values, 2, 6))
    assert np.abs(found.upper.numpy() - truth).mean() < 0.02


def test_beta_moments_invert_the_moments():
    a, b = beta_moments(np.random.default_rng(0).beta(3, 5, 200_000))
    assert (a, b) == pytest.approx((3, 5), rel=0.03)


def test_beta_mixture_that_starts_from_known_components_keeps_which_is_which():
    values = torch.from_numpy(np.random.default_rng(2).beta(9, 2, 400))  # one group: all near the upper component
    found = beta_mixture(values, start=((2.0, 9.0), (9.0, 2.0)))
    assert found.upper.mean() > 0.9


@pytest.mark.parametrize("wrong", [0.0, 0.05, 0.3, 0.8])
def test_two_groups_find_the_share_of_wrong_pairs_where_there_are_none_too(wrong):
    random = np.random.default_rng(3)
    null = np.clip(random.normal(0, 0.15, 20_000), -1, 1)
    mask = random.random(1500) < wrong
    values = np.where(mask, random.normal(0, 0.15, 1500), random.normal(0.7, 0.1, 1500))
    found = two_groups(torch.from_numpy(values), torch.from_numpy(null))
    assert 1 - found.share == pytest.approx(wrong, abs=0.03)
    assert found.upper.numpy()[~mask].mean() > 0.97
    order = np.argsort(values)
    assert np.all(np.diff(found.upper.numpy()[order]) >= 0)


@pytest.mark.parametrize("values", [[], [0.5], [0.5] * 50, [0.1, 0.9, 0.2]])
@pytest.mark.parametrize("fit", [gaussian_mixture, beta_mixture, lambda x: two_groups(x, x)])
def test_too_few_or_equal_values_are_one_group(fit, values):
    found = fit(torch.tensor(values, dtype=torch.float64))
    assert found.upper.tolist() == [1.0] * len(values)
    assert found.upper.dtype == torch.float32
