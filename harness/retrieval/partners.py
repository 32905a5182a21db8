"""Relevance by instance: an item's own partners, and everything that has the same words.

What caption retrieval reports (R@1, R@5, R@10): the queries are the images of the query part and all of their captions,
and each modality searches the other one of the same images. Relevant to an image are its captions and every caption
with the same words; relevant to a caption are the images that have a caption with its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.retrieval.codes import words
from harness.retrieval.histograms import DistanceHistogram
from harness.retrieval.relevance import Relevance

if TYPE_CHECKING:
    import torch

Codes = NDArray[np.uint8]
Ints = NDArray[np.int64]

PAIRS_AT_A_TIME = 1 << 20


def partners(caption_image: Ints, captions: Sequence[str] | None) -> dict[str, Ints]:
    """Relevant pairs of both directions.

    Args:
        caption_image: (n_captions,) the place of each caption's image.
        captions: The strings, or None; then each caption is one of a kind.

    Returns:
        "i2t" to (2, n) places of images and captions, "t2i" to (2, n) places of captions and images; pairs once each.
    """
    if captions is None:
        text = np.arange(len(caption_image))
    else:
        text = np.unique(np.asarray(captions, dtype=np.str_), return_inverse=True)[1].reshape(-1)
    order = np.argsort(text, kind="stable")
    size = np.bincount(text)
    first = np.cumsum(size) - size
    # A pair for each image, each of its captions and each caption with the words of that one.
    times = size[text]
    image = np.repeat(caption_image, times)
    start = np.repeat(first[text], times)
    within = np.arange(len(image)) - np.repeat(np.cumsum(times) - times, times)
    caption = order[start + within]
    pairs = np.stack(np.divmod(np.unique(image * len(text) + caption), len(text)))
    return {"i2t": pairs, "t2i": pairs[::-1]}


def partner_histogram(
    queries: Codes, items: Codes, pairs: Ints, n_bits: int, device: torch.device | str | None = None
) -> DistanceHistogram:
    """Items and relevant items by distance, where the relevant pairs are listed.

    Args:
        queries: (n_query, bytes) packed codes.
        items: (n_items, bytes) packed codes.
        pairs: (2, n) relevant pairs of places (query, item), each once.
        n_bits: Code length.
        device: Where to count.

    Returns:
        The histogram.
    """
    # All items are counted as without any relevant pair; the relevant pairs, which are few, are counted one by one.
    nobody = Relevance.of(np.zeros(len(queries), dtype=np.int64), np.ones(len(items), dtype=np.int64))
    counted = DistanceHistogram.counted(
        nobody, nobody.query_words(queries), nobody.database_words(items), n_bits, device
    )
    query_words, item_words = words(queries), words(items)
    bins = n_bits + 1
    relevant = np.zeros(len(queries) * bins, dtype=np.int64)
    for at in range(0, pairs.shape[1], PAIRS_AT_A_TIME):
        query, item = pairs[:, at : at + PAIRS_AT_A_TIME]
        distance = np.bitwise_count(query_words[query] ^ item_words[item]).sum(axis=1, dtype=np.int64)
        relevant += np.bincount(query * bins + distance, minlength=len(relevant))
    return DistanceHistogram(counted.items, relevant.reshape(len(queries), bins), counted.large)
