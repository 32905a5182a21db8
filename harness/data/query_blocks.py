"""Which queries belong together: those with the same words are no independent observations.

Captions of remote sensing sets repeat ("there is a plane on the runway"): queries with one caption have one caption
code, so their values say the same thing twice. Statistics over queries therefore draw and flip whole blocks
(:mod:`harness.report.statistics`). Nothing here ever reaches a method.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.assemble import CellData

Ints = NDArray[np.int64]


def query_blocks(data: CellData, relevance: str = "label") -> Ints:
    """Block numbers of the query images.

    Args:
        data: The cell's data.
        relevance: "label": queries whose chosen captions are identical are one block. "instance": all captions of the
            query images are queries, so images that have a caption in common are one block, directly or through a
            third image; a caption belongs to the block of its images.

    Returns:
        (n_query,) numbers 0, 1, ... in the order of the first query of each block.
    """
    table = data.table
    if relevance != "instance":
        return blocks_of_captions(table.captions, table.text, data.caption_of[data.queries])
    place = np.full(len(table), -1, dtype=np.int64)
    place[data.queries] = np.arange(len(data.queries))
    rows = np.flatnonzero(place[table.caption_image] >= 0)
    return _linked(
        place[table.caption_image[rows]], blocks_of_captions(table.captions, table.text, rows), len(data.queries)
    )


def blocks_of_captions(captions: Sequence[str] | None, text: NDArray, rows: Ints) -> Ints:
    """Numbers of captions, equal where the words are, or without words where all features are.

    Args:
        captions: The strings of all captions, or None.
        text: (n_captions, d_text) features of all captions.
        rows: (n,) the captions to number.

    Returns:
        (n,) numbers 0, 1, ... in the order of first appearance.
    """
    if captions is None:
        _, first, numbers = np.unique(text[rows], axis=0, return_index=True, return_inverse=True)
    else:
        chosen = np.array([captions[row] for row in rows], dtype=np.str_)
        _, first, numbers = np.unique(chosen, return_index=True, return_inverse=True)
    return _by_appearance(first, numbers)


def _linked(image: Ints, text: Ints, n_images: int) -> Ints:
    """Numbers of images, equal where a chain of shared captions connects them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = n_images + int(text.max(initial=-1)) + 1
    links = coo_array((np.ones(len(image), dtype=np.int8), (image, n_images + text)), shape=(nodes, nodes))
    numbers = connected_components(links, directed=False)[1][:n_images]
    _, first, numbers = np.unique(numbers, return_index=True, return_inverse=True)
    return _by_appearance(first, numbers)


def _by_appearance(first: Ints, numbers: Ints) -> Ints:
    """The same partition, numbered in the order in which its parts first appear."""
    renumbered = np.empty(len(first), dtype=np.int64)
    renumbered[np.argsort(first)] = np.arange(len(first))
    return renumbered[numbers.reshape(-1)]
