"""CHNR step by step against the slow reference: same batch, same initial weights, dropout off, float64."""

from __future__ import annotations

import pytest
import torch
from harness_plugins.chnr.contrastive import ContrastiveHasher
from harness_plugins.chnr.discriminator import AdversarialDetector, Discriminator
from harness_plugins.chnr.discriminator_gradients import COMBINATIONS, DiscriminatorStep
from harness_plugins.chnr.nt_xent import NTXent, nt_xent
from reference import chnr as reference

from harness.plugin.interfaces import PairTrust, Phase, TrainingPairs
from harness.runtime.context import RunContext

pytestmark = pytest.mark.usefixtures("float64")


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


def discriminator_batch(n: int, image_views: int, text_views: int, d_image: int = 7, d_text: int = 5):
    """Views, partners (never the row itself) and mixing factors of a batch."""
    images, texts = (
        [torch.randn(n, d_image) for _ in range(image_views)],
        [torch.randn(n, d_text) for _ in range(text_views)],
    )
    partners = (torch.arange(n) + torch.randint(1, n, (4, n))) % n
    return images, texts, partners, torch.rand(4, n, d_image + d_text)


def concatenated(images, texts, partners):
    """The four combinations of right and mismatched pairs, (n, d) each; the original stands in for a missing view."""
    views = [(images[min(i, len(images) - 1)], texts[min(t, len(texts) - 1)]) for i, t in COMBINATIONS]
    reals = [torch.cat(pair, dim=1) for pair in views]
    fakes = [torch.cat([image, text[rows]], dim=1) for (image, text), rows in zip(views, partners, strict=True)]
    return reals, fakes


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize(("image_views", "text_views"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_discriminator_loss_and_gradients_equal_double_backward(n, image_views, text_views):
    """Four combinations one by one, gradient penalty by double backward, against the stacked products."""
    ours, slow, linear = discriminators(12)
    images, texts, partners, mixes = discriminator_batch(n, image_views, text_views)
    step = DiscriminatorStep(ours, 10.0, torch.float64, torch.Generator())
    fast = step(images, texts, partners, mixes[:, :, 7:])
    expected = reference.discriminator_step(slow, *concatenated(images, texts, partners), list(mixes))
    assert fast.item() == pytest.approx(expected.item(), rel=1e-10)
    for mine, theirs in zip([*ours.layers, ours.last], linear, strict=True):
        assert torch.allclose(mine.weight.grad, theirs.weight.grad, rtol=1e-10, atol=1e-12)
        assert torch.allclose(mine.bias.grad, theirs.bias.grad, rtol=1e-10, atol=1e-12)


def test_a_smaller_batch_after_a_larger_one_finds_nothing_left_over_in_the_buffers():
    ours, _, _ = discriminators(12)
    used, fresh = (DiscriminatorStep(ours, 10.0, torch.float64, torch.Generator()) for _ in range(2))
    found = []
    large, small = discriminator_batch(9, 2, 2), discriminator_batch(2, 2, 2)
    for step, batches in ((used, (large, small)), (fresh, (small,))):
        for images, texts, partners, mixes in batches:
            step(images, texts, partners, mixes[:, :, 7:])
        found.append([parameter.grad.clone() for parameter in ours.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def dropped_out(step: DiscriminatorStep, layers, rows: torch.Tensor, gates: list[torch.Tensor]) -> torch.Tensor:
    """Logits of rows under given gates' dropout, by automatic differentiation's own operations."""
    for layer, gate in zip(layers.layers, gates, strict=True):
        rows = layer(rows).relu() * gate
    return layers.last(rows)[:, 0]


def test_discriminator_step_with_dropout_equals_autograd_under_the_same_masks():
    """The masks are read from the step's buffers; equal right pairs share theirs and count twice."""
    n = 6
    images, texts, partners, mixes = discriminator_batch(n, 2, 1)
    ours, _, _ = discriminators(12, dropout=0.4)
    step = DiscriminatorStep(ours, 10.0, torch.float64, torch.Generator().manual_seed(3))
    fast = step(images, texts, partners, mixes[:, :, 7:])
    gradients = [parameter.grad.clone() for parameter in ours.parameters()]
    reals, fakes = concatenated(images, texts, partners)
    mixed = [mix * real + (1 - mix) * fake for mix, real, fake in zip(mixes, reals, fakes, strict=True)]
    rows = torch.cat([*reals[:2], *fakes, *mixed]).requires_grad_()
    # Gates hold 0 where ReLU closed the unit too; there dropout makes no difference.
    logits = dropped_out(step, ours, rows, [step.buffers[f"gates{layer}"][: len(rows)] for layer in (1, 2, 3)])
    real, fake = logits[: 2 * n].view(2, n), logits[2 * n : 6 * n].view(4, n)
    loss = 2 * torch.nn.functional.softplus(-real).mean(1).sum() + torch.nn.functional.softplus(fake).mean(1).sum()
    (slope,) = torch.autograd.grad(logits[6 * n :].sum(), rows, create_graph=True)
    loss = loss + 10 * ((slope[6 * n :].norm(dim=1) - 1) ** 2).view(4, n).mean(1).sum()
    assert fast.item() == pytest.approx(loss.item(), rel=1e-10)
    for mine, theirs in zip(gradients, torch.autograd.grad(loss, list(ours.parameters())), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_dropout_masks_drop_the_asked_share_and_keep_the_mean():
    ours, _, _ = discriminators(12, dropout=0.2)
    step = DiscriminatorStep(ours, 10.0, torch.float64, torch.Generator().manual_seed(1))
    gates = step._gates("gates1", torch.ones(400, 503))
    assert set(gates.unique().tolist()) == {0.0, 1.25}
    assert (gates == 0).double().mean().item() == pytest.approx(0.2, abs=0.005)
    assert step._gates("gates1", -torch.ones(4, 503)).sum() == 0


def test_bf16_stays_close_to_fp32_on_one_discriminator_step():
    torch.set_default_dtype(torch.float32)
    ours, _, _ = discriminators(12)
    images, texts, partners, mixes = discriminator_batch(40, 2, 2)
    gradients, losses = [], []
    for dtype in (torch.float32, torch.bfloat16):
        step = DiscriminatorStep(ours, 10.0, dtype, torch.Generator())
        views = [[view.to(dtype) for view in group] for group in (images, texts)]
        losses.append(step(*views, partners, mixes[:, :, 7:].to(dtype)))
        gradients.append([parameter.grad.clone() for parameter in ours.parameters()])
    assert losses[1].dtype == torch.float32
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)
    assert all(gradient.dtype == torch.float32 for gradient in gradients[1])
    full, half = (torch.cat([gradient.flatten() for gradient in kind]) for kind in gradients)
    assert (full - half).norm() < 0.03 * full.norm()


def test_bf16_stays_close_to_fp32_on_one_hasher_step_and_keeps_weights_and_codes_in_float32():
    torch.set_default_dtype(torch.float32)
    pairs, weight, states, losses = make_pairs(40), torch.rand(40), [], []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        hasher = make_hasher(learning_rate=0.01)
        hasher.begin(pairs, (), RunContext(6, torch.device("cpu"), precision=precision))
        hasher.begin_phase(Phase("noisy", 1), pairs, torch.arange(40))
        losses.append(hasher.step(pairs.rows(torch.arange(40)), PairTrust(weight)))
        states.append(hasher.state())
        assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in states[-1].values())
        assert hasher.encode_image(pairs.image).dtype == torch.float32
    assert losses[1].dtype == torch.float32
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)
    statistics = [key for key in states[0] if "running" in key]
    assert all(torch.allclose(states[0][key], states[1][key], rtol=0.02, atol=0.01) for key in statistics)


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
        assert (fitted._partners(batch) != torch.arange(30)[None, :]).all()
    classes = torch.arange(30) // 10
    fitted.labels = classes[:, None] == torch.arange(3)[None, :]
    seen = torch.cat([fitted._partners(batch) for _ in range(50)])
    assert (classes[seen] != classes[None, :]).all()
    assert {int(partner) for partner in seen[:, 0]} == set(range(10, 30)), "every row of another class can be drawn"


def test_a_batch_of_one_class_still_gets_mismatches():
    fitted = detector()
    fitted.labels = torch.ones(6, 1, dtype=torch.bool)
    partners = fitted._partners(make_pairs(6).rows(torch.arange(6)))
    assert (partners != torch.arange(6)[None, :]).all()
