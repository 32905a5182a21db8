"""How the published CHNR program makes captions wrong (algorithms of its dataset classes, restated)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.plugin.interfaces import PairsToCorrupt

EXEMPT_SHARE = 0.2
"""The released code hard-codes the exempt share, whatever share is trusted (its bug B4)."""


def chnr_released(pairs: PairsToCorrupt, rate: float) -> NDArray[np.int64]:
    """Each pair becomes wrong with probability ``rate``; then 20 % of all pairs are made right again.

    A wrong caption is that of a training image of another class, drawn with replacement. The exempt pairs are the first
    20 % of an order that starts with the trusted ones, as in the program, where both sets come from one generator: with
    fewer than 20 % trusted, untrusted pairs are exempt too; with more, some trusted pairs are wrong in the second
    phase. The realised rate is therefore about 0.8 times the one asked for. Unlike in the program, masks are nested
    over rates.

    Args:
        pairs: The training pairs.
        rate: Probability, before the exemption.

    Returns:
        (n,) the row whose caption each row gets.

    Raises:
        HarnessError: There are no labels, or only one class.
    """
    if pairs.labels is None:
        raise HarnessError("protocol 'chnr-released' needs class labels, and the data have none.")
    n = len(pairs)
    chance = pairs.stream("chnr-released/chance").random(n)
    exempt = np.zeros(n, dtype=bool)
    exempt[pairs.trusted_first_order[: int(n * EXEMPT_SHARE)]] = True
    source = np.arange(n)
    waiting = np.flatnonzero((chance < rate) & ~exempt)
    random = pairs.stream(f"chnr-released/captions/{rate!r}")
    lonely = pairs.labels.all(axis=0).any() and len(waiting)
    if lonely:
        raise HarnessError("protocol 'chnr-released' needs at least two classes among the training pairs.")
    for _ in range(10_000):
        if not len(waiting):
            break
        drawn = random.integers(n, size=len(waiting))
        other = ~(pairs.labels[waiting] & pairs.labels[drawn]).any(axis=1) & (waiting != drawn)
        source[waiting[other]] = drawn[other]
        waiting = waiting[~other]
    if len(waiting):
        raise HarnessError(
            f"protocol 'chnr-released': {len(waiting)} training pairs share a label with nearly all others."
        )
    return source
