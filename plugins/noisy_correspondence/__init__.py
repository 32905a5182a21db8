"""Noisy-correspondence learning, taken apart: detectors, objectives and methods that any hasher can use.

The papers train retrieval networks; what each says of a pair (a detector), how it bears wrong pairs (an objective) and
when it does so (the phases of a recipe) are separate here. Where a formula names no equation it is that of the authors'
published program, whose function is named beside it; docs/detectors.md lists every deviation.
"""

from __future__ import annotations

from harness_plugins.noisy_correspondence.declared import (
    BLOCK,
    CCA,
    CRCL,
    DECL,
    GROUPS,
    GSC,
    GUARD,
    MIXTURE,
    MSCN,
    NCR,
    RCL,
    TEMPERATURE,
    WARM_UP,
)  # fmt: skip

from harness import Need, Parameter, hookimpl
from harness.plugin.hookspecs import RegisterComponent

HERE = "harness_plugins.noisy_correspondence."


@hookimpl
def register_detectors(register: RegisterComponent) -> None:
    """Register the detectors."""
    register(
        "cca-consistency", HERE + "canonical_consistency:CanonicalConsistency", paper=CCA,
        summary="agreement of image and caption in a cross-fitted, reweighted canonical space; no trusted pair",
        parameters=[
            Parameter("directions", 64, "Leading canonical directions.", minimum=1),
            Parameter("ridge", 1.0, "Ridge, as a multiple of the mean eigenvalue of each covariance.", above=0),
            Parameter("rounds", 4, "Rounds of fitting and weighing.", minimum=1),
            Parameter("folds", 5, "A pair is judged in a space made from the other folds; 1: from all.", minimum=1),
            GROUPS,
        ],
    )  # fmt: skip
    register(
        "structure", HERE + "structure_consistency:StructureConsistency", paper=GSC,
        summary="agreement of image-image with text-text relations (GSC, BiCro); no trusted pair, before training",
        parameters=[
            Parameter("relation", "rows", "Compare whole rows of relations (GSC) or the nearest sure pairs (BiCro).",
                      ("rows", "anchors")),
            Parameter("temperature", 0.1, "Softmax over relations of an item; 0: plain cosines, as GSC.", minimum=0),
            Parameter("rounds", 2, "Rounds; later ones count relations by the weights of the round before.", minimum=1),
            GROUPS,
            Parameter("anchors", 4096, "Relations to that many other pairs at most.", minimum=8),
            Parameter("sure", 0.1, "Share of pairs that are anchors (BiCro).", above=0, maximum=1),
            Parameter("cross_modal", False, "Also take the learner's own match probability each epoch, and the smaller "
                      "of both (GSC).", needs={True: Need.EPOCHS}),
            Parameter("momentum", 0.7, "Weight of the newest epoch's match probability.", minimum=0, maximum=1),
            Parameter("match_temperature", 0.07, "Temperature of the match probability.", above=0),
            BLOCK,
        ],
    )  # fmt: skip
    register(
        "clip-similarity", HERE + "shared_space:SharedSpaceSimilarity", needs=Need.SHARED_SPACE,
        paper="after Hessel et al., CLIPScore, EMNLP 2021",
        summary="cosine of image and caption features of a shared space", parameters=[GROUPS],
    )  # fmt: skip
    for name, family, paper in (("loss-gmm", "Gaussian", NCR), ("loss-bmm", "Beta", NCR + "; " + MIXTURE)):
        register(
            name, f"{HERE}loss_mixture:{family}Losses", paper=paper, needs=Need.EPOCHS | Need.PAIR_LOSSES,
            summary=f"two-component {family} mixture on the losses of all pairs after each epoch",
            parameters=[
                WARM_UP,
                Parameter("noisy_after", 20, "Epochs after the warm-up before pairs called wrong get a target.",
                          minimum=0),
                Parameter("margin", 0.2, "Margin of the prediction that recasts the target.", above=0),
                BLOCK, GUARD,
                Parameter("co_teaching", False, "Train two hashers, each with the trust from the other's losses.",
                          needs={True: Need.TWO_LEARNERS}),
            ],
        )  # fmt: skip
    register(
        "evidential", HERE + "evidential:EvidentialDivision", paper=DECL, needs=Need.EPOCHS,
        summary="Dirichlet evidence from the learner's similarities divides the pairs after each epoch",
        parameters=[
            WARM_UP,
            Parameter("temperature", 0.1, "tau of the evidence exp(tanh(s) / tau).", above=0),
            BLOCK,
            Parameter("weights", "division", "0 or 1 by the division; belief over the largest belief; or belief x "
                      "(1 - uncertainty).", ("division", "ratio", "certainty")),
            GUARD,
        ],
    )  # fmt: skip
    register(
        "self-refine", HERE + "self_refine:SelfRefiningCorrespondence", paper=CRCL, needs=Need.EPOCHS,
        summary="labels frozen, then averaged with the learner's match probability; kept over restarts",
        parameters=[
            Parameter("frozen", 2, "Epochs at the start of each phase in which labels stay.", minimum=1),
            Parameter("momentum", 0.8, "alpha: share of the old label.", minimum=0, maximum=1),
            Parameter("temperature", 0.05, "tau of the match probability.", above=0),
            Parameter("threshold", 0.1, "Labels below it become 0.", minimum=0, maximum=1),
            BLOCK, GUARD,
        ],
    )  # fmt: skip
    register(
        "meta-similarity", HERE + "meta_similarity:MetaSimilarity", paper=MSCN,
        needs=Need.TRUSTED | Need.EPOCHS | Need.PAIR_LOSSES,
        summary="a small network weighs pairs, trained on trusted pairs through a virtual step of the hasher",
        parameters=[
            Parameter("hidden", 64, "Hidden units of the small network.", minimum=1),
            Parameter("meta_rate", 1e-3, "Step size of its Adam (the paper: 1.7e-5, over many more steps).", above=0),
            Parameter("virtual_rate", 0.1, "Size of the virtual step.", minimum=0),
            Parameter("batch_size", 128, "Trusted pairs in a meta step.", minimum=2),
            Parameter("purify", False, "Leave out pairs with a posterior below 1/2 instead of weighing them."),
        ],
    )  # fmt: skip


@hookimpl
def register_objectives(register: RegisterComponent) -> None:
    """Register the objectives."""
    register(
        "complementary", HERE + "objectives:Complementary", paper=RCL,
        summary="complementary contrastive loss: only says what is not the match",
        parameters=[
            TEMPERATURE,
            Parameter("form", "log", "Form f of the loss.", ("log", "tan", "abs", "exp", "gce")),
            Parameter("q", 0.5, "q of the form gce.", above=0, maximum=1),
        ],
    )  # fmt: skip
    register(
        "active-complementary", HERE + "objectives:ActiveComplementary", paper=CRCL,
        summary="active loss by the soft label plus robust complementary loss",
        parameters=[TEMPERATURE, Parameter("factor", 5.0, "Factor of the complementary part.", minimum=0)],
    )  # fmt: skip
    register(
        "gce", HERE + "objectives:GeneralisedCrossEntropy",
        paper="Zhang, Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels, "
        "NeurIPS 2018",
        summary="generalised cross-entropy between InfoNCE (q to 0) and absolute error (q = 1)",
        parameters=[TEMPERATURE, Parameter("q", 0.7, "q.", above=0, maximum=1)],
    )  # fmt: skip
    register(
        "soft-margin", HERE + "objectives:SoftMargin", paper=NCR,
        summary="triplet loss against the hardest negative (all of them in the warm-up), margin by the soft label",
        parameters=[Parameter("margin", 0.2, "Margin of a pair that is right.", above=0)],
    )  # fmt: skip
    register(
        "evidential-loss", HERE + "evidential_loss:EvidentialLoss", paper=DECL,
        summary="evidential loss with a KL term and ever harder negatives",
        parameters=[
            Parameter("temperature", 0.1, "tau of the evidence exp(tanh(s) / tau).", above=0),
            Parameter("form", "squared", "Squared error and variance (DECL), or log (Sensoy et al.).",
                      ("squared", "log")),
            Parameter("divergence", 0.1, "Weight of the KL term.", minimum=0),
            Parameter("annealing", 0, "The KL term rises over so many steps; 0: constant, as in DECL.", minimum=0),
            Parameter("hard_weight", 0.8, "Weight of the hard negatives.", minimum=0),
            Parameter("hard_sum", True, "Sum the hard negatives of a batch where the rest is averaged, as in DECL."),
            Parameter("margin", 0.2, "Margin of the hinge.", minimum=0),
            Parameter("shrink", 0.025, "Negatives fewer with each training step.", minimum=0),
            Parameter("fewest", 5, "Never fewer hard negatives.", minimum=1),
        ],
    )  # fmt: skip
