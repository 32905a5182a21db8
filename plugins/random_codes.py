"""Random codes: the floor. Every item gets bits that depend on its own features and on nothing else."""

from __future__ import annotations

from harness import Recipe, hookimpl


@hookimpl
def register_hashers(register):
    """Register the hasher."""
    register(
        "random-codes",
        "harness_plugins.random_bits:RandomCodes",
        summary="random bits, fixed for each item",
        parameters=(),
    )


@hookimpl
def register_methods(register):
    """Register the method."""
    register(
        "random-codes",
        Recipe(hasher="random-codes"),
        summary="floor: random codes, mAP near the prevalence of relevant items",
    )
