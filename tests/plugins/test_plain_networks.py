"""``mlp-ntxent``: the program's networks and loss restated, weights, and that any objective can be chosen."""

from __future__ import annotations

import copy

import pytest
import torch
from harness_plugins.chnr.nt_xent import NTXent
from harness_plugins.contrastive_hashing.plain_networks import PlainNetworks
from torch.nn import functional as F

from harness.cells.methods import resolve_method
from harness.cells.request import MethodRequest
from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.plugin.loading import load_registry
from harness.runtime.context import RunContext

CPU = torch.device("cpu")


def some_pairs(n: int = 20) -> TrainingPairs:
    random = torch.Generator().manual_seed(0)
    image, text = 3 * torch.randn(n, 11, generator=random), torch.randn(n, 9, generator=random)
    return TrainingPairs(image, text, trusted=torch.zeros(n, dtype=torch.bool))


def make(pairs: TrainingPairs, dropout: float = 0.0) -> PlainNetworks:
    objective = NTXent(temperature=0.5, epsilon=0.0)
    hasher = PlainNetworks(objective=objective, hidden=16, dropout=dropout, batch_size=8, learning_rate=1e-2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hasher.begin(pairs, (), RunContext(6, CPU))
    return hasher


def outputs_of_program(first, last, x):
    """UCMFH's ``ImageMlp`` without dropout."""
    x = x / x.norm(dim=1, keepdim=True)
    out = torch.tanh(last(F.relu(first(x))))
    return out / out.norm(dim=1, keepdim=True)


def loss_of_program(z_i, z_j):
    """UCMFH's ``ContrastiveLoss``, pair by pair: a mean over 2n anchors."""
    z = torch.cat([z_i, z_j])
    n, total = len(z_i), 0.0
    for a in range(2 * n):
        similar = torch.stack([F.cosine_similarity(z[a], z[j], dim=0) for j in range(2 * n)]) / 0.5
        others = sum(similar[j].exp() for j in range(2 * n) if j != a)
        total = total - torch.log(similar[(a + n) % (2 * n)].exp() / others)
    return total / (2 * n)


def test_it_trains_step_by_step_as_the_programs_hash_networks():
    pairs = some_pairs()
    hasher = make(pairs)
    layers = [
        copy.deepcopy(module)
        for network in (hasher.image_network, hasher.text_network)
        for module in network.modules()
        if isinstance(module, torch.nn.Linear)
    ]
    parameters = [p for layer in layers for p in layer.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-2, betas=(0.5, 0.999))
    for step in range(4):
        rows = torch.randperm(20, generator=torch.Generator().manual_seed(step))[:8]
        found = hasher.step(pairs.rows(rows), PairTrust(torch.ones(8)))
        z_image = outputs_of_program(layers[0], layers[1], pairs.image[rows])
        z_text = outputs_of_program(layers[2], layers[3], pairs.text[rows])
        loss = loss_of_program(z_image, z_text)
        torch.testing.assert_close(found, 2 * loss.detach(), rtol=1e-5, atol=1e-6)  # two anchors in a pair
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    for ours, theirs in zip(hasher.network_parameters(), parameters, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_a_pair_of_weight_nought_adds_nothing_and_the_mean_of_the_pair_losses_is_the_loss():
    pairs = some_pairs()
    hasher = make(pairs)
    batch = pairs.rows(torch.arange(8))
    shares = hasher.pair_losses(batch)
    weight = torch.tensor([1, 0, 0.5, 1, 1, 0, 1, 0.2])
    expected = (weight * shares).mean()
    torch.testing.assert_close(hasher.step(batch, PairTrust(weight)), expected)


def test_dropout_acts_in_training_only():
    pairs = some_pairs()
    hasher = make(pairs, dropout=0.5)
    batch = pairs.rows(torch.arange(8))
    plain = hasher.pair_losses(batch).mean()
    assert not torch.isclose(hasher.step(batch, PairTrust(torch.ones(8))), plain)
    assert torch.equal(hasher.encode_image(pairs.image), hasher.encode_image(pairs.image))


def test_outputs_have_length_1_whatever_the_length_of_the_features():
    pairs = some_pairs()
    hasher = make(pairs)
    outputs = hasher.encode_image(pairs.image)
    torch.testing.assert_close(outputs.norm(dim=1), torch.ones(20))
    torch.testing.assert_close(hasher.encode_image(7 * pairs.image), outputs)


@pytest.mark.parametrize("objective", ["nt-xent", "active-complementary", "gce"])
def test_the_objective_can_be_chosen_and_its_own_temperature_stays(objective):
    request = MethodRequest("mlp-ntxent", objective=None if objective == "nt-xent" else objective)
    method = resolve_method(load_registry(environment={}), request)
    assert method.components["objective"].name == objective
    assert (method.parameters.get("objective.temperature") == 0.5) == (objective == "nt-xent")
