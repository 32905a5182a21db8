"""The training pairs that count in a closed form: both views in double precision, and the weight of each pair."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.training.building_blocks.canonical import centred
from harness.training.building_blocks.linear import usable_weights


def counted_rows(pairs: TrainingPairs, trust: PairTrust) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs whose weight is above 0; all of them with weight 1 where none is.

    Dropping the others first makes weights of 0 and 1 exactly a selection, random starts for each pair included.

    Args:
        pairs: :class:`harness.plugin.interfaces.TrainingPairs`.
        trust: :class:`harness.plugin.interfaces.PairTrust`.

    Returns:
        (m, d_image), (m, d_text) and (m,), float64.
    """
    weight = usable_weights(trust.weight)
    rows = torch.nonzero(weight > 0)[:, 0]
    return pairs.image[rows].double(), pairs.text[rows].double(), weight[rows]


def centred_if(view: Tensor, weight: Tensor, centring: bool) -> tuple[Tensor, Tensor]:
    """:func:`~harness.training.building_blocks.canonical.centred`, or the view as it is and a mean of 0."""
    return centred(view, weight) if centring else (view, torch.zeros_like(view[0]))
