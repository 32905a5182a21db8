"""Similarity of training pairs in both modalities at once, and the neighbours of each: what graph hashers start from.

The (n, n) matrix is never held: with 10,000 pairs it takes 400 MB, and the entries of a batch are two small products.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

BLOCK = 1024
"""Rows that are made at a time where all n are needed."""

TIES = 1e-6
"""Similarities this close are equal: products of other shapes differ in their last bits."""


class MixedSimilarity:
    """M = a S^t + (1 - a) S^v, cosines of caption and of image features, on demand.

    Args:
        image: (n, d_image) image features.
        text: (n, d_text) caption features.
        text_share: a, between 0 and 1.
    """

    def __init__(self, image: Tensor, text: Tensor, text_share: float) -> None:
        self.image, self.text, self.text_share = normalize(image), normalize(text), text_share

    def __len__(self) -> int:
        return len(self.image)

    def _mixed(self, rows: Tensor | slice, image: Tensor, text: Tensor) -> Tensor:
        a = self.text_share
        return (self.image[rows] @ image.T).mul_(1 - a).add_(self.text[rows] @ text.T, alpha=a)

    def between(self, rows: Tensor) -> Tensor:
        """(b, b) similarities between the pairs at ``rows``, (b,) int64."""
        return self._mixed(rows, self.image[rows], self.text[rows])

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """All rows of the matrix in parts: a slice of rows, and (b, n) similarities that the caller may overwrite."""
        for start in range(0, len(self), BLOCK):
            rows = slice(start, min(start + BLOCK, len(self)))
            yield rows, self._mixed(rows, self.image, self.text)

    def thresholds(self, count: int) -> Tensor:
        """(n,) for each pair the similarity from which on others are among its ``count`` nearest, itself included.

        It lies halfway between the last that is among them and the first that is not, so that rounding does not
        decide; pairs that are as near as the last one are all among them. With ``count`` >= n it is -inf.
        """
        if count >= len(self):
            return torch.full((len(self),), -torch.inf, device=self.image.device)
        edges = [block.topk(count + 1, dim=1).values[:, -2:] for _, block in self.blocks()]
        last, first_out = torch.cat(edges).unbind(1)
        return torch.minimum((last + first_out) / 2, last - TIES)


def neighbour_count(neighbours: float, n: int) -> int:
    """How many of n pairs are the neighbours of each, itself included: at least 2 (where there are 2), at most n.

    Args:
        neighbours: Below 1 a share of n, otherwise a number.
        n: Pairs.
    """
    return min(max(2, round(neighbours * n if neighbours < 1 else neighbours)), n)
