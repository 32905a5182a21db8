"""CHNR (Mikriukov, Ravanbakhsh, Demir, ICIP 2022, arXiv 2202.13117) and its ablations.

The parts are usable on their own: detector ``adversarial``, hasher ``contrastive``, objective ``nt-xent``. Two presets:
``described`` is the paper's method with the bugs of the published program mended; ``released`` is what the program
does. Each of its deviations is one parameter (B1 to B8 as in docs/architecture.md, section "The released program"):

====== ============================================================================ ====================================
B1, B2 the augmented caption is never used (B1), its file is the plain one (B2);    ``detector.augmented_text=ignore``
       both have the same effect: the caption is its own augmented view             ``hasher.augmented_text=ignore``
B6     mismatched pairs are drawn with class labels                                 ``detector.mismatches=other-class``
B3     those labels are read at the wrong place                                     ``...=other-class-misread``
B7     weights and threshold are computed with dropout, weights anew for each batch ``detector.dropout_in_weights=true``
B8     the buffer of target codes is indexed by position in the phase's own list    ``hasher.code_buffer=positions``
====== ============================================================================ ====================================
"""

from __future__ import annotations

from pathlib import Path

from harness import EpochsOf, Need, Parameter, Phase, Recipe, hookimpl
from harness.plugin.hookspecs import (
    RegisterComponent,
    RegisterHasher,
    RegisterMethod,
    RegisterProtocol,
    RegisterPublished,
)

PAPER = (
    "Mikriukov, Ravanbakhsh, Demir, An unsupervised cross-modal hashing method robust to noisy training image-text "
    "correspondences in remote sensing, ICIP 2022, arXiv 2202.13117"
)
AUGMENTED_TEXT = Parameter(
    "augmented_text",
    "use",
    "Use the augmented caption view where the data have one, or ignore it (B1, B2).",
    ("use", "ignore"),
)

PRECISIONS = ("fp32", "bf16", "tf32")

WARM_UP = Phase("warm-up", 75, pairs="trusted", trust="ones")
NOISY = Phase("noisy", 75, pairs="all", trust="detector")

RELEASED_HASHER = {"hasher.augmented_text": "ignore", "hasher.code_buffer": "positions"}
RELEASED_DETECTOR = {
    "detector.augmented_text": "ignore",
    "detector.mismatches": "other-class-misread",
    "detector.dropout_in_weights": True,
}


@hookimpl
def register_detectors(register: RegisterComponent) -> None:
    """Register the noise discriminator."""
    register(
        "adversarial",
        "harness_plugins.chnr.discriminator:AdversarialDetector",
        summary="CHNR's noise discriminator on concatenated features, trained on trusted against mismatched pairs",
        paper=PAPER,
        needs=Need.TRUSTED,
        precisions=PRECISIONS,
        parameters=[
            Parameter(
                "weights", "normal",
                "Weight from the probability p that a pair is right: p, p^3 ('exponential' in the paper), "
                "1 if p is above the threshold of the trusted phase, or 1.", ("normal", "cubed", "discrete", "ones"),
            ),
            Parameter("epochs", 75, "Epochs on the trusted pairs (the length of the warm-up in the paper).", minimum=1),
            Parameter("batch_size", 256, "Trusted pairs per batch.", minimum=2),
            Parameter("learning_rate", 1e-4, "Step size of AdamW.", above=0),
            Parameter("weight_decay", 1e-3, "Weight decay of AdamW.", minimum=0),
            Parameter("dropout", 0.2, "Dropout after each hidden layer.", minimum=0, maximum=0.99),
            Parameter("penalty", 10.0, "Factor of the gradient penalty.", minimum=0),
            AUGMENTED_TEXT,
            Parameter(
                "mismatches", "any",
                "Which captions make a mismatched pair: any other of the batch; one of another class (B6); or "
                "the latter with labels read at the wrong place (B3).", ("any", "other-class", "other-class-misread"),
                needs={"other-class": Need.CLASS_LABELS, "other-class-misread": Need.CLASS_LABELS | Need.SOURCE_ORDER},
            ),
            Parameter(
                "dropout_in_weights", False, "Leave dropout on when weights are computed, anew for each batch (B7).",
            ),
        ],
    )  # fmt: skip


@hookimpl
def register_objectives(register: RegisterComponent) -> None:
    """Register the contrastive loss."""
    register(
        "nt-xent",
        "harness_plugins.chnr.nt_xent:NTXent",
        summary="weighted NT-Xent over both modalities, 2n anchors",
        paper=PAPER + "; NT-Xent: Chen et al., SimCLR, ICML 2020",
        parameters=[
            Parameter("temperature", 1.0, "Temperature T.", above=0),
            Parameter("epsilon", 1e-6, "Added to the denominator.", minimum=0),
        ],
    )


@hookimpl
def register_hashers(register: RegisterHasher) -> None:
    """Register the two hash networks."""
    register(
        "contrastive",
        "harness_plugins.chnr.contrastive:ContrastiveHasher",
        summary="two hash networks, a contrastive objective and quantisation against common codes",
        paper=PAPER,
        offers=Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS,
        takes_objective=True,
        phases=(Phase("training", 150),),
        precisions=PRECISIONS,
        parameters=[
            Parameter("hidden", 4096, "Width of the hidden layer.", minimum=1),
            Parameter("batch_size", 256, "Pairs per batch.", minimum=2),
            Parameter("learning_rate", 1e-4, "Step size of Adam.", above=0),
            Parameter("weight_decay", 5e-4, "Weight decay of Adam.", minimum=0),
            Parameter("beta", 1e-3, "Weight of the quantisation loss.", minimum=0),
            Parameter("intra_image", 0.0, "Weight of the objective between image and augmented image.", minimum=0),
            Parameter("intra_text", 0.0, "Weight of the objective between caption and augmented caption.", minimum=0),
            Parameter(
                "step_epochs", 50, "The learning rate falls after epochs 0, N, 2N, ... (counted from 0).", minimum=1,
            ),
            Parameter("step_factor", 0.8, "Factor by which it falls.", above=0, maximum=1),
            Parameter("smallest_learning_rate", 1e-6, "It does not fall below this.", minimum=0),
            AUGMENTED_TEXT,
            Parameter(
                "code_buffer", "rows",
                "Target codes are kept for each pair, or (B8) at the pair's position in the list of the "
                "phase.", ("rows", "positions"), needs={"positions": Need.SOURCE_ORDER},
            ),
        ],
    )  # fmt: skip


@hookimpl
def register_protocols(register: RegisterProtocol) -> None:
    """Register the published program's way to make captions wrong."""
    register(
        "chnr-released",
        "harness_plugins.chnr.released_protocol:chnr_released",
        summary="the published CHNR program's noise: Bernoulli, other class, 20 % of all pairs exempt (bugs B4, B5)",
        paper=PAPER,
        labels=True,
        touches_trusted=True,
    )


def _chnr(weights: str) -> Recipe:
    return Recipe(
        hasher="contrastive",
        detector="adversarial",
        objective="nt-xent",
        phases=(WARM_UP, NOISY),
        parameters={"detector.weights": weights, "detector.epochs": EpochsOf("warm-up")},
        presets={"released": {**RELEASED_HASHER, **RELEASED_DETECTOR}},
    )


@hookimpl
def register_methods(register: RegisterMethod) -> None:
    """Register CHNR with its three kinds of weights, and the paper's ablations."""
    register("chnr", _chnr("normal"), summary="CHNR with weights p (the paper's 'normal')", paper=PAPER)
    register("chnr-cubed", _chnr("cubed"), summary="CHNR with weights p^3 (the paper's 'exponential')", paper=PAPER)
    register(
        "chnr-discrete", _chnr("discrete"), summary="CHNR with weights 0 and 1 (the paper's 'discrete')", paper=PAPER
    )
    register(
        "duch-ptc",
        Recipe("contrastive", "none", "nt-xent", (WARM_UP, NOISY), presets={"released": RELEASED_HASHER}),
        summary="warm-up on trusted pairs, then all pairs with weight 1 (the paper's 'DUCH-PTC')",
        paper=PAPER,
    )
    register(
        "duch-noisy",
        Recipe("contrastive", "none", "nt-xent", (Phase("noisy", 150),), presets={"released": RELEASED_HASHER}),
        summary="all pairs with weight 1 from the start (the paper's 'DUCH' row)",
        paper=PAPER,
    )


@hookimpl
def register_published(register: RegisterPublished) -> None:
    """Register the numbers of the paper's figures, as the authors publish them with their code."""
    register(
        "chnr-icip2022",
        Path(__file__).parent / "published.toml",
        summary="CHNR and its ablations, JDSH and DJSRH on UCM and RSICD at 5 to 50 % noise",
        paper=PAPER,
    )
