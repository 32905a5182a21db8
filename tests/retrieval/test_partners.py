"""Relevance by instance against a plain definition, and the recalls of caption retrieval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.plugin.loading import load_registry
from harness.retrieval.codes import CodeTable
from harness.retrieval.evaluate import evaluate
from harness.retrieval.partners import partner_histogram, partners


def plain_pairs(caption_image, captions):
    """Image and caption belong together if the image has a caption of those words."""
    words = [
        {captions[c] for c in range(len(captions)) if caption_image[c] == i} for i in range(max(caption_image) + 1)
    ]
    return {(i, c) for i in range(len(words)) for c in range(len(captions)) if captions[c] in words[i]}


@given(data=st.data())
@settings(derandomize=True, database=None, deadline=None, max_examples=60)
def test_an_item_s_partners_are_its_own_and_everything_with_the_same_words(data):
    images = data.draw(st.integers(1, 6))
    caption_image = list(range(images)) + data.draw(st.lists(st.integers(0, images - 1), max_size=12))
    captions = [data.draw(st.sampled_from("abcd")) for _ in caption_image]
    found = partners(np.array(caption_image), captions)
    assert sorted(zip(*found["i2t"].tolist(), strict=True)) == sorted(plain_pairs(caption_image, captions))
    np.testing.assert_array_equal(found["t2i"], found["i2t"][::-1])


def test_without_strings_each_caption_is_one_of_a_kind():
    assert partners(np.array([1, 0, 1]), None)["i2t"].tolist() == [[0, 1, 1], [1, 0, 2]]


@pytest.mark.parametrize("n_bits", [5, 16, 64, 72])
def test_histograms_count_what_a_loop_counts(n_bits):
    random = np.random.default_rng(n_bits)
    bits = random.integers(0, 2, (12, n_bits)).astype(bool)
    codes = np.packbits(bits, axis=1, bitorder="little")
    queries, items = codes[:5], codes[5:]
    pairs = np.array([[0, 0, 2, 4], [1, 6, 0, 3]])
    found = partner_histogram(queries, items, pairs, n_bits)
    wanted = np.zeros((2, 5, n_bits + 1), dtype=int)
    for query in range(5):
        for item in range(7):
            distance = int((bits[query] != bits[5 + item]).sum())
            wanted[0, query, distance] += 1
            wanted[1, query, distance] += (query, item) in {(0, 1), (0, 6), (2, 0), (4, 3)}
    np.testing.assert_array_equal(found.items, wanted[0])
    np.testing.assert_array_equal(found.relevant, wanted[1])


def test_recall_at_k_of_caption_retrieval_is_hit_at_k():
    """Three images with two captions each; the codes say which caption is nearest to which image."""
    image = np.array([[0b0000], [0b1111], [0b110000]], dtype=np.uint8)
    text = np.array([[0b0001], [0b0011], [0b0001], [0b1111111], [0b110001], [0b1010000]], dtype=np.uint8)
    pairs = partners(np.array([0, 0, 1, 1, 2, 2]), list("abcdef"))
    table = CodeTable(
        7, {"image": image, "text": text}, {"image": image, "text": text}, np.zeros(3, int), np.zeros(3, int),
        np.arange(3), np.arange(3), pairs,
    )  # fmt: skip
    found = evaluate(table, load_registry().all("metric"))
    assert set(found.metrics) == {"i2t", "t2i"}
    # Captions 0 and 2 are both at distance 1 of image 0, and one is its own; caption 1 is nearest to image 1.
    assert found.metrics["i2t"]["hit@1"] == pytest.approx((0.5 + 0 + 1) / 3)
    # Caption 2 is nearest to image 0; captions 1 and 5 are as near to image 0 or 1 as to their own.
    assert found.metrics["t2i"]["hit@1"] == pytest.approx((1 + 0.5 + 0 + 1 + 1 + 0.5) / 6)
    assert found.metrics["i2t"]["hit@10"] == 1
    assert found.queries == {"total": 3, "without_relevant": 0}
