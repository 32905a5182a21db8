"""The kinds of figures and their options, by name: what listings and help read without importing what draws them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes:
        summary: What it shows, in a line.
        module: The module of :mod:`harness.report.figures` that draws it.
        function: The function in it.
        options: Names of the options that it takes beside those that choose records.
        required: Those of them that must be given.
    """

    summary: str
    module: str
    function: str = "draw"
    options: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "noise-curve": Kind(
        "A metric by noise rate, with a band; published numbers on request.",
        "conditions", "noise_curve", ("metric", "published"),
    ),
    "bits": Kind("A metric by code length.", "conditions", "bits", ("metric",)),
    "precision-at": Kind("Precision of the first K ranks (or another metric @K) by K.", "conditions", "precision_at",
                         ("metric",)),
    "precision-recall": Kind("Precision and recall of the items within each Hamming radius.", "precision_recall"),
    "seeds": Kind("Every seed as a point, with mean and 95 % interval.", "seeds", options=("metric",)),
    "forest": Kind("Differences to one row with 95 % intervals, over data sets and noise rates.", "forest",
                   options=("against", "metric"), required=("against",)),
    "ranks": Kind("Critical-difference diagram: average ranks over data sets.", "ranks",
                  options=("metric", "blocks", "post_hoc", "alpha")),
    "cross": Kind("Every hasher with every detector: what a detector gains over none.", "cross", options=("metric",)),
    "cost": Kind("A metric against time, memory or energy, with the line of what nothing beats.", "cost",
                 options=("metric", "cost")),
    "trust": Kind("How far each detector believed right and wrong pairs.", "trust"),
    "detector-roc": Kind("Wrong pairs found against right pairs suspected.", "detector_curves", "detector_roc"),
    "reliability": Kind("Trust against the share of pairs that are right.", "detector_curves", "reliability"),
    "training": Kind("Loss and the detector's AUROC by epoch, phases marked.", "training"),
    "codes": Kind("Balance and correlation of bits, and distances of matching and other pairs.", "codes"),
}  # fmt: skip
"""Name to kind, in the order in which they are listed."""
