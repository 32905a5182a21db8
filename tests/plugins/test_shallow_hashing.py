"""What all shallow hashers have in common: weights, few pairs, more bits than directions, state and reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference import shallow

HASHERS = pytest.mark.parametrize("name", shallow.NAMES)


@HASHERS
def test_weights_of_0_and_1_are_a_selection(name):
    x, y, _ = shallow.two_views()
    kept = np.arange(60) % 3 != 0
    spoilt = x.copy()
    spoilt[~kept] = 100 * np.random.default_rng(3).normal(size=spoilt[~kept].shape)
    weighed = shallow.fit(shallow.made(name), spoilt, y, weight=kept)
    selected = shallow.fit(shallow.made(name), x[kept], y[kept])
    for one, other in zip(shallow.outputs(weighed, x, y), shallow.outputs(selected, x, y), strict=True):
        assert np.array_equal(one, other)


@HASHERS
def test_weights_between_count(name):
    x, y, weight = shallow.two_views()
    usual, weighed = (shallow.outputs(shallow.fit(shallow.made(name), x, y, weight=w), x, y) for w in (None, weight**4))
    assert np.abs(usual[0] - weighed[0]).max() > 1e-3 * np.abs(usual[0]).max()


@pytest.mark.parametrize("name", ["pls-itq", "cvh"])
def test_a_weight_counts_as_so_many_copies(name):
    x, y, _ = shallow.two_views()
    copies = np.random.default_rng(1).integers(0, 4, 60)
    weighed = shallow.fit(shallow.made(name), x, y, weight=copies)
    copied = shallow.fit(shallow.made(name), np.repeat(x, copies, 0), np.repeat(y, copies, 0))
    for one, other in zip(shallow.outputs(weighed, x, y), shallow.outputs(copied, x, y), strict=True):
        np.testing.assert_allclose(np.abs(one), np.abs(other), atol=1e-6 * np.abs(other).max())


@HASHERS
@pytest.mark.parametrize("preset", ["described", "released"])
@pytest.mark.parametrize(
    ("n", "d_text", "bits"), [(20, 10, 256), (20, 10, 33), (9, 3, 16), (60, 10, 9), (1, 4, 5), (2, 4, 6)]
)
def test_few_pairs_and_many_bits_give_finite_codes(name, preset, n, d_text, bits):
    x, y, _ = shallow.two_views(n, 40, d_text)
    make = shallow.released if preset == "released" else shallow.made
    cases = [(x, y)]
    if bits < 33:
        cases += [(np.ones_like(x), y), (x, np.ones_like(y)), (np.zeros_like(x), np.zeros_like(y))]
    for image, text in cases:
        hasher = shallow.fit(make(name), image, text, bits)
        for output in shallow.outputs(hasher, image, text):
            assert output.shape == (n, bits)
            assert np.isfinite(output).all()


@HASHERS
def test_bits_beyond_the_rank_vary_and_differ(name):
    x, y, _ = shallow.two_views(60, 40, 5)
    codes = shallow.codes(shallow.fit(shallow.made(name), x, y, 64), x, y)
    for half in (codes[:60], codes[60:]):
        share = half.mean(0)
        assert ((share > 0.05) & (share < 0.95)).all()
        patterns = {tuple(column ^ column[0]) for column in half.T}
        assert len(patterns) > 16, "further bits repeat the first"


@HASHERS
def test_codes_follow_the_seed_alone_and_the_state_holds_all(name):
    x, y, weight = shallow.two_views()
    first = shallow.fit(shallow.made(name), x, y, 12, weight)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    again = shallow.fit(shallow.made(name), x, y, 12, weight)
    fresh = shallow.made(name)
    fresh.restore(first.state(), shallow.run_of(12))
    for other in (again, fresh):
        for one, two in zip(shallow.outputs(first, x, y), shallow.outputs(other, x, y), strict=True):
            assert np.array_equal(one, two)


@HASHERS
def test_matching_pairs_are_nearer_than_others_and_wrong_pairs_spoil_that(name):
    x, y, _ = shallow.two_views(200, 12, 10, seed=5)
    shuffled = y[np.random.default_rng(0).permutation(200)]

    def gap(text) -> float:
        codes = shallow.codes(shallow.fit(shallow.made(name), x, text, 16), x, y)
        distance = (codes[:200, None] != codes[None, 200:]).mean(2)
        return float(distance.mean() - np.diag(distance).mean())

    right = gap(y)
    assert right > 0.08
    assert gap(shuffled) < 0.4 * right
