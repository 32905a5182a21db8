"""Noise within classes, in words, and mixed: rates, nesting, seeds, what a plan keeps, and who is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from harness_plugins.caption_noise import edit_words

from harness.data.splits import trusted_order, trusted_subset
from harness.data.table import one_hot
from harness.errors import HarnessError
from harness.noise.plan import NoisePlan, draw_plan, read_plan
from harness.plugin.loading import load_registry

N = 120
LABELS = one_hot(np.arange(N) % 6)
CAPTIONS = [f"picture {i} of a green field beside road number {i % 7}" for i in range(N)]


@pytest.fixture(scope="module")
def registry():
    return load_registry(environment={})


def draw(registry, protocol: str, rate: float, *, data_seed: int = 0, labels=LABELS, captions=CAPTIONS) -> NoisePlan:
    order = trusted_order(N, data_seed)
    return draw_plan(
        registry.get("protocol", protocol), rate, image=np.arange(N), own_caption=np.arange(N),
        trusted=trusted_subset(order, 0.2), trusted_first_order=order, labels=labels, given_wrong=None,
        data_seed=data_seed, data_fingerprint="f", captions=captions,
    )  # fmt: skip


@pytest.mark.parametrize("protocol", ["within-class", "word", "mixed"])
def test_rate_is_exact_masks_are_nested_and_trusted_pairs_stay_right(registry, protocol):
    before, before_mask = None, np.zeros(N, dtype=bool)
    for rate in (0.0, 0.1, 0.4, 0.9):
        plan = draw(registry, protocol, rate)
        assert plan.wrong.sum() == round(rate * 96)
        assert not (plan.wrong & plan.trusted).any()
        assert (plan.wrong >= before_mask).all()
        if before is not None:  # what a wrong pair got, it keeps
            np.testing.assert_array_equal(plan.caption[before_mask], before.caption[before_mask])
            if before.replaced is not None:
                np.testing.assert_array_equal(plan.replaced[before_mask], before.replaced[before_mask])
        before, before_mask = plan, plan.wrong
    assert draw(registry, protocol, 0.4).fingerprint == draw(registry, protocol, 0.4).fingerprint
    assert draw(registry, protocol, 0.4).fingerprint != draw(registry, protocol, 0.4, data_seed=1).fingerprint


def test_within_class_gives_captions_of_other_images_of_the_own_class(registry):
    plan = draw(registry, "within-class", 0.5)
    assert (LABELS[plan.caption] & LABELS).any(axis=1).all()
    assert (plan.caption != plan.own_caption).sum() == plan.wrong.sum()
    lonely = one_hot(np.arange(N))
    with pytest.raises(HarnessError, match="48 wrong pairs are asked for, and 0"):
        draw(registry, "within-class", 0.5, labels=lonely)
    with pytest.raises(HarnessError, match="needs class labels"):
        draw(registry, "within-class", 0.5, labels=None)


def test_word_noise_changes_the_text_of_the_own_caption_and_only_that(registry):
    plan = draw(registry, "word", 0.5)
    np.testing.assert_array_equal(plan.caption, plan.own_caption)
    np.testing.assert_array_equal(plan.replaced != "", plan.wrong)
    vocabulary = {word for caption in CAPTIONS for word in caption.split()}
    for row in np.flatnonzero(plan.wrong):
        assert plan.replaced[row] != CAPTIONS[row]
        assert set(plan.replaced[row].split()) <= vocabulary
    assert not plan.is_natural
    with pytest.raises(HarnessError, match="none as text"):
        draw(registry, "word", 0.5, captions=None)


def test_mixed_noise_is_half_any_a_quarter_hard_a_quarter_words(registry):
    plan = draw(registry, "mixed", 0.5)
    edited = plan.replaced != ""
    moved = plan.caption != plan.own_caption
    assert (edited.sum(), moved.sum()) == (12, 36)
    assert not (edited & moved).any()
    same = (LABELS[plan.caption] & LABELS).any(axis=1) & moved
    assert 12 <= same.sum() <= 24


def test_words_are_dropped_swapped_and_replaced():
    words = ["red", "blue"]
    results = [edit_words("one two three four", words, seed).split() for seed in range(200)]
    assert all(result and result != ["one", "two", "three", "four"] for result in results)
    assert any(len(result) < 4 for result in results)
    assert any(sorted(result) == ["four", "one", "three", "two"] for result in results)
    assert any(set(result) & set(words) for result in results)
    assert edit_words("one two", words, 3) == edit_words("one two", words, 3)


def test_a_caption_of_one_word_gets_another_and_the_only_word_there_is_cannot():
    assert edit_words("field", ["field", "road"], 0) in ("road",)
    with pytest.raises(HarnessError, match="cannot be changed"):
        edit_words("field", ["field"], 0)


def test_word_noise_goes_through_the_text_backbone_and_its_plan_can_be_run_again(harness, tmp_path):
    arguments = ("--method", "cca-itq", "--limit", 120, "--protocol", "word", "--noise", 0.5, "--bits", 8)
    first = harness("run", *arguments, "--json")
    assert first.code == 0, first.err
    record = json.loads(first.out)[0]
    assert record["metrics"]["i2t"]["map"] is not None
    noise = record["metrics"]["noise"]
    assert noise["realised_index"] == noise["realised_text"] == pytest.approx(0.5, abs=0.03)
    assert noise["realised_class"] == 0
    (arrays,) = (tmp_path / "results").rglob("arrays.npz")
    plan = read_plan(arrays)
    assert (plan.replaced != "").sum() == plan.wrong.sum()
    again = harness("run", "--method", "cca-itq", "--limit", 120, "--noise-plan", arrays, "--bits", 8, "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)[0]["metrics"]["i2t"] == record["metrics"]["i2t"]
    exported = tmp_path / "cell.npz"
    made = harness("data", "export", "--cell", "dataset=toy,protocol=word,noise=0.5,limit=120", "-o", exported)
    assert made.code == 0, made.err
    ready = harness(
        "run", "--method", "cca-itq", "--features", exported, "--noise-plan", exported, "--bits", 8, "--json"
    )
    assert ready.code == 0, ready.err
    assert json.loads(ready.out)[0]["metrics"]["i2t"] == record["metrics"]["i2t"]
    clean = harness("run", "--method", "cca-itq", "--limit", 120, "--noise", 0, "--bits", 8, "--json")
    assert json.loads(clean.out)[0]["metrics"]["i2t"] != record["metrics"]["i2t"]


@pytest.mark.parametrize("protocol", ["word", "mixed"])
def test_ready_features_are_refused_before_anything_is_computed(harness, features, tmp_path, protocol):
    result = harness("run", "--method", "cca-itq", "--features", features(), "--protocol", protocol, "--noise", 0.2)
    assert result.code == 2
    assert "changes words of captions, and --features has their features only" in result.err
    assert not (tmp_path / "results").exists()
