"""Networks whose tanh grows steeper."""

from __future__ import annotations

import math

import pytest
import torch

from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.runtime.context import RunContext
from harness.training.building_blocks.annealed import AnnealedNetworks, UnitLength


class Recording(AnnealedNetworks):
    """Keeps the outputs that it is asked to judge."""

    def loss(self, h_image, h_text, batch, weight):
        self.seen = (h_image.detach(), h_text.detach())
        return (weight * (h_image - h_text).square().mean(dim=1)).sum()

    def shares(self, h_image, h_text, batch):
        return (h_image - h_text).square().mean(dim=1)


def made(**changed) -> tuple[Recording, TrainingPairs]:
    settings = {"hidden": 6, "batch_size": 4, "image_learning_rate": 0.1, "text_learning_rate": 0.1, "momentum": 0.9,
                "weight_decay": 0.0}  # fmt: skip
    torch.manual_seed(0)
    pairs = TrainingPairs(torch.randn(8, 5), torch.randn(8, 3))
    hasher = Recording(**{**settings, **changed})
    hasher.begin(pairs, (), RunContext(4, torch.device("cpu")))
    return hasher, pairs


def step(hasher, pairs):
    return hasher.step(pairs.rows(torch.arange(8)), PairTrust(torch.ones(8)))


def test_slope_is_the_root_of_the_epochs_and_starts_anew_with_the_networks():
    hasher, pairs = made()
    slopes = [hasher.slope]
    for epoch in range(3):
        hasher.end_epoch(epoch)
        slopes.append(hasher.slope)
    assert slopes == pytest.approx([1, math.sqrt(2), math.sqrt(3), 2])
    hasher.begin(pairs, (), RunContext(4, torch.device("cpu")))
    hasher.end_epoch(17)  # of all phases together
    assert hasher.slope == pytest.approx(math.sqrt(2))


def test_outputs_saturate_with_the_slope_and_codes_stay():
    hasher, pairs = made(image_learning_rate=1e-9, text_learning_rate=1e-9)
    step(hasher, pairs)
    before = hasher.seen[0]
    hasher.epochs_done = 99
    step(hasher, pairs)
    assert torch.allclose(hasher.seen[0], (10 * torch.atanh(before)).tanh(), atol=1e-5)


def test_each_modality_has_its_own_step_size():
    hasher, pairs = made(text_learning_rate=1e-30)
    before = [[p.clone() for p in network.parameters()] for network in (hasher.image_network, hasher.text_network)]
    step(hasher, pairs)
    moved = [
        any(not torch.allclose(old, new) for old, new in zip(olds, network.parameters(), strict=True))
        for olds, network in zip(before, (hasher.image_network, hasher.text_network), strict=True)
    ]
    assert moved == [True, False]


def test_scale_of_features_does_not_count_and_a_row_of_zeros_is_no_number_trouble():
    hasher, pairs = made()
    assert torch.allclose(hasher.encode_image(3 * pairs.image), hasher.encode_image(pairs.image), atol=1e-6)
    assert torch.equal(UnitLength()(torch.zeros(2, 3)), torch.zeros(2, 3))
    assert torch.isfinite(hasher.encode_image(torch.zeros(2, 5))).all()


def test_losses_of_pairs_can_be_differentiated():
    hasher, pairs = made()
    hasher.pair_losses(pairs.rows(torch.arange(8))).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in hasher.network_parameters())
