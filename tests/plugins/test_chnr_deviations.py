"""What the published CHNR program does otherwise than described:
each deviation is one parameter that changes the codes.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import feature_arrays
from reference.cell import cell_data, fit, probe_codes, small_method

from harness.plugin.interfaces import Need

DEVIATIONS = {
    "B1, B2 in the detector": "detector.augmented_text=ignore",
    "B1, B2 in the hasher": "hasher.augmented_text=ignore",
    "B6": "detector.mismatches=other-class",
    "B6 with B3": "detector.mismatches=other-class-misread",
    "B7": "detector.dropout_in_weights=true",
    "B8": "hasher.code_buffer=positions",
}
MENDED = {"detector.augmented_text": "use", "hasher.augmented_text": "use", "detector.mismatches": "any",
          "detector.dropout_in_weights": "false", "hasher.code_buffer": "rows"}  # fmt: skip
QUICKER = {"hasher.learning_rate": "0.003", "detector.learning_rate": "0.003", "hasher.beta": "0.05"}
"""Steps large enough that a small difference shows in the bits of a short training."""


def arrays():
    found = feature_arrays(n=120)
    order = np.random.default_rng(5).permutation(
        120
    )  # not sorted by class, so that misread labels differ from right ones
    for name in ("image", "image_aug", "labels"):
        found[name] = found[name][order]
    found["caption_image"] = np.argsort(order)[found["caption_image"]]
    return found


@pytest.fixture(scope="module")
def data():
    return cell_data(arrays())


def codes(data, preset="described", **settings):
    method = small_method("chnr", epochs=12, preset=preset, settings={**QUICKER, **settings})
    return probe_codes(fit(method, data), 24, 20)


@pytest.fixture(scope="module")
def described(data):
    return codes(data)


@pytest.fixture(scope="module")
def released(data):
    return codes(data, "released")


@pytest.mark.parametrize("deviation", DEVIATIONS.values(), ids=DEVIATIONS)
def test_each_deviation_switched_on_alone_changes_the_codes(data, described, deviation):
    key, _, value = deviation.partition("=")
    assert not torch.equal(described, codes(data, **{key: value}))


@pytest.mark.parametrize(("key", "value"), MENDED.items())
def test_each_deviation_mended_alone_changes_the_released_codes(data, released, key, value):
    assert not torch.equal(released, codes(data, "released", **{key: value}))


def test_misread_labels_change_the_codes_beyond_reading_labels(data):
    right = codes(data, **{"detector.mismatches": "other-class"})
    misread = codes(data, **{"detector.mismatches": "other-class-misread"})
    assert not torch.equal(right, misread)


def test_the_released_preset_is_all_deviations_together(data, released):
    settings = dict(deviation.split("=") for deviation in DEVIATIONS.values())
    assert torch.equal(released, codes(data, **settings))


def test_released_declares_labels_and_order_and_described_declares_neither():
    assert {Need.CLASS_LABELS, Need.SOURCE_ORDER} <= set(small_method("chnr", preset="released").needs)
    assert not small_method("chnr").needs & (Need.CLASS_LABELS | Need.SOURCE_ORDER)


def test_without_a_caption_view_using_and_ignoring_it_are_the_same():
    found = arrays()
    del found["text_aug"]
    data = cell_data(found)
    assert torch.equal(
        codes(data), codes(data, **{"hasher.augmented_text": "ignore", "detector.augmented_text": "ignore"})
    )


def test_the_released_protocol_shows_trusted_pairs_right_in_the_trusted_phase_only():
    """With more than 20 % trusted, some trusted pairs are wrong in the second phase of the program (B4)."""
    data = cell_data(arrays(), protocol="chnr-released", noise=0.9, trusted=0.5)
    both = data.plan.trusted & data.plan.wrong
    assert both.any()
    from harness.data.assemble import training_pairs
    from harness.plugin.interfaces import NOTHING

    pairs = training_pairs(data, torch.device("cpu"), NOTHING)
    differs = (pairs.text != pairs.as_trusted().text).any(dim=1)
    assert set(data.order[differs.numpy()]) == set(np.flatnonzero(both))
