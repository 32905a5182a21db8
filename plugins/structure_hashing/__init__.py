"""DJSRH, JDSH and DSAH: cosines of hash outputs follow cosines of features (ICCV 2019, SIGIR 2020, ICMR 2020).

The papers train on raw photographs and tags. For frozen features we follow the port by the authors of CHNR
(``comrados/jdsh``), which the rows "DJSRH" and "JDSH" of their tables come from: features of length 1, a hidden layer
of 4096 with batch normalisation for both modalities, SGD, batches of 32, 300 epochs. DSAH has no such port; it gets the
same networks with the optimiser of its own program.

Presets: ``released`` has what a public program does otherwise than its paper, each one parameter.

======== =========================================================================== ===================================
jdsh     the weighting by distribution is commented out in the port                  ``hasher.distribution=none``
dsah     features are reconstructed from signs, through which no gradient passes:    ``hasher.reconstruct_from=signs``
         the reconstruction trains its decoders alone, never a code
======== =========================================================================== ===================================

Presets ``mirflickr``, ``nus-wide`` and ``wikipedia``: the constants of the original programs for these data sets.
"""

from __future__ import annotations

from harness import Need, Parameter, Phase, Recipe, hookimpl
from harness.plugin.hookspecs import RegisterHasher, RegisterMethod

HERE = "harness_plugins.structure_hashing."
PORT = "; for frozen features: comrados/jdsh"
DJSRH = (
    "Su, Zhong, Zhang, Deep joint-semantics reconstructing hashing for large-scale unsupervised cross-modal retrieval, "
    "ICCV 2019" + PORT
)
JDSH = (
    "Liu, Qian, Guan, Zhan, Ying, Joint-modal distribution-based similarity hashing for large-scale unsupervised deep "
    "cross-modal retrieval, SIGIR 2020" + PORT
)
DSAH = (
    "Yang, Wu, Zhang, Zhang, Li, Wang, Deep semantic-alignment hashing for unsupervised cross-modal retrieval, "
    "ICMR 2020, 10.1145/3372278.3390673"
)

OFFERS = Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS


def _training(rate: float, momentum: float) -> list[Parameter]:
    return [
        Parameter("hidden", 4096, "Width of the hidden layer.", minimum=1),
        Parameter("batch_size", 32, "Pairs per batch, of which the similarities are computed.", minimum=2),
        Parameter("image_learning_rate", rate, "Step size of the image network's SGD.", above=0),
        Parameter("text_learning_rate", rate, "Step size of the caption network's SGD.", above=0),
        Parameter("momentum", momentum, "Momentum of SGD.", minimum=0, maximum=1),
        Parameter("weight_decay", 5e-4, "Weight decay of SGD.", minimum=0),
    ]


@hookimpl
def register_hashers(register: RegisterHasher) -> None:
    """Register the three hashers."""
    register(
        "djsrh", HERE + "djsrh:JointSemanticsHasher", paper=DJSRH, offers=OFFERS, phases=(Phase("training", 300),),
        summary="cosines of outputs reconstruct a joint similarity of features, with its second order (DJSRH)",
        parameters=[
            Parameter("beta", 0.6, "Share of the image similarity in the joint one.", minimum=0, maximum=1),
            Parameter("eta", 0.4, "Share of the second order S S^T / n.", minimum=0, maximum=1),
            Parameter("mu", 1.5, "Scale of the similarities.", above=0),
            Parameter("lambda1", 0.1, "Weight of the image-image term.", minimum=0),
            Parameter("lambda2", 0.1, "Weight of the caption-caption term.", minimum=0),
            *_training(0.01, 0.9),
        ],
    )  # fmt: skip
    register(
        "jdsh", HERE + "jdsh:DistributionHasher", paper=JDSH, offers=OFFERS, phases=(Phase("training", 300),),
        summary="cosines of outputs reconstruct a joint similarity sharpened by its distribution (JDSH)",
        parameters=[
            Parameter("alpha", 0.2, "Share of the image similarity.", minimum=0),
            Parameter("beta", 0.4, "Share of the caption similarity.", minimum=0),
            Parameter("gamma", 0.4, "Share of the agreement of similarity rows.", minimum=0),
            Parameter("mu", 1.5, "Scale of the similarities.", above=0),
            Parameter("intra", 0.1, "Weight of the terms within a modality.", minimum=0),
            Parameter(
                "distribution", "fitted",
                "Sharpen similarities beyond boundaries that come from a normal and a Laplace distribution, fitted to "
                "the training data or given by the parameters below; or not at all.", ("fitted", "given", "none"),
            ),
            Parameter("left_scales", 2.0, "The left boundary lies that many scales below the location.", minimum=0),
            Parameter("right_scales", 4.0, "The right boundary lies that many scales above the location.", minimum=0),
            Parameter("left_gain", 0.3, "Strength of the sharpening below the left boundary.", minimum=0),
            Parameter("right_gain", 0.3, "Strength of the sharpening above the right boundary.", minimum=0),
            Parameter("left_location", -0.47, "With distribution=given: location of the normal distribution."),
            Parameter("left_scale", 0.081, "With distribution=given: its scale.", minimum=0),
            Parameter("right_location", -0.47, "With distribution=given: location of the Laplace distribution."),
            Parameter("right_scale", 0.1, "With distribution=given: its scale.", minimum=0),
            Parameter("smallest", -0.64, "With distribution=given: the smallest similarity."),
            Parameter("largest", 0.75, "With distribution=given: the largest similarity."),
            *_training(0.01, 0.9),
        ],
    )  # fmt: skip
    register(
        "dsah", HERE + "dsah:SemanticAlignmentHasher", paper=DSAH, offers=OFFERS, phases=(Phase("training", 200),),
        summary="aligned cosines and reconstruction of each modality from the other's outputs (DSAH)",
        parameters=[
            Parameter("alpha", 0.9, "Share of the image similarity in the joint one.", minimum=0, maximum=1),
            Parameter("k", 1.5, "Scale of the similarities.", above=0),
            Parameter("eta", 0.1, "Weight of the terms of a modality against its own similarity.", minimum=0),
            Parameter("symmetry", 2.0, "Weight of the symmetry of the image-caption cosines.", minimum=0),
            Parameter(
                "reconstruct_from", "outputs",
                "Reconstruct features from the real-valued outputs, or from their signs, as the program does.",
                ("outputs", "signs"),
            ),
            *_training(0.005, 0.7),
        ],
    )  # fmt: skip


def _jdsh_constants(
    alpha: float, beta: float, gamma: float, left: tuple[float, float], right: tuple[float, float],
    ends: tuple[float, float], gains: tuple[float, float],
) -> dict[str, float | str]:  # fmt: skip
    names = (
        "alpha", "beta", "gamma", "left_location", "left_scale", "right_location", "right_scale", "smallest", "largest",
        "left_gain", "right_gain",
    )  # fmt: skip
    values: dict[str, float | str] = {"mu": 1.4, "distribution": "given"}
    values |= zip(names, (alpha, beta, gamma, *left, *right, *ends, *gains), strict=True)
    return {f"hasher.{name}": value for name, value in values.items()}


@hookimpl
def register_methods(register: RegisterMethod) -> None:
    """Register a method for each of them."""
    register(
        "djsrh",
        Recipe("djsrh", presets={
            "mirflickr": {"hasher.beta": 0.9},
            "nus-wide": {"hasher.beta": 0.6},
            "wikipedia": {"hasher.beta": 0.3, "hasher.lambda1": 0.3, "hasher.lambda2": 0.3},
        }),
        summary="DJSRH: deep joint-semantics reconstructing hashing", paper=DJSRH,
    )  # fmt: skip
    register(
        "jdsh",
        Recipe("jdsh", presets={
            "released": {"hasher.distribution": "none"},
            "mirflickr": _jdsh_constants(
                0.5, 0.1, 0.4, (-0.49, 0.019), (-0.49, 0.088), (-0.52, 0.68), (0.1, 0.2)
            ),
            "nus-wide": _jdsh_constants(
                0.4, 0.3, 0.3, (-0.62, 0.0128), (-0.62, 0.086), (-0.64, 0.75), (0.2, 0.2)
            ),
        }),
        summary="JDSH: joint-modal distribution-based similarity hashing", paper=JDSH,
    )  # fmt: skip
    register(
        "dsah",
        Recipe("dsah", presets={"released": {"hasher.reconstruct_from": "signs"}}),
        summary="DSAH: deep semantic-alignment hashing", paper=DSAH,
    )  # fmt: skip
