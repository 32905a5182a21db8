"""DUCH against a slow restatement of its program, in float64, and what each deviation of the program changes."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import pytest
import torch
from harness_plugins.chnr.nt_xent import NTXent
from harness_plugins.duch.discriminator import adversarial_loss, discriminator_loss, hash_discriminator
from harness_plugins.duch.hasher import DuchHasher, bit_balance, quantisation
from reference import chnr as reference
from reference.cell import REGISTRY

from harness.cells.methods import resolve_method
from harness.cells.request import MethodRequest
from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.runtime.context import RunContext

RUN = RunContext(6, torch.device("cpu"))
RELEASED = {"augmented_text": "ignore", "adversarial_codes": "text", "bit_balance": "codes"}


pytestmark = pytest.mark.usefixtures("float64")


def make_pairs(n: int = 16, views: bool = True) -> TrainingPairs:
    image, text = torch.randn(n, 7), torch.randn(n, 5)
    if not views:
        return TrainingPairs(image, text)
    return TrainingPairs(image, text, (image + 0.1 * torch.randn(n, 7),), (text + 0.1 * torch.randn(n, 5),))


def make_hasher(pairs: TrainingPairs, **changed) -> DuchHasher:
    settings = {
        "hidden": 11, "batch_size": 8, "learning_rate": 1e-3, "weight_decay": 5e-4, "discriminator_weight_decay": 1e-4,
        "inter": 1.0, "intra_image": 0.7, "intra_text": 1.3, "alpha": 0.5, "beta": 0.01, "gamma": 0.02,
        "penalty": 10.0, "step_epochs": 2, "step_factor": 0.8, "smallest_learning_rate": 1e-6,
        "augmented_text": "use", "adversarial_codes": "image", "bit_balance": "bits",
    }  # fmt: skip
    hasher = DuchHasher(objective=NTXent(temperature=1.0, epsilon=1e-6), **{**settings, **changed})
    hasher.begin(pairs, (), RUN)
    return hasher


def slow_loss(hasher, outputs, codes, weight, discriminator):
    """All terms as sums over single items and bits."""
    h_image, h_image_view, h_text, h_text_view = outputs
    mean = weight.mean().expand(len(weight))
    loss = reference.nt_xent_sum(h_image, h_text, weight)
    loss = loss + 0.7 * reference.nt_xent_sum(h_image, h_image_view, mean)
    loss = loss + 1.3 * reference.nt_xent_sum(h_text, h_text_view, mean)
    for output in (h_image, h_image_view) if hasher.adversarial_codes == "image" else (h_text, h_text_view):
        loss = loss - 0.5 * torch.log(torch.sigmoid(discriminator(output))).sum()
    for output in outputs:
        for row in range(len(codes)):
            loss = loss + 0.01 * weight[row] * ((codes[row] - output[row]) ** 2).sum()
        lines = output.T if hasher.balanced == "bits" else output
        loss = loss + 0.02 * sum(line.sum() ** 2 for line in lines)
    return loss


@pytest.mark.parametrize("changed", [{}, RELEASED])
def test_steps_equal_a_restatement_of_the_program(changed):
    """Discriminator first, then both networks against what it has just become; codes anew each epoch."""
    pairs = make_pairs()
    hasher = make_hasher(pairs, **changed)
    networks = deepcopy([hasher.image_network, hasher.text_network])
    for network in networks:
        network[2].inplace = False
    discriminator, codes = deepcopy(hasher.discriminator), hasher.codes.clone()
    weights = [p for network in networks for p in network.parameters()]
    generator = torch.optim.Adam(weights, lr=1e-3, weight_decay=5e-4)
    judge = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.9), weight_decay=1e-4)
    mixing = RUN.generator("discriminator-mix")
    text_view = pairs.text if changed else pairs.text_views[0]
    for epoch in range(3):
        stored = torch.zeros(16, 6)
        for rows in torch.arange(16).split(8):
            weight = torch.rand(8)
            outputs = [
                network(view[rows])
                for network, view in zip(
                    [networks[0], networks[0], networks[1], networks[1]],
                    [pairs.image, pairs.image_views[0], pairs.text, text_view], strict=True,
                )
            ]  # fmt: skip
            h_image, h_image_view, h_text, h_text_view = (output.detach() for output in outputs)
            mixes = [torch.rand(8, 6, generator=mixing) for _ in range(2)]
            judge.zero_grad()
            reference.discriminator_step(discriminator, [h_text, h_text_view], [h_image, h_image_view], mixes)
            judge.step()
            slow = slow_loss(hasher, outputs, codes[rows], weight, discriminator)
            fast = hasher.step(pairs.rows(rows), PairTrust(weight))
            assert fast.item() == pytest.approx(slow.item(), rel=1e-8)
            generator.zero_grad()
            slow.backward()
            generator.step()
            stored[rows] = torch.stack(outputs).mean(dim=0).detach()
        codes = stored.sign()
        hasher.end_epoch(epoch)
        for group in generator.param_groups:
            group["lr"] *= 0.8 if epoch % 2 == 0 else 1.0
        assert torch.equal(hasher.codes, codes)
    for network, found in zip(networks, (hasher.image_network, hasher.text_network), strict=True):
        for key, value in network.state_dict().items():
            assert torch.allclose(found.state_dict()[key].double(), value.double(), rtol=1e-6, atol=1e-8), key
    for expected, weight in zip(discriminator.parameters(), hasher.discriminator.parameters(), strict=True):
        assert torch.allclose(weight, expected, rtol=1e-6, atol=1e-8)


def test_losses_of_both_sides_have_the_gradients_of_finite_differences():
    network = hash_discriminator(3)
    network[2] = torch.nn.Softplus()  # smooth, so that differences are exact
    real, fake, mix = torch.randn(5, 3), torch.randn(5, 3), torch.rand(5, 3)
    weights = list(network.parameters())

    def loss(*values):
        named = dict(zip(dict(network.named_parameters()), values, strict=True))
        judge = partial(torch.func.functional_call, network, named)
        return discriminator_loss(judge, real, fake, mix, 10.0)

    assert torch.autograd.gradcheck(loss, weights)
    codes = torch.randn(5, 3, requires_grad=True)
    assert torch.autograd.gradcheck(lambda h: adversarial_loss(network, h), codes)


@pytest.mark.parametrize("changed", [{}, RELEASED])
def test_the_networks_loss_has_the_gradient_of_finite_differences(changed):
    hasher = make_hasher(make_pairs(), **changed)
    outputs = [torch.randn(4, 6).tanh().requires_grad_() for _ in range(4)]
    target, weight = torch.randn(4, 6).sign(), torch.rand(4)
    assert torch.autograd.gradcheck(lambda *h: hasher.loss(h, target, weight), outputs)


def test_balance_is_over_the_batch_or_inside_a_code():
    balanced_bits = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    assert bit_balance((balanced_bits,), "bits").item() == 0
    assert bit_balance((balanced_bits,), "codes").item() == 8
    balanced_codes = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    assert bit_balance((balanced_codes,), "bits").item() == 8
    assert bit_balance((balanced_codes,), "codes").item() == 0


def test_the_code_of_a_pair_without_trust_pulls_nothing():
    target, output = torch.ones(3, 4), torch.randn(3, 4)
    part = quantisation(target[1:], (output[1:],), torch.ones(2))
    assert quantisation(target, (output,), torch.tensor([0.0, 1.0, 1.0])).item() == pytest.approx(part.item())


@pytest.mark.parametrize("side", ["image", "text"])
def test_the_adversarial_loss_pushes_the_codes_of_one_modality(side):
    hasher = make_hasher(make_pairs(), inter=0.0, intra_image=0.0, intra_text=0.0, beta=0.0, gamma=0.0,
                         adversarial_codes=side)  # fmt: skip
    outputs = [torch.randn(8, 6).tanh().requires_grad_() for _ in range(4)]
    hasher.loss(outputs, torch.zeros(8, 6), torch.ones(8)).backward()
    moved = [bool(output.grad is not None and output.grad.abs().sum() > 0) for output in outputs]
    assert moved == [side == "image", side == "image", side == "text", side == "text"]


def test_an_item_without_an_augmented_view_is_its_own():
    pairs = make_pairs(views=False)
    doubled = TrainingPairs(pairs.image, pairs.text, (pairs.image,), (pairs.text,))
    one, other = make_hasher(pairs), make_hasher(doubled)
    for name in ("image_network", "text_network", "discriminator"):
        getattr(other, name).load_state_dict(getattr(one, name).state_dict())
    rows, ones = torch.arange(8), PairTrust(torch.ones(8))
    losses = [hasher.step(each.rows(rows), ones).item() for hasher, each in ((one, pairs), (other, doubled))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_losses_of_pairs_sum_to_the_objective_between_the_modalities():
    pairs = make_pairs(8)
    hasher = make_hasher(pairs, inter=0.5)
    losses = hasher.pair_losses(pairs.rows(torch.arange(8)))
    image, text = hasher.encode_image(pairs.image), hasher.encode_text(pairs.text)
    whole = hasher.objective(image, text, PairTrust(torch.ones(8))).sum()
    assert losses.shape == (8,)
    assert losses.sum().item() == pytest.approx(0.5 * whole.item())


def test_pairs_that_no_phase_has_trained_on_keep_a_code():
    pairs = make_pairs()
    hasher = make_hasher(pairs)
    before = hasher.codes.clone()
    hasher.step(pairs.rows(torch.arange(8)), PairTrust(torch.ones(8)))
    hasher.end_epoch(0)
    assert torch.equal(hasher.codes[8:], before[8:])
    assert not torch.equal(hasher.codes[:8], before[:8])


def test_released_is_the_three_deviations():
    released = resolve_method(REGISTRY, MethodRequest("duch", preset="released")).parameters
    described = resolve_method(REGISTRY, MethodRequest("duch")).parameters
    assert {key for key in described if described[key] != released[key]} == {f"hasher.{name}" for name in RELEASED}
