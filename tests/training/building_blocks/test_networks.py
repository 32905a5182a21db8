"""Hash networks and what a hasher of two networks keeps."""

from __future__ import annotations

import pytest
import torch

from harness.runtime.context import RunContext
from harness.training.building_blocks.networks import TwoNetworks, hash_network, outputs_of_views

RUN = RunContext(5, torch.device("cpu"))


class Small(TwoNetworks):
    def build(self, d_image, d_text, n_bits):
        return hash_network(d_image, 6, n_bits, normalised=True), hash_network(d_text, 6, n_bits, dropout=0.5)


def test_layers_are_those_asked_for():
    names = [type(layer).__name__ for layer in hash_network(3, 4, 2, normalised=True, dropout=0.1)]
    assert names == ["Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear", "Tanh"]
    assert [type(layer).__name__ for layer in hash_network(3, 4, 2, squashed=False)] == ["Linear", "ReLU", "Linear"]


def test_restored_networks_make_the_same_codes_and_rows_do_not_depend_on_their_batch():
    made, again = Small(), Small()
    made.make_networks(7, 3, RUN)
    image, text = torch.randn(9, 7), torch.randn(9, 3)
    made.image_network(image)  # batch statistics move
    again.restore(made.state(), RUN)
    assert torch.equal(made.encode_image(image), again.encode_image(image))
    assert torch.equal(made.encode_text(text), again.encode_text(text))
    assert torch.allclose(made.encode_image(image)[3:4], made.encode_image(image[3:4]), atol=1e-6)


@pytest.mark.parametrize("two", [True, False])
def test_views_in_one_product_equal_views_on_their_own(two):
    one, other = hash_network(7, 6, 5, normalised=True), hash_network(7, 6, 5, normalised=True)
    other.load_state_dict(one.state_dict())
    first, second = torch.randn(8, 7), torch.randn(8, 7)
    together = outputs_of_views(one, [first, second] if two else [first])
    apart = (other(first), other(second if two else first))
    for mine, theirs in zip(together, apart, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)
    for key, value in other.state_dict().items():
        assert torch.allclose(one.state_dict()[key].double(), value.double(), atol=1e-6), key
