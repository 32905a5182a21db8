"""Methods from noisy-correspondence learning on CHNR's hash networks: recipes of detector, objective and phases.

The papers train for 30 to 50 epochs of a thousand steps; a data set of a thousand pairs has 5 steps in an epoch. All
recipes therefore have the 150 epochs of the other methods here, divided as the paper divides its own, and constants
that count steps are scaled by the same measure; the preset ``published`` has the papers' numbers instead.
"""

from __future__ import annotations

from harness_plugins.noisy_correspondence.declared import CCA, CRCL, DECL, GSC, MSCN, NCR, RCL

from harness import EpochsOf, Phase, Recipe, hookimpl
from harness.plugin.hookspecs import RegisterMethod

ALL = (Phase("training", 150),)


@hookimpl
def register_methods(register: RegisterMethod) -> None:
    """Register the methods; each takes any other --hasher, --detector or --objective."""
    register(
        "cca-hash", Recipe("contrastive", "cca-consistency", "nt-xent", ALL), paper=CCA,
        summary="contrastive hashing with weights from a canonical space; no trusted pair",
    )  # fmt: skip
    register(
        "gsc-hash",
        # GSC's targets are the smaller of structure consistency and the learner's own prediction.
        Recipe(
            "contrastive", "structure", "nt-xent", ALL,
            presets={"published": {
                "detector.cross_modal": True, "detector.groups": "gaussian", "detector.temperature": 0.0,
                "detector.rounds": 1, "objective.temperature": 0.07,
            }},
        ),
        paper=GSC, summary="contrastive hashing with weights from geometrical structure consistency",
    )  # fmt: skip
    register(
        "ncr-hash",
        # NCR: 5 epochs of warm-up, then 40, pairs called wrong in the second half only.
        Recipe(
            "contrastive", "loss-gmm", "soft-margin",
            (Phase("warm-up", 16, trust="ones"), Phase("right", 67), Phase("all", 67)),
            parameters={
                "detector.warm_up": EpochsOf("warm-up"), "detector.noisy_after": EpochsOf("right"),
                "detector.co_teaching": True,
            },
            presets={"published": {"detector.guard": 0.0}},
        ),
        paper=NCR, summary="two co-taught hashers, Gaussian mixture on losses, recast soft margins",
    )  # fmt: skip
    register(
        "decl-hash",
        # DECL: 5 of 45 epochs of warm-up. All negatives shrink to the hardest five within a ninth of its steps.
        Recipe(
            "contrastive", "evidential", "evidential-loss", (Phase("warm-up", 16, trust="ones"), Phase("main", 134)),
            parameters={"detector.warm_up": EpochsOf("warm-up"), "objective.shrink": 3.0},
            # tau = 0.1 tells captions of one class apart, and the KL term drives all outputs together in few steps.
            presets={
                "published": {"objective.shrink": 0.025, "detector.guard": 0.0},
                "smooth": {
                    "objective.temperature": 1.0, "detector.temperature": 1.0, "objective.form": "log",
                    "objective.divergence": 0.0, "objective.hard_weight": 0.0,
                },
            },
        ),
        paper=DECL, summary="evidential loss and the division of pairs by belief",
    )  # fmt: skip
    register(
        "rcl-hash",
        # tau = 0.05 tells captions of one class apart; "smooth" leaves them together (docs/detectors.md).
        Recipe("contrastive", "none", "complementary", ALL, presets={"smooth": {"objective.temperature": 0.3}}),
        paper=RCL,
        summary="complementary contrastive loss, no detector",
    )  # fmt: skip
    register(
        "crcl-hash",
        # CRCL: networks trained anew for (5 + 2), (5 + 2), (5 + 2) and (30 + 2) epochs, labels kept: 7 : 7 : 7 : 32.
        Recipe(
            "contrastive", "self-refine", "active-complementary",
            (
                Phase("refine-1", 20), Phase("refine-2", 20, restart=True), Phase("refine-3", 20, restart=True),
                Phase("final", 90, restart=True),
            ),
            presets={
                "published": {"detector.guard": 0.0},
                "smooth": {"objective.temperature": 0.5, "detector.temperature": 0.5},
            },
        ),
        paper=CRCL, summary="active complementary loss, self-refined labels, training restarted",
    )  # fmt: skip
    register(
        "mscn-hash",
        # MSCN: 5 of 35 epochs of warm-up.
        Recipe(
            "contrastive", "meta-similarity", "nt-xent", (Phase("warm-up", 20, trust="ones"), Phase("main", 130)),
            presets={"published": {"detector.meta_rate": 1.7e-5, "detector.purify": True}},
        ),
        paper=MSCN, summary="weights from a meta-learned similarity; needs trusted pairs",
    )  # fmt: skip
