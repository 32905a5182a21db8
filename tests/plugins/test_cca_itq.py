"""CCA-ITQ against a dense restatement: canonical directions, the rotation, weights, and what noise does to it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import torch
from harness_plugins.canonical_itq import CanonicalItq

from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.runtime.context import RunContext
from harness.training.building_blocks.canonical import weighted_cca
from harness.training.building_blocks.rotation import itq_rotation

CPU = torch.device("cpu")


def two_views(n: int = 300, d_x: int = 9, d_y: int = 7, shared: int = 4, seed: int = 0):
    random = np.random.default_rng(seed)
    latent = random.normal(size=(n, shared)) * np.linspace(2, 0.5, shared)
    x = latent @ random.normal(size=(shared, d_x)) + random.normal(size=(n, d_x)) + 3
    y = latent @ random.normal(size=(shared, d_y)) + random.normal(size=(n, d_y)) - 2
    return x, y, random.uniform(0.1, 1, n)


def centred(view, weight):
    return view - weight @ view / weight.sum()


def slow_directions(x, y, weight, ridge):
    """Canonical correlation analysis as one generalised symmetric eigenproblem, covariances summed pair by pair."""
    n = len(x)
    c_xx, c_yy = (sum(weight[i] * np.outer(v[i], v[i]) for i in range(n)) / weight.sum() for v in (x, y))
    c_xy = sum(weight[i] * np.outer(x[i], y[i]) for i in range(n)) / weight.sum()
    a_xx = c_xx + ridge * np.trace(c_xx) / len(c_xx) * np.eye(len(c_xx))
    a_yy = c_yy + ridge * np.trace(c_yy) / len(c_yy) * np.eye(len(c_yy))
    zero_x, zero_y = np.zeros_like(a_xx), np.zeros_like(a_yy)
    values, vectors = scipy.linalg.eigh(
        np.block([[zero_x, c_xy], [c_xy.T, zero_y]]), scipy.linalg.block_diag(a_xx, a_yy)
    )
    k = min(len(a_xx), len(a_yy))
    best = np.argsort(values)[::-1][:k]
    # eigh scales the stacked vector to length 1; each half then has half of it.
    return vectors[: len(a_xx), best] * 2**0.5, vectors[len(a_xx) :, best] * 2**0.5, values[best], (a_xx, a_yy, c_xy)


@pytest.mark.parametrize("ridge", [1.0, 0.01, 3.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_directions_and_correlations_agree_with_a_generalised_eigenproblem(ridge, weighted):
    x, y, weight = two_views()
    weight = weight if weighted else np.ones(len(x))
    x, y = centred(x, weight), centred(y, weight)
    w_x, w_y, correlations, (a_xx, a_yy, c_xy) = slow_directions(x, y, weight, ridge)
    found_x, found_y, found = (t.numpy() for t in weighted_cca(*map(torch.from_numpy, (x, y, weight)), ridge))
    assert found == pytest.approx(correlations, abs=1e-9)
    assert np.all(np.diff(found) <= 0)
    sign = np.sign((found_x * w_x).sum(0))  # a direction and its negative are one; both views turn together
    np.testing.assert_allclose(found_x, w_x * sign, atol=1e-7)
    np.testing.assert_allclose(found_y, w_y * sign, atol=1e-7)
    np.testing.assert_allclose(found_x.T @ a_xx @ found_x, np.eye(7), atol=1e-9)
    np.testing.assert_allclose(found_y.T @ a_yy @ found_y, np.eye(7), atol=1e-9)
    np.testing.assert_allclose(found_x.T @ c_xy @ found_y, np.diag(correlations), atol=1e-9)


def test_weight_of_a_pair_counts_as_so_many_copies_of_it():
    x, y, _ = two_views(n=60)
    copies = np.random.default_rng(1).integers(0, 4, 60)
    weighed = weighted_cca(torch.from_numpy(centred(x, copies)), torch.from_numpy(centred(y, copies)),
                           torch.from_numpy(copies.astype(float)), 1.0)  # fmt: skip
    x, y = np.repeat(x, copies, axis=0), np.repeat(y, copies, axis=0)
    ones = np.ones(len(x))
    copied = weighted_cca(*map(torch.from_numpy, (centred(x, ones), centred(y, ones), ones)), 1.0)
    for one, other in zip(weighed, copied, strict=True):
        assert torch.allclose(one.abs(), other.abs(), atol=1e-9)


def test_singular_covariances_and_constant_views_give_finite_directions():
    x, y, weight = two_views(n=5)
    few = weighted_cca(*map(torch.from_numpy, (centred(x, weight), centred(y, weight), weight)), 1.0)
    constant = weighted_cca(
        torch.zeros(5, 9).double(), torch.from_numpy(centred(y, weight)), torch.from_numpy(weight), 1.0
    )
    for parts in (few, constant):
        assert all(bool(torch.isfinite(part).all()) for part in parts)
    assert constant[2].abs().max() == 0


def quantisation_loss(views, rotation) -> float:
    outputs = views @ rotation
    return float(((torch.where(outputs > 0, 1.0, -1.0) - outputs) ** 2).sum())


def start_rotation(k, bits, seed=0):
    draw = torch.randn(bits, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(draw)[0].T


@pytest.mark.parametrize(("k", "bits"), [(6, 6), (6, 16)])
def test_rotation_keeps_orthonormal_rows_and_its_loss_never_rises(k, bits):
    views = torch.randn(400, k, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    views *= torch.linspace(2, 0.2, k, dtype=torch.float64)
    start = start_rotation(k, bits)
    losses = []
    for iterations in (0, 1, 2, 3, 5, 10, 30):
        rotation = itq_rotation(views, start, iterations)
        assert torch.allclose(rotation @ rotation.T, torch.eye(k, dtype=torch.float64), atol=1e-10)
        losses.append(quantisation_loss(views, rotation))
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(losses))
    assert losses[-1] < 0.97 * losses[0]


def test_one_update_is_the_best_rotation_for_the_codes_before_it():
    views = torch.randn(100, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    start = start_rotation(5, 5)
    codes = torch.where(views @ start > 0, 1.0, -1.0).double()
    expected, _ = scipy.linalg.orthogonal_procrustes(views.numpy(), codes.numpy())
    np.testing.assert_allclose(itq_rotation(views, start, 1).numpy(), expected, atol=1e-10)
    assert torch.equal(itq_rotation(views, start, 0), start)


# -- the hasher as a whole


def make_pairs(x, y) -> TrainingPairs:
    x, y = torch.from_numpy(x).float(), torch.from_numpy(y).float()
    return TrainingPairs(image=x, text=y, trusted=torch.zeros(len(x), dtype=torch.bool))


def fit(x, y, bits=6, weight=None, seed=0, ridge=1.0, power=1.0, iterations=50) -> CanonicalItq:
    hasher = CanonicalItq(ridge=ridge, power=power, iterations=iterations)
    weight = torch.ones(len(x)) if weight is None else torch.as_tensor(weight, dtype=torch.float32)
    hasher.fit(make_pairs(x, y), PairTrust(weight), RunContext(bits, CPU, seed))
    return hasher


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_directions_are_scaled_by_their_correlations(power):
    x, y, weight = two_views()
    x, y = x.astype(np.float32).astype(float), y.astype(np.float32).astype(float)
    weight = weight.astype(np.float32).astype(float)
    w_x, w_y, correlations, _ = slow_directions(centred(x, weight), centred(y, weight), weight, 1.0)
    # A common rotation R drops out of P P' with P = W diag(c^power) R, and both views share it.
    scale = correlations[:6] ** power
    projection_x, projection_y = w_x[:, :6] * scale, w_y[:, :6] * scale
    found_x, found_y = (p.numpy() for p in fit(x, y, 6, weight, power=power).projections)
    np.testing.assert_allclose(found_x @ found_x.T, projection_x @ projection_x.T, atol=1e-6)
    np.testing.assert_allclose(found_y @ found_y.T, projection_y @ projection_y.T, atol=1e-6)
    np.testing.assert_allclose(found_x @ found_y.T, projection_x @ projection_y.T, atol=1e-6)


def codes(hasher, x, y) -> np.ndarray:
    x, y = torch.from_numpy(x).float(), torch.from_numpy(y).float()
    return np.concatenate([(hasher.encode_image(x) > 0).numpy(), (hasher.encode_text(y) > 0).numpy()])


def test_codes_are_reproducible_and_the_seed_turns_them():
    x, y, weight = two_views()
    first = codes(fit(x, y, weight=weight), x, y)
    torch.manual_seed(99)  # the global state must not matter
    assert np.array_equal(codes(fit(x, y, weight=weight), x, y), first)
    assert not np.array_equal(codes(fit(x, y, weight=weight, seed=1), x, y), first)


def test_pairs_of_weight_nought_have_no_influence_at_all():
    x, y, _ = two_views()
    weight = (np.arange(300) < 200).astype(float)
    spoilt = x.copy()
    spoilt[200:] = 1000 * np.random.default_rng(3).normal(size=spoilt[200:].shape)
    assert np.array_equal(codes(fit(x, y, weight=weight), x, y), codes(fit(spoilt, y, weight=weight), x, y))


def test_where_no_pair_has_weight_all_count_alike():
    x, y, _ = two_views()
    assert np.array_equal(codes(fit(x, y, weight=np.zeros(300)), x, y), codes(fit(x, y), x, y))


@pytest.mark.parametrize("bits", [16, 33])
def test_more_bits_than_directions_are_filled_and_all_of_them_vary(bits):
    x, y, _ = two_views()
    hasher = fit(x, y, bits)
    outputs = hasher.encode_image(torch.from_numpy(x).float())
    assert outputs.shape == (300, bits)
    assert torch.linalg.matrix_rank(outputs) == 7, "there are only as many directions as the smaller view has"
    ones = (outputs > 0).double().mean(0)
    assert bool(((ones > 0.02) & (ones < 0.98)).all())


def class_map(hasher, seed: int) -> float:
    """Mean average precision of image queries in a caption database, ten classes, ranked with random ties."""
    x, y, labels = classes(seed=seed)
    image = (hasher.encode_image(torch.from_numpy(x).float()) > 0).numpy()
    text = (hasher.encode_text(torch.from_numpy(y).float()) > 0).numpy()
    distance = (image[:, None] != text[None]).sum(2) + np.random.default_rng(0).random((len(x), len(x))) / 2
    relevant = labels[:, None] == labels[None]
    ranked = np.take_along_axis(relevant, distance.argsort(axis=1), axis=1)
    precision = ranked.cumsum(1) / np.arange(1, len(x) + 1)
    return float(((precision * ranked).sum(1) / ranked.sum(1)).mean())


def classes(seed: int, n: int = 300):
    fixed, random = np.random.default_rng(5), np.random.default_rng(seed)
    labels = np.arange(n) % 10
    latent = fixed.normal(size=(10, 8))[labels] + 0.3 * random.normal(size=(n, 8))
    x = latent @ fixed.normal(size=(8, 16)) + random.normal(size=(n, 16))
    y = latent @ fixed.normal(size=(8, 12)) + random.normal(size=(n, 12))
    return x, y, labels


def test_wrong_pairs_hardly_move_the_result():
    x, y, _ = classes(seed=1)
    clean = class_map(fit(x, y, 16), seed=2)
    random = np.random.default_rng(0)
    wrong = random.permutation(300)[:120]
    noisy_y = y.copy()
    noisy_y[wrong] = y[np.roll(wrong, 1)]
    noisy = class_map(fit(x, noisy_y, 16), seed=2)
    everything = class_map(fit(x, y[random.permutation(300)], 16), seed=2)
    assert clean > 0.6
    assert noisy > 0.9 * clean
    assert everything < 0.5 * clean, "or the data could be hashed without any right pair, and the test proves nothing"


def test_whole_codes_count_a_weight_as_so_many_copies():
    x, y, _ = two_views(n=80)
    copies = torch.from_numpy(np.random.default_rng(1).integers(0, 4, 80))
    image, text = torch.from_numpy(x).float(), torch.from_numpy(y).float()
    outputs = []
    for rows, weight in ((torch.arange(80), copies / copies.max()), (torch.arange(80).repeat_interleave(copies), None)):
        hasher = CanonicalItq(ridge=1.0, power=1.0, iterations=20)
        pairs = TrainingPairs(image=image[rows], text=text[rows], trusted=torch.zeros(len(rows), dtype=torch.bool))
        trust = PairTrust(torch.ones(len(rows)) if weight is None else weight)
        hasher.fit(pairs, trust, RunContext(5, CPU))
        outputs.append(torch.cat([hasher.encode_image(image), hasher.encode_text(text)]))
    assert torch.allclose(*outputs, atol=1e-6)
