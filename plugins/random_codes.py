"""Random codes: the floor. Every item gets bits that depend on its own features and on nothing else."""

from __future__ import annotations

from harness import Recipe, hookimpl
from harness.plugin.hookspecs import RegisterHasher, RegisterMethod


@hookimpl
def register_hashers(register: RegisterHasher) -> None:
    """Register the hasher."""
    register(
        "random-codes",
        "harness_plugins.random_bits:RandomCodes",
        summary="random bits, fixed for each item",
        parameters=(),
    )


@hookimpl
def register_methods(register: RegisterMethod) -> None:
    """Register the method."""
    register(
        "random-codes",
        Recipe(hasher="random-codes"),
        summary="floor: random codes, mAP near the prevalence of relevant items",
    )
