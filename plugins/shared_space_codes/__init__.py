"""Codes straight from a space that images and captions share (CLIP): no training, so the floor that training must beat.

Both hashers are refused where the backbones have no shared space. Run them with ``--standardise none``: the features
are then those of the model. (``clip-sign`` centres them itself; its codes are the same under ``scalar`` or ``center``.)
"""

from __future__ import annotations

from harness import Need, Parameter, Recipe, hookimpl
from harness.plugin.hookspecs import RegisterHasher, RegisterMethod

HERE = "harness_plugins.shared_space_codes.sign_codes:"
SIGN = (
    "sign of CLIP features (Radford et al., ICML 2021); principal directions turned at random: Gong et al., TPAMI 2013"
)
LSH = "Charikar, Similarity estimation techniques from rounding algorithms, STOC 2002"
CENTRE = (
    "Subtract from each modality the mean of its training features: the two towers of CLIP lie in two cones (Liang et "
    "al., Mind the gap, NeurIPS 2022), and a bit that is the same for all items of a modality says nothing."
)


@hookimpl
def register_hashers(register: RegisterHasher) -> None:
    """Register both hashers."""
    register(
        "clip-sign", HERE + "SignCodes", needs=Need.SHARED_SPACE, paper=SIGN,
        summary="signs of the features of a shared space, no training",
        parameters=[
            Parameter("centre", True, CENTRE),
            Parameter("fewer_bits", "principal", "With fewer bits than dimensions: signs of as many principal "
                      "directions of both modalities together, turned at random; or of the first dimensions. With more "
                      "bits the features are turned at random into a tight frame; with as many, they stay.",
                      ("principal", "first")),
        ],
    )  # fmt: skip
    register(
        "lsh", HERE + "RandomHyperplanes", needs=Need.SHARED_SPACE, paper=LSH,
        summary="random hyperplanes, the same for both modalities of a shared space",
        parameters=[Parameter("centre", False, CENTRE)],
    )  # fmt: skip


@hookimpl
def register_methods(register: RegisterMethod) -> None:
    """Register both methods."""
    register(
        "clip-sign", Recipe(hasher="clip-sign"), paper=SIGN,
        summary="floor of a shared space: signs of its features, no training",
    )  # fmt: skip
    register(
        "lsh", Recipe(hasher="lsh"), paper=LSH,
        summary="floor of a shared space: random hyperplanes, no training",
    )  # fmt: skip
