"""Objectives against sums written out pair by pair, and their gradients against finite differences, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from harness_plugins.noisy_correspondence.evidential_loss import (
    EvidentialLoss,
    divergence_from_uniform,
    hard_negatives,
)
from harness_plugins.noisy_correspondence.objectives import (
    ActiveComplementary,
    Complementary,
    GeneralisedCrossEntropy,
    SoftMargin,
)
from torch.distributions import Dirichlet, kl_divergence

from harness.plugin.interfaces import PairTrust

B, BITS = 7, 5
FORMS = {
    "log": lambda p: -math.log(1 - p + 1e-10),
    "tan": math.tan,
    "abs": lambda p: p,
    "exp": lambda p: math.exp(-(1 - p)),
    "gce": lambda p: (1 - (1 - p + 1e-10) ** 0.5) / 0.5,
}


def outputs(seed: int = 0, b: int = B):
    random = torch.Generator().manual_seed(seed)
    z_image = torch.randn(b, BITS, generator=random, dtype=torch.float64)
    return z_image, 0.6 * z_image + torch.randn(b, BITS, generator=random, dtype=torch.float64)


def trusted(values=None, target=None, b: int = B) -> PairTrust:
    weight = torch.ones(b, dtype=torch.float64) if values is None else torch.tensor(values, dtype=torch.float64)
    return PairTrust(weight, target)


WEIGHT = [1.0, 0.0, 0.3, 0.8, 1.0, 0.5, 0.9]


def slow_probabilities(z_image, z_text, temperature):
    """p[direction][i][j] by the definition."""

    def cosine(a, b):
        return float(a @ b / (a.norm() * b.norm()))

    s = [[cosine(a, b) for b in z_text] for a in z_image]
    n = len(s)
    both = []
    for table in (s, [[s[j][i] for j in range(n)] for i in range(n)]):
        rows = []
        for row in table:
            raised = [math.exp(value / temperature) for value in row]
            rows.append([value / sum(raised) for value in raised])
        both.append(rows)
    return s, both


@pytest.mark.parametrize("form", FORMS)
def test_complementary_sums_over_what_is_not_the_match(form):
    z = outputs()
    found = Complementary(temperature=0.3, form=form, q=0.5)(*z, trusted(WEIGHT))
    _, both = slow_probabilities(*z, 0.3)
    expected = [
        w * sum(FORMS[form](p[i][j]) for p in both for j in range(B) if j != i) for i, w in enumerate(WEIGHT)
    ]  # fmt: skip
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


def test_a_hopeless_pair_is_ignored_by_absolute_error_and_bearable_to_the_complementary_loss():
    z_image, z_text = outputs()
    z_text = z_text.clone()
    z_text[0] = -z_image[0] + 1e-3
    gradients = {}
    for name, loss in (
        ("rcl", Complementary(temperature=0.05, form="log", q=0.5)),
        ("gce", GeneralisedCrossEntropy(temperature=0.05, q=1.0)),
    ):
        z = z_image.clone().requires_grad_()
        loss(z, z_text, trusted())[0].backward()
        gradients[name] = z.grad[0].norm()
    assert gradients["gce"] < 1e-3  # absolute error ignores a hopeless pair
    assert torch.isfinite(gradients["rcl"])


def test_active_complementary_by_the_definition():
    z = outputs()
    target = torch.tensor([1.0, 0.0, 0.4, 0.9, 0.1, 0.5, 1.0], dtype=torch.float64)
    found = ActiveComplementary(temperature=0.3, factor=5.0)(*z, trusted(WEIGHT, target))
    _, both = slow_probabilities(*z, 0.3)
    expected = []
    for i, y in enumerate(target.tolist()):
        loss = 0.0
        for p in both:
            tangents = [math.tan(p[i][j]) for j in range(B)]
            loss += -y * math.log(p[i][i])
            loss += 5 * sum(tangents[j] for j in range(B) if j != i) / sum(tangents) ** (1 - y)
        expected.append(loss)
    assert found.tolist() == pytest.approx(expected, rel=1e-8)


def test_active_complementary_takes_the_weight_where_there_is_no_target():
    z, loss = outputs(), ActiveComplementary(temperature=0.1, factor=5.0)
    weight = torch.tensor(WEIGHT, dtype=torch.float64)
    assert torch.equal(loss(*z, trusted(WEIGHT)), loss(*z, trusted(None, weight)))


@pytest.mark.parametrize("q", [0.3, 0.7, 1.0])
def test_gce_by_the_definition_and_its_limits(q):
    z = outputs()
    found = GeneralisedCrossEntropy(temperature=0.3, q=q)(*z, trusted(WEIGHT))
    _, both = slow_probabilities(*z, 0.3)
    expected = [w * sum((1 - p[i][i] ** q) / q for p in both) for i, w in enumerate(WEIGHT)]
    assert found.tolist() == pytest.approx(expected, rel=1e-8)
    entropy = [-sum(math.log(p[i][i]) for p in both) for i in range(B)]
    assert GeneralisedCrossEntropy(temperature=0.3, q=1e-7)(*z, trusted()).tolist() == pytest.approx(entropy, rel=1e-5)


def test_soft_margin_by_the_definition():
    z = outputs()
    target = torch.tensor([1.0, 0.0, 0.4, 0.9, 0.1, 0.5, 1.0], dtype=torch.float64)
    found = SoftMargin(margin=0.2)(*z, trusted(WEIGHT, target))
    s, _ = slow_probabilities(*z, 1.0)
    for i, y in enumerate(target.tolist()):
        margin = 0.2 * (10**y - 1) / 9
        caption = max(0.0, margin + max(s[i][j] for j in range(B) if j != i) - s[i][i])
        image = max(0.0, margin + max(s[j][i] for j in range(B) if j != i) - s[i][i])
        assert float(found[i]) == pytest.approx(caption + image if y else 0.0, abs=1e-12)


def test_soft_margin_without_a_target_is_the_warm_up_over_all_negatives():
    z = outputs()
    found = SoftMargin(margin=0.2)(*z, trusted())
    s, _ = slow_probabilities(*z, 1.0)
    for i in range(B):
        caption = sum(max(0.0, 0.2 + s[i][j] - s[i][i]) for j in range(B) if j != i) / B
        image = sum(max(0.0, 0.2 + s[j][i] - s[i][i]) for j in range(B) if j != i) / B
        assert float(found[i]) == pytest.approx(caption + image, abs=1e-12)


@pytest.mark.parametrize("form", ["squared", "log"])
@pytest.mark.parametrize("hard_sum", [True, False])
def test_evidential_loss_by_the_definition(form, hard_sum):
    z = outputs()
    loss = EvidentialLoss(
        temperature=0.5, form=form, divergence=0.1, annealing=0, hard_weight=0.8, hard_sum=hard_sum, margin=0.2,
        shrink=1.0, fewest=2,
    )  # fmt: skip
    loss.end_step(2)  # the third step comes next: H = 7 - 3
    found = loss(*z, trusted(WEIGHT))
    s, _ = slow_probabilities(*z, 1.0)
    assert loss.hard_count(B) == 4
    for i, y in enumerate(WEIGHT):
        total = 0.0
        for column in (False, True):
            scores = [s[j][i] if column else s[i][j] for j in range(B)]
            alpha = [math.exp(math.tanh(value) / 0.5) + 1 for value in scores]
            strength = sum(alpha)
            for j in range(B):
                label = y if j == i else 0.0
                if form == "squared":
                    total += (label - alpha[j] / strength) ** 2
                    total += alpha[j] * (strength - alpha[j]) / (strength**2 * (strength + 1))
                else:
                    total += label * (math.log(strength) - math.log(alpha[j]))
            kept = torch.tensor([(a - 1) * (1 - (y if j == i else 0)) + 1 for j, a in enumerate(alpha)]).double()
            total += 0.1 * float(kl_divergence(Dirichlet(kept), Dirichlet(torch.ones(B).double())))
            hinges = [0.2 + math.tanh(scores[j]) - math.tanh(s[i][i]) for j in range(B) if j != i]
            hardest = sorted((max(0.0, hinge) for hinge in hinges), reverse=True)[:4]
            total += 0.8 * y * (B if hard_sum else 1) * sum(hardest) / 4
        assert float(found[i]) == pytest.approx(total, rel=1e-6)


def test_divergence_is_that_of_torch():
    alpha = torch.rand(5, 6, dtype=torch.float64) * 9 + 1
    expected = kl_divergence(Dirichlet(alpha), Dirichlet(torch.ones(6, dtype=torch.float64)))
    torch.testing.assert_close(divergence_from_uniform(alpha), expected)


def test_hard_negatives_shrink_to_the_hardest_and_start_over_with_the_learner():
    loss = EvidentialLoss(
        temperature=0.1, form="squared", divergence=0.1, annealing=10, hard_weight=0.8, hard_sum=True, margin=0.2,
        shrink=20.0, fewest=3,
    )  # fmt: skip
    counts = []
    for step in (0, 1, 5, 100):
        loss.end_step(step)
        counts.append(loss.hard_count(128))
    assert counts == [108, 88, 8, 3]
    assert loss.hard_count(2) == 1
    scores = torch.tanh(torch.randn(20, 20, generator=torch.Generator().manual_seed(0)))
    few, many = hard_negatives(scores, 0.2, 3), hard_negatives(scores, 0.2, 19)
    assert torch.all(few >= many)  # a mean of the hardest is never below a mean of all
    loss.end_step(0)
    assert loss.hard_count(128) == 108


def test_the_divergence_term_rises_with_the_steps_where_it_is_asked_to():
    z, losses = outputs(), []
    loss = EvidentialLoss(
        temperature=0.5, form="squared", divergence=1.0, annealing=10, hard_weight=0.0, hard_sum=True, margin=0.2,
        shrink=0.0, fewest=1,
    )  # fmt: skip
    for step in (0, 4, 9, 50):
        loss.end_step(step)
        losses.append(float(loss(*z, trusted()).sum()))
    assert losses[0] < losses[1] < losses[2] == losses[3]
    assert losses[1] - losses[0] == pytest.approx((losses[2] - losses[0]) * 4 / 9)


def test_a_pair_called_wrong_has_no_right_caption_and_no_hard_negatives():
    loss = EvidentialLoss(
        temperature=0.5, form="log", divergence=0.0, annealing=0, hard_weight=0.8, hard_sum=True, margin=0.2,
        shrink=0.0, fewest=5,
    )  # fmt: skip
    assert loss(*outputs(), trusted([0.0] * B)).tolist() == [0.0] * B


OBJECTIVES = {
    "complementary": Complementary(temperature=0.2, form="log", q=0.5),
    "active-complementary": ActiveComplementary(temperature=0.2, factor=5.0),
    "gce": GeneralisedCrossEntropy(temperature=0.2, q=0.7),
    "soft-margin": SoftMargin(margin=0.2),
    "evidential-loss": EvidentialLoss(
        temperature=0.3, form="squared", divergence=0.1, annealing=0, hard_weight=0.8, hard_sum=True, margin=0.2,
        shrink=0.0, fewest=2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_agree_with_finite_differences(name):
    z_image, z_text = (z.requires_grad_() for z in outputs(3, 5))
    trust = trusted([1.0, 0.0, 0.3, 0.8, 1.0], b=5)
    assert torch.autograd.gradcheck(lambda a, b: OBJECTIVES[name](a, b, trust), (z_image, z_text), atol=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("b", [1, 2])
def test_tiny_batches_and_extreme_outputs_stay_finite(name, b):
    z_image = torch.full((b, BITS), 1.0).requires_grad_()
    z_text = -torch.ones(b, BITS)
    loss = OBJECTIVES[name](z_image, z_text, PairTrust(torch.tensor([0.0, 1.0])[:b]))
    loss.sum().backward()
    assert loss.shape == (b,)
    assert torch.isfinite(loss).all()
    assert torch.isfinite(z_image.grad).all()
