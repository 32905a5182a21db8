"""The two ends of the scale: trust everything, and know everything."""

from __future__ import annotations

from harness import Need, PairTrust, TrainingPairs, hookimpl
from harness.plugin.hookspecs import RegisterComponent
from harness.plugin.interfaces import Run


class TrustEverything:
    """Weight 1 for every pair."""

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """(n,) ones."""
        return PairTrust(pairs.image.new_ones(len(pairs)))


class Oracle:
    """Weight 1 for right pairs and 0 for wrong ones, from the true noise mask: the ceiling of any detector."""

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """(n,) 1 where the pair is right."""
        return PairTrust((~pairs.granted[Need.NOISE_MASK]).to(pairs.image.dtype))


@hookimpl
def register_detectors(register: RegisterComponent) -> None:
    """Register both."""
    register("none", TrustEverything, summary="no detector: every pair is fully trusted", parameters=())
    register(
        "oracle", Oracle, summary="the true noise mask: a ceiling, not a method", parameters=(), needs=Need.NOISE_MASK
    )
