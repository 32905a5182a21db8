"""Which combinations can work: decided from declarations, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.cells.methods import ResolvedMethod
from harness.errors import CombinationError
from harness.plugin.declarations import Component, HasherDeclaration
from harness.plugin.interfaces import GRANTED_TO_METHODS, Need


@dataclass(frozen=True)
class DataFacts:
    """What the data of a cell can grant.

    Attributes:
        n_train: Training pairs.
        n_trusted: Trusted ones among them.
        shared_space: Image and caption features are of one space.
        mask_known: The noise mask is known.
        labels_known: The classes are known.
    """

    n_train: int
    n_trusted: int
    shared_space: bool
    mask_known: bool
    labels_known: bool = True


ADVICE: Mapping[Need, str] = MappingProxyType({
    Need.TRUSTED: "raise --trusted",
    Need.SHARED_SPACE: "use a pair such as the two towers of CLIP",
})  # fmt: skip
"""What to do where data cannot grant a need, for those who choose data by options."""


def check_combination(method: ResolvedMethod, data: DataFacts, advice: Mapping[Need, str] = ADVICE) -> None:
    """Refuse what cannot work.

    Args:
        method: The resolved method.
        data: What the data can grant.
        advice: What to do where they cannot, by need.

    Raises:
        CombinationError: A need is neither offered by the hasher nor granted by the data; the message gives the reason.
    """
    who = f"method {method.row!r}"
    hasher = method.hasher
    detector, needs = method.components["detector"], method.needs
    lacking = {
        Need.TRUSTED: (
            data.n_trusted > 0, f"needs trusted pairs, and none of the {data.n_train} training pairs is trusted"
        ),
        Need.SHARED_SPACE: (
            data.shared_space,
            "compares image with caption features directly, and these backbones have no shared space",
        ),
        Need.NOISE_MASK: (
            data.mask_known, "needs the noise mask, and nobody knows which pairs of these data are wrong"
        ),
        Need.CLASS_LABELS: (data.labels_known, "needs class labels, and nobody knows those of these data"),
    }  # fmt: skip
    for need, (granted, reason) in lacking.items():
        if need in needs and not granted:
            raise CombinationError(f"{who} {reason}{f': {advice[need]}' if need in advice else ''}.")
    refused = detector_refused(hasher, detector, needs)
    if refused:
        raise CombinationError(f"{refused}: choose another --hasher or --detector.")
    if method.learners == 2 and Need.TWO_LEARNERS not in hasher.offers:
        raise CombinationError(
            f"{who} trains two hashers together, and hasher {hasher.name!r} cannot be doubled: choose another --hasher."
        )


def detector_refused(hasher: HasherDeclaration, detector: Component, needs: Need) -> str:
    """Why a hasher cannot work with a detector, from what one offers and the other needs; "" where it can."""
    if Need.EPOCHS in needs and Need.EPOCHS not in hasher.offers:
        return (
            f"detector {detector.name!r} watches a training in epochs, and hasher {hasher.name!r} is fitted in one step"
        )
    if Need.PAIR_LOSSES in needs and Need.PAIR_LOSSES not in hasher.offers:
        return f"detector {detector.name!r} reads the loss of each pair, and hasher {hasher.name!r} reports none"
    return ""


def granted_beyond_the_wall(method: ResolvedMethod) -> Need:
    """Class labels, noise mask or source order, if the method declared that it needs them."""
    return method.needs & GRANTED_TO_METHODS
