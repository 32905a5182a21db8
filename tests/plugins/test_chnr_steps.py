"""CHNR step by step against the slow reference: same batch, same initial weights, dropout off, float64."""

from __future__ import annotations

import pytest
import torch
from harness_plugins.chnr.contrastive import ContrastiveHasher
from harness_plugins.chnr.discriminator import AdversarialDetector, Discriminator, discriminator_loss
from harness_plugins.chnr.nt_xent import NTXent, nt_xent
from reference import chnr as reference

from harness.context import RunContext
from harness.interfaces import PairTrust, Phase, TrainingPairs


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def make_pairs(n: int = 20, d_image: int = 7, d_text: int = 5, text_view: bool = True) -> TrainingPairs:
    image, text = torch.randn(n, d_image), torch.randn(n, d_text)
    return TrainingPairs(
        image=image,
        text=text,
        image_views=(image + 0.1 * torch.randn(n, d_image),),
        text_views=(text + 0.1 * torch.randn(n, d_text),) if text_view else (),
        trusted=torch.arange(n) % 3 == 0,
    )


def make_hasher(**changed) -> ContrastiveHasher:
    settings = {
        "objective": NTXent(temperature=1.0, epsilon=1e-6), "hidden": 11, "batch_size": 8, "learning_rate": 1e-4,
        "weight_decay": 5e-4, "beta": 1e-3, "intra_image": 0.0, "intra_text": 0.0, "step_epochs": 50,
        "step_factor": 0.8, "smallest_learning_rate": 1e-6, "augmented_text": "use", "code_buffer": "rows",
    }  # fmt: skip
    return ContrastiveHasher(**{**settings, **changed})


RUN = RunContext(6, torch.device("cpu"))


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_nt_xent_equals_the_anchor_by_anchor_sum(temperature):
    image, text, weight = torch.randn(9, 6).tanh(), torch.randn(9, 6).tanh(), torch.rand(9)
    slow = reference.nt_xent_sum(image, text, weight, temperature)
    fast = NTXent(temperature=temperature, epsilon=1e-6)(image, text, PairTrust(weight)).sum()
    assert fast.item() == pytest.approx(slow.item(), rel=1e-10)


def test_nt_xent_gradient_agrees_with_finite_differences():
    image = torch.randn(4, 3, requires_grad=True)
    text = torch.randn(4, 3, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.7, 1e-6), (image, text))


def test_a_weight_scales_its_own_anchors_and_nobody_elses():
    image, text = torch.randn(6, 4), torch.randn(6, 4)
    objective = NTXent(temperature=1.0, epsilon=1e-6)
    full, halved = (
        objective(image, text, PairTrust(weight)) for weight in (torch.ones(6), torch.tensor([0.5] + [1.0] * 5))
    )
    assert torch.allclose(halved[1:], full[1:])
    assert torch.allclose(halved[0], full[0] / 2)


def discriminators(d: int, dropout: float = 0.0):
    """The plugin's network and the reference's, with the same weights."""
    ours, slow = Discriminator(d, dropout), reference.make_discriminator(d, dropout)
    linear = [module for module in slow if isinstance(module, torch.nn.Linear)]
    for mine, theirs in zip([*ours.layers, ours.last], linear, strict=True):
        theirs.load_state_dict(mine.state_dict())
    return ours, slow, linear


def test_discriminator_loss_and_gradients_equal_double_backward():
    d, n = 12, 10
    ours, slow, linear = discriminators(d)
    reals, fakes = [torch.randn(n, d) for _ in range(4)], [torch.randn(n, d) for _ in range(4)]
    mixes = [torch.rand(n, d) for _ in range(4)]
    fast = sum(
        discriminator_loss(ours, real, fake, mix, 10.0) for real, fake, mix in zip(reals, fakes, mixes, strict=True)
    )
    fast.backward()
    expected = reference.discriminator_step(slow, reals, fakes, mixes)
    assert fast.item() == pytest.approx(expected.item(), rel=1e-10)
    for mine, theirs in zip([*ours.layers, ours.last], linear, strict=True):
        assert torch.allclose(mine.weight.grad, theirs.weight.grad, rtol=1e-9, atol=1e-12)
        assert torch.allclose(mine.bias.grad, theirs.bias.grad, rtol=1e-9, atol=1e-12)


def test_input_gradient_with_dropout_equals_autograd_under_the_same_masks():
    ours = Discriminator(12, 0.4)
    pairs = torch.randn(10, 12, requires_grad=True)
    torch.manual_seed(5)
    fast = ours.input_gradient(pairs.detach())
    torch.manual_seed(5)
    (slow,) = torch.autograd.grad(ours(pairs).sum(), pairs)
    assert torch.allclose(fast, slow, rtol=1e-12)


@pytest.mark.parametrize("text_view", [True, False])
def test_hash_networks_follow_the_reference_step_by_step(text_view):
    """Losses, weights and running statistics over three epochs of changing weights; without a caption view the caption
    stands for both, encoded once here and twice there."""
    pairs = make_pairs(text_view=text_view)
    hasher = make_hasher()
    phase = Phase("noisy", 3)
    hasher.begin(pairs, (phase,), RUN)
    rows = torch.arange(len(pairs))
    hasher.begin_phase(phase, pairs, rows)
    networks = [reference.make_hash_network(d, 11, 6) for d in (7, 5)]
    networks[0].load_state_dict(hasher.image_network.state_dict())
    networks[1].load_state_dict(hasher.text_network.state_dict())
    slow = reference.HashTraining(*networks, len(pairs), hasher.codes)
    text_two = pairs.text_views[0] if text_view else pairs.text
    for epoch in range(3):
        for chosen in torch.randperm(len(pairs)).split(8):
            weight = torch.rand(len(chosen))
            fast_loss = hasher.step(pairs.rows(chosen), PairTrust(weight))
            slow_loss = slow.step(
                pairs.image[chosen], pairs.image_views[0][chosen], pairs.text[chosen], text_two[chosen], weight, chosen
            )
            assert fast_loss.item() == pytest.approx(slow_loss.item(), rel=1e-9)
        hasher.end_epoch(epoch)
        slow.end_epoch(epoch)
        assert torch.equal(hasher.codes, slow.codes)
    for mine, theirs in ((hasher.image_network, slow.image), (hasher.text_network, slow.text)):
        for key, value in theirs.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                assert torch.allclose(mine.state_dict()[key], value, rtol=1e-8, atol=1e-10), key


def test_learning_rate_falls_after_epochs_0_50_100_and_not_below_its_floor():
    pairs = make_pairs()
    hasher = make_hasher(learning_rate=1e-4, smallest_learning_rate=6e-5)
    hasher.begin(pairs, (), RUN)
    rates = []
    for epoch in range(102):
        hasher.end_epoch(epoch)
        rates.append(hasher.optimiser.param_groups[0]["lr"])
    assert [rates[epoch] for epoch in (0, 49, 50, 100, 101)] == pytest.approx([8e-5, 8e-5, 6.4e-5, 6e-5, 6e-5])


def detector(**changed) -> AdversarialDetector:
    settings = {
        "weights": "normal", "epochs": 3, "batch_size": 256, "learning_rate": 1e-4, "weight_decay": 1e-3,
        "dropout": 0.2, "penalty": 10.0, "augmented_text": "use", "mismatches": "any", "dropout_in_weights": False,
    }  # fmt: skip
    return AdversarialDetector(**{**settings, **changed})


def test_detector_weights_are_the_probability_its_cube_and_its_threshold():
    pairs = make_pairs(40)
    weights = {}
    for kind in ("normal", "cubed", "discrete", "ones"):
        torch.manual_seed(1)
        fitted = detector(weights=kind)
        weights[kind] = fitted.fit(pairs, RUN).weight
        threshold = fitted.threshold
    assert torch.allclose(weights["cubed"], weights["normal"] ** 3)
    assert torch.equal(weights["discrete"], (weights["normal"] > threshold).double())
    assert torch.equal(weights["ones"], torch.ones(40))


def test_mismatched_partners_are_never_the_pair_itself_and_never_of_the_same_class_where_labels_are_used():
    fitted = detector()
    pairs = make_pairs(30)
    batch = pairs.rows(torch.arange(30))
    fitted.labels = None
    for _ in range(20):
        assert (fitted._partners(batch) != torch.arange(30)).all()
    classes = torch.arange(30) // 10
    fitted.labels = classes[:, None] == torch.arange(3)[None, :]
    seen = torch.stack([fitted._partners(batch) for _ in range(200)])
    assert (classes[seen] != classes[None, :]).all()
    assert {int(partner) for partner in seen[:, 0]} == set(range(10, 30)), "every row of another class can be drawn"


def test_a_batch_of_one_class_still_gets_mismatches():
    fitted = detector()
    fitted.labels = torch.ones(6, 1, dtype=torch.bool)
    partners = fitted._partners(make_pairs(6).rows(torch.arange(6)))
    assert (partners != torch.arange(6)).all()
