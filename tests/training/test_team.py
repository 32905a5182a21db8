"""What detectors say is checked, and hashers that cannot weigh pairs get a selection."""

from __future__ import annotations

import pytest
import torch

from harness.cells.methods import ResolvedMethod
from harness.errors import HarnessError
from harness.execution.runner import fit_method
from harness.plugin.declarations import Component, HasherDeclaration
from harness.plugin.interfaces import NOTHING, Need, PairTrust, TrainingPairs
from harness.runtime.context import RunContext
from harness.training.team import outside, refuse_outside, trust_of_shape, weight_of_shape

N = 6
RUN = RunContext(4, torch.device("cpu"))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16, torch.bool, torch.int64])
def test_weights_of_any_type_become_float32(kind):
    weight = weight_of_shape(torch.ones(N).to(kind), N, "mine")
    assert weight.dtype == torch.float32
    assert weight.tolist() == [1.0] * N


def test_weights_and_targets_lose_their_gradient():
    leaf = torch.full((N,), 0.5, requires_grad=True)
    trust = trust_of_shape(PairTrust(leaf * 1, leaf * 2), N, "mine")
    assert not trust.weight.requires_grad
    assert not trust.target.requires_grad
    assert trust.target.tolist() == [1.0] * N


def test_a_bare_tensor_serves_as_trust():
    trust = trust_of_shape(torch.zeros(N), N, "mine")
    assert trust.weight.tolist() == [0.0] * N
    assert trust.target is None


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (PairTrust(torch.ones(N - 1)), "detector 'mine': weight must have shape (6,); it has (5,)."),
        (PairTrust(torch.ones(N, 1)), "detector 'mine': weight must have shape (6,); it has (6, 1)."),
        (PairTrust(torch.tensor(1.0)), "detector 'mine': weight must have shape (6,); it has ()."),
        (PairTrust([1.0] * N), "detector 'mine': weight must be a torch tensor of shape (6,), not list."),
        (None, "detector 'mine': weight must be a torch tensor of shape (6,), not NoneType."),
        (PairTrust(torch.ones(N), torch.ones(2)), "detector 'mine': target must have shape (6,); it has (2,)."),
    ],
)
def test_wrong_shapes_and_types_are_told_in_one_sentence(said, message):
    with pytest.raises(HarnessError) as caught:
        trust_of_shape(said, N, "mine")
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [-1e-6, 1.000001, 50.0, float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["weight", "target"])
def test_one_value_outside_the_interval_is_found_wherever_it_is(value, where):
    fine, spoilt = torch.tensor([0.0, 1.0, 0.5]), torch.tensor([0.0, value, 1.0])
    trust = PairTrust(spoilt, fine) if where == "weight" else PairTrust(fine, spoilt)
    assert bool(outside(trust))
    with pytest.raises(HarnessError, match="detector 'mine' gave weights outside"):
        refuse_outside(outside(trust), "mine")


def test_the_ends_of_the_interval_are_allowed():
    ends = torch.tensor([0.0, 1.0])
    assert not outside(PairTrust(ends))
    assert not outside(PairTrust(ends, ends))
    refuse_outside(outside(PairTrust(ends)), "mine")


def test_target_stands_in_for_the_weight_and_the_reverse():
    weight, target = torch.tensor([0.2, 0.4]), torch.tensor([0.6, 0.8])
    assert PairTrust(weight).soft_target() is weight
    assert PairTrust(weight, target).soft_target() is target
    assert PairTrust(weight, target).at(torch.tensor([1])).target.tolist() == pytest.approx([0.8])
    assert PairTrust(weight).at(torch.tensor([1, 0])).target is None


# -- hashers fitted in one step


class Keeps:
    """A closed form that keeps what it was given."""

    def fit(self, pairs, trust, run):
        self.pairs, self.trust = pairs, trust

    def encode_image(self, image):
        return image

    encode_text = encode_image


def fitted(weight, uses_weights, target=None):
    class Says:
        def fit(self, pairs, run):
            return PairTrust(torch.tensor(weight), None if target is None else torch.tensor(target))

    hasher = HasherDeclaration("hasher", "keeps", target=Keeps, uses_weights=uses_weights)
    detector = Component("detector", "says", target=Says)
    components = {"hasher": hasher, "detector": detector}
    method = ResolvedMethod("m", "m", "described", components, {}, (), 1, NOTHING)
    number = torch.arange(N, dtype=torch.float32)[:, None]
    pairs = TrainingPairs(
        image=number,
        text=number + 10,
        image_views=(number + 20,),
        text_views=(number + 30, number + 40),
        trusted=torch.arange(N) < 2,
        granted={Need.CLASS_LABELS: torch.arange(N) + 50},
        trusted_text=number + 60,
        trusted_text_views=(number + 70, number + 80),
    )
    return fit_method(method, pairs, RUN)


WEIGHTS = [0.0, 0.5, 0.500001, 0.9, 1.0, 0.2]


def test_hasher_that_cannot_weigh_gets_the_pairs_above_one_half_in_every_array():
    found = fitted(WEIGHTS, uses_weights=False, target=[0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    pairs, trust = found.hasher.pairs, found.hasher.trust
    kept = [2.0, 3.0, 4.0]
    assert pairs.image[:, 0].tolist() == kept
    texts = (pairs.text, *pairs.text_views, pairs.trusted_text, *pairs.trusted_text_views)
    for array, offset in zip((*texts, *pairs.image_views), (10, 30, 40, 60, 70, 80, 20), strict=True):
        assert array[:, 0].tolist() == [row + offset for row in kept]
    assert pairs.granted[Need.CLASS_LABELS].tolist() == [52, 53, 54]
    assert pairs.trusted.tolist() == [False] * 3
    assert trust.weight.tolist() == pytest.approx([0.500001, 0.9, 1.0])
    assert trust.target.tolist() == pytest.approx([0.2, 0.3, 0.4])
    (note,) = found.notes
    assert note == "hasher keeps cannot weigh pairs: it was fitted on the 3 of 6 pairs with a weight above 0.5"
    assert found.trust.weight.tolist() == pytest.approx(WEIGHTS), "the record keeps the trust in all pairs"


def test_hasher_that_weighs_gets_all_pairs_with_their_weights():
    found = fitted(WEIGHTS, uses_weights=True)
    assert len(found.hasher.pairs) == N
    assert found.hasher.trust.weight.tolist() == pytest.approx(WEIGHTS)
    assert found.notes == []


def test_hasher_that_cannot_weigh_gets_everything_where_everything_is_above_one_half():
    found = fitted([0.6, 0.7, 0.8, 0.9, 1.0, 0.51], uses_weights=False)
    assert len(found.hasher.pairs) == N
    assert found.notes == []


def test_nothing_above_one_half_is_an_error_for_a_hasher_that_cannot_weigh():
    with pytest.raises(HarnessError) as caught:
        fitted([0.5] * N, uses_weights=False)
    assert str(caught.value) == "hasher 'keeps' cannot weigh pairs, and no pair has a weight above 0.5."
    assert len(fitted([0.0] * N, uses_weights=True).hasher.pairs) == N


def test_trust_of_fit_is_checked_before_the_hasher_sees_it():
    with pytest.raises(HarnessError, match="detector 'says' gave weights outside"):
        fitted([2.0] * N, uses_weights=True)
    with pytest.raises(HarnessError, match=r"detector 'says': weight must have shape \(6,\)"):
        fitted([1.0] * 3, uses_weights=True)
