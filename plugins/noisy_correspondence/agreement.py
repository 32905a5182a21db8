"""What several detectors ask of the learner's similarities: square blocks, match probabilities, signs of no noise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from harness_plugins.noisy_correspondence.mixtures import two_groups
from torch import Tensor

from harness import Evidence


def square_blocks(evidence: Evidence, n: int, size: int) -> Iterator[tuple[slice, Tensor]]:
    """Similarities within blocks of neighbouring rows, which stand for the papers' batches.

    Training pairs come in a random order, so that a block is a random batch. All have about one size: among fewer
    captions any pair looks better.

    Args:
        evidence: From the training loop.
        n: Pairs.
        size: Rows of a block, about.

    Yields:
        The rows, and the (b, b) cosines of their images (rows) and captions (columns).
    """
    count = max(1, round(n / size))
    edges = [n * at // count for at in range(count + 1)]
    for rows in (slice(*edge) for edge in pairwise(edges)):
        yield rows, evidence.similarity(rows)[:, rows]


def match_probability(similarity: Tensor, temperature: float) -> Tensor:
    """(b,) mean over both directions of p_ii, p = softmax(similarity / temperature): RCL, CRCL and GSC's prediction."""
    scaled = similarity / temperature
    return (scaled.softmax(dim=1).diagonal() + scaled.softmax(dim=0).diagonal()) / 2


def share_that_looks_wrong(evidence: Evidence, n: int, size: int) -> float:
    """Share of pairs that are no more alike than images and captions of different pairs; 0 for too few pairs."""
    own, other = [], []
    for _, block in square_blocks(evidence, n, size):
        own.append(block.diagonal())
        other.append(block[~torch.eye(len(block), dtype=torch.bool, device=block.device)])
    return 1 - two_groups(torch.cat(own), torch.cat(other)).share


GUARD_MEANING = (
    "Trust every pair while a smaller share of the pairs looks mismatched (two groups: all pairs, and pairs made at "
    "random); 0: no guard, as in the paper."
)
