"""Noise protocols that ship with the core. Each is a pure function of the pairs, the rate and the data seed.

All of them take their wrong pairs from the front of one random order of the untrusted pairs, so that masks are nested
over rates: a pair that is wrong at 0.2 is wrong at 0.4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.plugin.interfaces import PairsToCorrupt

Rows = NDArray[np.int64]

REPAIR_ROUNDS = 200
"""Attempts to resolve captions of the own class by exchange before other captions are drawn."""


def derangement(pairs: PairsToCorrupt, rate: float) -> Rows:
    """Exactly round(rate * n_untrusted) pairs exchange captions among themselves, and none keeps its own.

    Label-free. One wrong pair is impossible, so a count of 1 becomes 2.

    Raises:
        HarnessError: Fewer than two untrusted pairs.
    """
    wrong = _wrong_rows(pairs, rate)
    source = np.arange(len(pairs))
    random = pairs.stream(f"derangement/{rate!r}")
    order = np.arange(len(wrong))
    while (
        len(wrong) and (order == np.arange(len(wrong))).any()
    ):  # rejection: each derangement equally likely, 2.7 tries
        order = random.permutation(len(wrong))
    source[wrong] = wrong[order]
    return source


def shuffle(pairs: PairsToCorrupt, rate: float) -> Rows:
    """A random permutation among round(rate * n_untrusted) pairs; some may keep their own caption
    (NCR, NeurIPS 2021).
    """
    wrong = pairs.untrusted_order[: round(rate * len(pairs.untrusted_order))]
    source = np.arange(len(pairs))
    source[wrong] = pairs.stream(f"shuffle/{rate!r}").permutation(wrong)
    return source


def cross_class(pairs: PairsToCorrupt, rate: float) -> Rows:
    """As :func:`derangement`, but every wrong caption belongs to an image that shares no label with the own image.

    Captions are exchanged among the wrong pairs; where one class is too frequent for that, the pairs left over get
    captions of other classes drawn from all training pairs.

    Raises:
        HarnessError: The data have no labels, or some pair shares a label with every other.
    """
    labels = _labels(pairs, "cross-class")
    wrong = _wrong_rows(pairs, rate)
    random = pairs.stream(f"cross-class/{rate!r}")
    given = random.permutation(wrong)
    for attempt in range(REPAIR_ROUNDS):
        bad = np.flatnonzero(_share_label(labels, wrong, given))
        if not len(bad):
            break
        # Couples that may exchange: bad ones among themselves, and bad ones with any others, in turn.
        pool = (
            bad
            if attempt % 2 == 0
            else np.union1d(bad, random.choice(len(wrong), min(len(wrong), len(bad) + 4), replace=False))
        )
        pool = random.permutation(pool)
        one, other = pool[: len(pool) // 2], pool[len(pool) // 2 :][: len(pool) // 2]
        resolved = ~_share_label(labels, wrong[one], given[other]) & ~_share_label(labels, wrong[other], given[one])
        one, other = one[resolved], other[resolved]
        given[one], given[other] = given[other], given[one]
    left = np.flatnonzero(_share_label(labels, wrong, given))
    given[left] = _other_class(labels, wrong[left], random, "cross-class")
    source = np.arange(len(pairs))
    source[wrong] = given
    return source


def given(pairs: PairsToCorrupt, rate: float) -> Rows:
    """The pairs as they are in the data, right or wrong: nothing is exchanged."""
    return np.arange(len(pairs))


def _wrong_rows(pairs: PairsToCorrupt, rate: float) -> Rows:
    count = round(rate * len(pairs.untrusted_order))
    if count == 1:
        count = 2
    if count > len(pairs.untrusted_order):
        raise HarnessError(
            f"noise {rate:g} needs at least two untrusted training pairs to exchange captions, and there are "
            f"{len(pairs.untrusted_order)} of {len(pairs)}: lower --trusted or use more images."
        )
    return pairs.untrusted_order[:count]


def _labels(pairs: PairsToCorrupt, protocol: str) -> NDArray[np.bool_]:
    if pairs.labels is None:
        raise HarnessError(
            f"protocol {protocol!r} needs class labels, and the data have none: use --protocol derangement."
        )
    return pairs.labels


def _share_label(labels: NDArray[np.bool_], one: Rows, other: Rows) -> NDArray[np.bool_]:
    """Whether two pairs share a label; a pair without any label shares all with itself."""
    return (labels[one] & labels[other]).any(axis=1) | (one == other)


def _other_class(labels: NDArray[np.bool_], rows: Rows, random: np.random.Generator, protocol: str) -> Rows:
    """For each row a row of another class, drawn uniformly from all pairs, with replacement."""
    drawn = random.integers(len(labels), size=len(rows))
    for _ in range(REPAIR_ROUNDS):
        bad = np.flatnonzero(_share_label(labels, rows, drawn))
        if not len(bad):
            return drawn
        drawn[bad] = random.integers(len(labels), size=len(bad))
    for at in np.flatnonzero(_share_label(labels, rows, drawn)):  # a handful, in very unbalanced data only
        others = np.flatnonzero(~_share_label(labels, np.full(len(labels), rows[at]), np.arange(len(labels))))
        if not len(others):
            raise HarnessError(
                f"protocol {protocol!r}: a training pair shares a label with every other one, so it has no wrong "
                "caption of another class: use --protocol derangement."
            )
        drawn[at] = random.choice(others)
    return drawn
