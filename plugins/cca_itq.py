"""CCA + ITQ: a closed form that wrong pairs hardly touch, so the reference line of every table."""

from __future__ import annotations

from harness import Parameter, Recipe, hookimpl
from harness.plugin.hookspecs import RegisterHasher, RegisterMethod

PAPER = (
    "Gong, Lazebnik, Gordo, Perronnin, Iterative quantization: a Procrustean approach to learning binary codes, TPAMI "
    "2013; ridge-regularised CCA after Hardoon, Szedmak, Shawe-Taylor, Neural Computation 2004"
)


@hookimpl
def register_hashers(register: RegisterHasher) -> None:
    """Register the hasher."""
    register(
        "cca-itq",
        "harness_plugins.canonical_itq:CanonicalItq",
        summary="ridge-regularised CCA, directions scaled by their correlations, then ITQ",
        paper=PAPER,
        parameters=[
            Parameter("ridge", 1.0, "Ridge, as a multiple of the mean eigenvalue of each covariance.", above=0),
            Parameter("power", 1.0, "Directions are scaled by their canonical correlation to this power.", minimum=0),
            Parameter("iterations", 50, "Rotation updates of ITQ.", minimum=0),
        ],
    )


@hookimpl
def register_methods(register: RegisterMethod) -> None:
    """Register the method."""
    register(
        "cca-itq",
        Recipe(hasher="cca-itq"),
        summary="closed-form reference line: ridge CCA + ITQ, no trusted pair, no detector",
        paper=PAPER,
    )
