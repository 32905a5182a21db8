"""The noise protocols of the core; the functions are in :mod:`harness.noise.protocols`."""

from __future__ import annotations

from harness import hookimpl
from harness.plugin.hookspecs import RegisterProtocol


@hookimpl
def register_protocols(register: RegisterProtocol) -> None:
    """Register the protocols of docs/protocols-and-metrics.md."""
    functions = "harness.noise.protocols:"
    register(
        "derangement",
        functions + "derangement",
        summary="wrong pairs exchange captions, none keeps its own; label-free, exact rate",
    )
    register(
        "cross-class",
        functions + "cross_class",
        summary="as derangement, each wrong caption of another class",
        labels=True,
    )
    register(
        "shuffle",
        functions + "shuffle",
        summary="random permutation of a share of the captions; some stay right",
        paper="Huang et al., Learning with noisy correspondence for cross-modal matching (NCR), NeurIPS 2021",
    )
    register("given", functions + "given", summary="the noise that is in the data (natural or known)", takes_rate=False)
