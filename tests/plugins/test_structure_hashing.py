"""DJSRH, JDSH and DSAH against entry-by-entry restatements, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from harness_plugins.structure_hashing import jdsh
from harness_plugins.structure_hashing.djsrh import JointSemanticsHasher
from harness_plugins.structure_hashing.dsah import SemanticAlignmentHasher
from harness_plugins.structure_hashing.jdsh import Distribution, DistributionHasher, fit_distribution, sharpened
from reference import structure_hashing as reference
from scipy import stats

from harness.plugin.interfaces import PairTrust, Phase, TrainingPairs
from harness.runtime.context import RunContext

RUN = RunContext(6, torch.device("cpu"))
TRAINING = {"hidden": 9, "batch_size": 8, "image_learning_rate": 0.02, "text_learning_rate": 0.05, "momentum": 0.7,
            "weight_decay": 5e-4}  # fmt: skip
DJSRH = {"beta": 0.6, "eta": 0.4, "mu": 1.5, "lambda1": 0.1, "lambda2": 0.3}
FACTORS = {"alpha": 0.2, "beta": 0.4, "gamma": 0.4}
JDSH = {**FACTORS, "mu": 1.5, "intra": 0.1, "left_scales": 2.0, "right_scales": 4.0, "left_gain": 0.3,
        "right_gain": 0.2, "left_location": -0.4, "left_scale": 0.05, "right_location": -0.4, "right_scale": 0.1,
        "smallest": -0.6, "largest": 0.7}  # fmt: skip
DSAH = {"alpha": 0.9, "k": 1.5, "eta": 0.1, "symmetry": 2.0}


pytestmark = pytest.mark.usefixtures("float64")


def make(name: str, **changed):
    """A hasher with networks for features of widths 7 and 5."""
    if name == "djsrh":
        made = JointSemanticsHasher(**{**DJSRH, **TRAINING, **changed})
    elif name == "jdsh":
        made = DistributionHasher(**{"distribution": "given", **JDSH, **TRAINING, **changed})
    else:
        made = SemanticAlignmentHasher(**{"reconstruct_from": "outputs", **DSAH, **TRAINING, **changed})
    made.begin(make_pairs(), (), RUN)
    return made


def make_pairs(n: int = 8) -> TrainingPairs:
    return TrainingPairs(torch.randn(n, 7), torch.randn(n, 5))


def slow_loss(name: str, hasher, h_image, h_text, image, text, weight):
    if name == "djsrh":
        return reference.djsrh(h_image, h_text, image, text, weight, **DJSRH)
    if name == "jdsh":
        found = reference.jdsh_similarity(image, text, weight, **FACTORS)
        if hasher.distribution != "none":
            found = reference.jdsh_sharpened(
                found, left=-0.4 - 2 * 0.05, right=-0.4 + 4 * 0.1, smallest=-0.6, largest=0.7, left_gain=0.3,
                right_gain=0.2,
            )  # fmt: skip
        return reference.jdsh(h_image, h_text, 1.5 * found, weight, intra=0.1)
    read = torch.sign if hasher.reconstruct_from == "signs" else lambda outputs: outputs
    return reference.dsah(
        h_image, h_text, image, text, weight, to_image=lambda code: hasher.to_image(read(code)),
        to_text=lambda code: hasher.to_text(read(code)), **DSAH,
    )  # fmt: skip


VARIANTS = [
    ("djsrh", {}), ("jdsh", {}), ("jdsh", {"distribution": "none"}), ("dsah", {}),
    ("dsah", {"reconstruct_from": "signs"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changed"), VARIANTS)
@pytest.mark.parametrize("equal", [True, False])
def test_losses_equal_the_entry_by_entry_sum(name, changed, equal):
    hasher, pairs = make(name, **changed), make_pairs()
    h_image, h_text = torch.randn(8, 6).tanh(), torch.randn(8, 6).tanh()
    weight = torch.ones(8) if equal else torch.rand(8)
    fast = hasher.loss(h_image, h_text, pairs.rows(torch.arange(8)), weight)
    slow = slow_loss(name, hasher, h_image, h_text, pairs.image, pairs.text, weight)
    assert fast.item() == pytest.approx(slow.item(), rel=1e-10)


@pytest.mark.parametrize("name", ["djsrh", "jdsh", "dsah"])
def test_weights_of_0_and_1_are_the_loss_of_the_selected_pairs(name):
    hasher, pairs = make(name), make_pairs()
    h_image, h_text = torch.randn(8, 6).tanh(), torch.randn(8, 6).tanh()
    kept = torch.tensor([1, 0, 1, 1, 0, 1, 1, 0]).bool()
    whole = hasher.loss(h_image, h_text, pairs.rows(torch.arange(8)), kept.double())
    part = hasher.loss(h_image[kept], h_text[kept], pairs.rows(torch.nonzero(kept)[:, 0]), torch.ones(5))
    assert whole.item() == pytest.approx(part.item(), rel=1e-12)


@pytest.mark.parametrize("name", ["djsrh", "jdsh", "dsah"])
def test_no_trust_in_any_pair_of_a_batch_leaves_everything_finite(name):
    hasher, pairs = make(name), make_pairs()
    batch = pairs.rows(torch.arange(8))
    assert hasher.step(batch, PairTrust(torch.zeros(8))).item() == 0
    assert torch.isfinite(hasher.encode_image(pairs.image)).all()


@pytest.mark.parametrize("name", ["djsrh", "jdsh", "dsah"])
def test_gradients_agree_with_finite_differences(name):
    hasher, batch = make(name), make_pairs(4).rows(torch.arange(4))
    outputs = [torch.randn(4, 6, requires_grad=True) for _ in range(2)]
    weight = torch.tensor([1.0, 0.5, 0.0, 0.2])
    assert torch.autograd.gradcheck(lambda a, b: hasher.loss(a, b, batch, weight), outputs)


@pytest.mark.parametrize("name", ["djsrh", "jdsh", "dsah"])
def test_losses_of_pairs_have_the_loss_as_their_mean(name):
    hasher, pairs = make(name), make_pairs()
    hasher.end_epoch(0)
    batch = pairs.rows(torch.arange(8))
    outputs = [(math.sqrt(2) * z).tanh() for z in (hasher.encode_image(pairs.image), hasher.encode_text(pairs.text))]
    losses = hasher.pair_losses(batch)
    assert losses.shape == (8,)
    assert losses.mean().item() == pytest.approx(hasher.loss(*outputs, batch, torch.ones(8)).item(), rel=1e-12)


@pytest.mark.parametrize(("name", "changed"), VARIANTS)
def test_steps_equal_a_restatement_with_networks_and_sgd_written_out(name, changed):
    hasher, pairs = make(name, **changed), make_pairs(24)
    sides = [reference.Port(hasher.image_network), reference.Port(hasher.text_network)]
    decoders = [[p.detach().clone().requires_grad_() for p in d.parameters()] for d in decoders_of(hasher)]
    rated = list(zip([*(side.weights for side in sides), *decoders], (0.02, 0.05, 0.02, 0.05), strict=False))
    descent = reference.Descent(rated, 0.7, 5e-4, nesterov=name == "dsah")
    for epoch in range(2):
        for rows in torch.arange(24).split(8):
            batch, weight = pairs.rows(rows), torch.rand(8)
            alpha = math.sqrt(epoch + 1)
            outputs = sides[0].outputs(batch.image, alpha), sides[1].outputs(batch.text, alpha)
            slow = slow_loss(name, Reading(hasher, decoders), *outputs, batch.image, batch.text, weight)
            assert hasher.step(batch, PairTrust(weight)).item() == pytest.approx(slow.item(), rel=1e-9)
            descent.step(slow)
        hasher.end_epoch(epoch)
    found = [hasher.image_network, hasher.text_network, *decoders_of(hasher)]
    for (weights, _), module in zip(rated, found, strict=True):
        for expected, weight in zip(weights, module.parameters(), strict=True):
            assert torch.allclose(weight, expected, rtol=1e-8, atol=1e-10)


def decoders_of(hasher) -> list:
    """With the side that trains them: images first."""
    return [hasher.to_text, hasher.to_image] if hasattr(hasher, "to_text") else []


class Reading:
    """A hasher whose decoders have other weights."""

    def __init__(self, hasher, decoders) -> None:
        self.distribution = getattr(hasher, "distribution", "")
        self.reconstruct_from = getattr(hasher, "reconstruct_from", "")
        self.decoders = decoders

    def to_text(self, code):
        return torch.nn.functional.linear(code, *self.decoders[0])

    def to_image(self, code):
        return torch.nn.functional.linear(code, *self.decoders[1])


def test_dsah_as_released_reconstructs_without_moving_any_code():
    batch, h_text = make_pairs().rows(torch.arange(8)), torch.randn(8, 6)
    h_image = torch.randn(8, 6, requires_grad=True)
    cosine = (torch.cosine_similarity(h_image, h_text) - 1.5).square().sum()
    (alone,) = torch.autograd.grad(cosine, h_image)
    for read, same in (("signs", True), ("outputs", False)):
        terms = make("dsah", reconstruct_from=read).of_each_pair(h_image, h_text, batch).sum()
        (gradient,) = torch.autograd.grad(terms, h_image)
        assert torch.allclose(gradient, alone, rtol=1e-12, atol=0) == same


def test_distribution_of_each_half_is_what_scipy_fits_to_it_with_its_mirror_image():
    generator = np.random.default_rng(0)
    values = np.concatenate([-0.4 - np.abs(generator.normal(0, 0.05, 4000)), -0.4 + generator.exponential(0.1, 6000)])
    found = fit_distribution(values)
    mode = found.left_location
    assert mode == found.right_location == pytest.approx(-0.4, abs=0.02)
    left, right = values[values < mode], values[values > mode]
    location, scale = stats.norm.fit(np.concatenate([left, 2 * mode - left]))
    assert (found.left_location, found.left_scale) == pytest.approx((location, scale))
    location, scale = stats.laplace.fit(np.concatenate([right, 2 * mode - right]))
    assert found.right_location == pytest.approx(location, abs=0.01)  # scipy's is the median, between the middle two
    assert found.right_scale == pytest.approx(scale, rel=1e-3)
    assert (found.smallest, found.largest) == (values.min(), values.max())
    assert found.left_scale == pytest.approx(0.05, abs=0.01)
    assert found.right_scale == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("values", [[0.3], [0.3] * 50, [0.3] * 49 + [0.9], [0.1, 0.2]])
def test_distribution_of_few_or_equal_similarities_is_finite(values):
    found = fit_distribution(np.array(values))
    assert np.isfinite([found.left_location, found.left_scale, found.right_scale]).all()
    assert min(values) - 1e-9 <= found.left_location <= max(values) + 1e-9


def test_distribution_is_fitted_to_similarities_of_different_pairs_in_batches_of_the_phase(monkeypatch):
    hasher, pairs = make("jdsh", distribution="fitted"), make_pairs(24)
    seen = []
    monkeypatch.setattr(jdsh, "fit_distribution", lambda values: seen.append(values) or Distribution(*range(6)))
    rows = torch.arange(0, 24, 2)
    hasher.begin_phase(Phase("training", 1), pairs, rows)
    (values,) = seen
    assert values.shape == (8 * 7,)  # 12 pairs: one full batch of 8, without its diagonal
    assert values.max() < 0.99
    assert hasher.found == Distribution(*range(6))


def test_sharpening_leaves_what_lies_between_the_boundaries():
    similarity = torch.tensor([[-0.9, -0.45], [0.2, 0.8]])
    found = Distribution(-0.4, 0.1, -0.4, 0.2, -0.9, 0.8)
    sharp = sharpened(similarity, found, 2.0, 4.0, 0.3, 0.2)  # beyond -0.6 and 0.4
    expected = torch.tensor([[-0.9 * 1.3, -0.45], [0.2, 0.8 * 1.2]])
    assert torch.allclose(sharp, expected)
