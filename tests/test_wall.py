"""The wall: a method never sees labels, noise mask, queries or database while it trains.

In one process nothing is impossible in Python, so the proof is metamorphic: change what a method must not see, and its
codes on given inputs must stay equal bit by bit. Every registered method is tested, in every preset.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import feature_arrays
from reference.cell import REGISTRY, cell_data, fit, probe_codes, small_method, with_plan

from harness.cells.compatibility import granted_beyond_the_wall
from harness.data.assemble import training_pairs
from harness.plugin.interfaces import GRANTED_TO_METHODS, NOTHING, Need

D_IMAGE, D_TEXT = 24, 20
CASES = [
    (name, preset)
    for name in REGISTRY.names("method")
    for preset in ("described", *REGISTRY.get("method", name).recipe.presets)
] + [("oracle on duch-noisy", "described")]


def method_of(case):
    name, preset = case
    if name == "oracle on duch-noisy":
        return small_method("duch-noisy", detector="oracle")
    return small_method(name, preset=preset)


WITHOUT_CHANCE = {"cvh", "imh"}
"""Methods that draw nothing, as long as there are no more bits than directions."""


def d_text(case) -> int:
    """Width of the captions: that of the images for a method that wants one space for both."""
    return D_IMAGE if Need.SHARED_SPACE in method_of(case).needs else D_TEXT


def with_split(case) -> dict[str, np.ndarray]:
    """Features with everything fixed that a label could move: split and caption choice."""
    arrays = feature_arrays(n=100, d_image=D_IMAGE, d_text=d_text(case))
    arrays["split"] = np.array([0, 0, 1, 2, 2] * 20)
    arrays["caption_choice"] = np.arange(100) * 2
    return arrays


def codes_and_trust(case, data):
    fitted = fit(method_of(case), data)
    return probe_codes(fitted, D_IMAGE, d_text(case)), fitted.trust.weight


def assert_equal(before, after):
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_permuted_labels_leave_codes_equal(case):
    if Need.CLASS_LABELS in granted_beyond_the_wall(method_of(case)):
        pytest.skip("declares that it needs class labels; the record says so")
    arrays = with_split(case)
    before = codes_and_trust(case, cell_data(arrays))
    arrays["labels"] = np.random.default_rng(1).permutation(arrays["labels"])
    assert_equal(before, codes_and_trust(case, cell_data(arrays)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_other_queries_and_another_database_leave_codes_equal(case):
    arrays = with_split(case)
    before = codes_and_trust(case, cell_data(arrays))
    outside = arrays["split"] != 0
    random = np.random.default_rng(2)
    for name in ("image", "image_aug"):
        arrays[name][outside] = 50 * random.normal(size=arrays[name][outside].shape)
    outside_captions = outside[arrays["caption_image"]]
    for name in ("text", "text_aug"):
        arrays[name][outside_captions] = 50 * random.normal(size=arrays[name][outside_captions].shape)
    assert_equal(before, codes_and_trust(case, cell_data(arrays)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_false_noise_mask_leaves_codes_equal(case):
    data = cell_data(with_split(case))
    before = codes_and_trust(case, data)
    after = codes_and_trust(case, with_plan(data, wrong=~data.plan.wrong))
    if Need.NOISE_MASK in granted_beyond_the_wall(method_of(case)):
        assert not torch.equal(before[1], after[1]), "an oracle must feel it, or the test proves nothing"
    else:
        assert_equal(before, after)


def test_the_test_can_fail_a_method_that_is_granted_labels_feels_them():
    case = ("chnr", "released")
    arrays = with_split(case)
    before = codes_and_trust(case, cell_data(arrays))
    arrays["labels"] = np.random.default_rng(1).permutation(arrays["labels"])
    after = codes_and_trust(case, cell_data(arrays))
    assert not torch.equal(before[1], after[1])


def test_nothing_is_granted_that_was_not_declared():
    data = cell_data(with_split(("chnr", "described")))
    assert dict(training_pairs(data, torch.device("cpu"), NOTHING).granted) == {}
    everything = training_pairs(data, torch.device("cpu"), GRANTED_TO_METHODS).granted
    assert set(everything) == {Need.CLASS_LABELS, Need.NOISE_MASK, Need.SOURCE_ORDER}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_item_has_the_same_code_in_any_batch(case):
    fitted = fit(method_of(case), cell_data(with_split(case)))
    random = torch.Generator().manual_seed(3)
    for encode, d in ((fitted.hasher.encode_image, D_IMAGE), (fitted.hasher.encode_text, d_text(case))):
        items = torch.randn(33, d, generator=random)
        with torch.no_grad():
            together = encode(items)
            alone = torch.cat([encode(items[row : row + 1]) for row in range(33)])
            reversed_order = encode(items.flip(0)).flip(0)
        # Matrix products of other shapes may differ in the last digit; a bit may differ only where the output is that
        # close to 0.
        for other in (alone, reversed_order):
            assert torch.allclose(together, other, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_seed_decides_everything(case):
    data = cell_data(with_split(case))
    method = method_of(case)
    first, again, other = (probe_codes(fit(method, data, seed=seed), D_IMAGE, d_text(case)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (case[0] in WITHOUT_CHANCE)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_training_leaves_the_global_random_generators_alone(case):
    import random

    data = cell_data(with_split(case))
    method = method_of(case)
    states = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # noqa: NPY002
    fit(method, data)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002
    assert states[2] == random.getstate()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_saved_hasher_makes_the_same_codes(case):
    from harness.execution.runner import make_hasher
    from harness.runtime.context import RunContext

    method = method_of(case)
    fitted = fit(method, cell_data(with_split(case)))
    restored = make_hasher(method)
    restored.restore(
        {name: tensor.clone() for name, tensor in fitted.hasher.state().items()}, RunContext(16, torch.device("cpu"))
    )
    before = probe_codes(fitted, D_IMAGE, d_text(case))
    fitted.hasher = restored
    assert torch.equal(before, probe_codes(fitted, D_IMAGE, d_text(case)))
