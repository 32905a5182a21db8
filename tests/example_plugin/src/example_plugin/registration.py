"""What this package registers. Targets are text, so that listing imports no torch."""

from __future__ import annotations

from harness import Parameter, Recipe, hookimpl

harness_api = 1


@hookimpl
def register_hashers(register):
    """The hasher."""
    register(
        "example-projections",
        "example_plugin.projections:Projections",
        summary="signs of random mixtures of the leading singular directions of the cross-covariance",
        parameters=[Parameter("directions", 8, "Singular directions that are mixed.", minimum=1)],
    )


@hookimpl
def register_detectors(register):
    """The detector."""
    register(
        "example-neighbours",
        "example_plugin.neighbours:Neighbours",
        summary="trusts pairs whose nearest images have near captions",
        parameters=[Parameter("neighbours", 5, "Nearest images that are compared.", minimum=1)],
    )


@hookimpl
def register_methods(register):
    """The method."""
    register(
        "example-projections",
        Recipe(hasher="example-projections", detector="example-neighbours"),
        summary="the example's hasher with the example's detector",
    )
