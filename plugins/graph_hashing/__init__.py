"""Hashers that build a graph over the training pairs: DGCPN (AAAI 2021) and CIRH (TKDE 2022).

Formulas are those of the authors' published programs, whose functions are named beside them. The preset ``described``
mends the programs' bugs, ``released`` repeats them; each deviation is one parameter:

========= ======================================================================= ======================================
``dgcpn`` constants of the program, which are tied to its 5000 training pairs     ``hasher.neighbours=2000``
                                                                                  ``hasher.scale=4000``
``cirh``  stage 2 reads the similarity by position in the shuffled epoch          ``hasher.structure_rows=positions``
``cirh``  features are mixed with the second and third neighbour, not the first   ``hasher.mixed_neighbours=second``
========= ======================================================================= ======================================

Both programs choose the epoch that is evaluated by class labels (CIRH's by those of the queries); here it is the last.
"""

from __future__ import annotations

from harness import Need, Parameter, Phase, Recipe, hookimpl
from harness.plugin.hookspecs import RegisterHasher, RegisterMethod

DGCPN = (
    "Yu, Zhou, Zhan, Tao, Deep graph-neighbor coherence preserving network for unsupervised cross-modal hashing, AAAI "
    "2021, arXiv 2012.13538; program: github.com/Atmegal/DGCPN"
)
CIRH = (
    "Zhu, Wu, Li, Zhang, Guan, Shen, Work together: correlation-identity reconstruction hashing for unsupervised "
    "cross-modal retrieval, TKDE 2022; program: github.com/XizeWu/CIRH"
)
NEIGHBOURS = Parameter(
    "neighbours", 0.4,
    "Most similar pairs that each keeps, itself included: a share of the training pairs (below 1; both programs keep "
    "2000 of 5000), or a number.", above=0,
)  # fmt: skip


@hookimpl
def register_hashers(register: RegisterHasher) -> None:
    """Register both hashers."""
    register(
        "dgcpn", "harness_plugins.graph_hashing.dgcpn:Dgcpn", paper=DGCPN,
        summary="graph-neighbour coherence as target of all cosines, half-real and half-binary updates",
        offers=Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS, phases=(Phase("training", 100),),
        parameters=[
            Parameter("hidden", 4096, "Width of the hidden layer.", minimum=1),
            Parameter("batch_size", 32, "Pairs per batch.", minimum=2),
            Parameter("learning_rate", 5e-3, "Step size of SGD.", above=0),
            Parameter("momentum", 0.9, "Momentum of SGD.", minimum=0, maximum=0.999),
            Parameter("weight_decay", 5e-4, "Weight decay of SGD.", minimum=0),
            Parameter("dropout", 0.5, "Dropout after the hidden layer.", minimum=0, maximum=0.99),
            Parameter("text_share", 0.01, "Share of the captions in the mixed similarity (a1).", minimum=0, maximum=1),
            Parameter("graph_share", 0.3, "Share of the coexistence in the target (a2).", minimum=0, maximum=1),
            NEIGHBOURS,
            Parameter("scale", 0.0, "Factor of the coexistence P P^T; 0: 0.8 of the number of training pairs, which is "
                      "the program's 4000 at its 5000.", minimum=0),
            Parameter("pair_target", 1.5, "What the cosine of a pair is drawn to (K).", minimum=0),
            Parameter("distance", 1.0, "Weight of the distance terms (dw).", minimum=0),
            Parameter("consistency", 1.0, "Weight of the consistency terms (cw).", minimum=0),
        ],
    )  # fmt: skip
    register(
        "cirh", "harness_plugins.graph_hashing.cirh:Cirh", paper=CIRH,
        summary="joint codes from graph networks that rebuild both features, and two hash functions that learn them",
        offers=Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS, phases=(Phase("training", 60),),
        parameters=[
            Parameter("hidden", 4096, "Width of the hidden layer of the image function.", minimum=1),
            Parameter("hidden_text", 0, "Width of the hidden layer of the text function; 0: of the caption features.",
                      minimum=0),
            Parameter("width", 512, "Width of the joint network's layers.", minimum=1),
            Parameter("batch_size", 512, "Pairs per batch.", minimum=2),
            Parameter("learning_rate_codes", 1e-3, "Step size of Adam, joint network (LR_MyNet).", above=0),
            Parameter("learning_rate", 1e-4, "Step size of Adam, hash functions (LR_IMG, LR_TXT).", above=0),
            Parameter("dropout", 0.3, "Dropout in the hash functions.", minimum=0, maximum=0.99),
            Parameter("image_share", 0.6, "Share of the images in the mixed similarity (a1); the program has 0.6 for "
                      "MIRFlickr, 0.5 for NUS-WIDE, 0.1 for COCO.", minimum=0, maximum=1),
            Parameter("plain_share", 0.6, "Share of the similarity itself, against its saturated form (a2); 0.6, 0.5 "
                      "and 0.3 there.", minimum=0, maximum=1),
            NEIGHBOURS,
            Parameter("reconstruction", 10.0, "Weight of rebuilding both features (lambda1).", minimum=0),
            Parameter("correlation", 1.0, "Weight of the correlation terms (lambda2).", minimum=0),
            Parameter("structure", 0.01, "Weight of the structure terms of the hash functions (beta).", minimum=0),
            Parameter("mixed_neighbours", "first", "Features are mixed with the first and second neighbour in the "
                      "batch, or, as in the program, with the second and third.", ("first", "second")),
            Parameter("structure_rows", "pairs", "Hash functions learn the similarity of their pairs, or, as in the "
                      "program, of the pairs at the positions in the data that they have in the shuffled epoch.",
                      ("pairs", "positions"), needs={"positions": Need.SOURCE_ORDER}),
        ],
    )  # fmt: skip


@hookimpl
def register_methods(register: RegisterMethod) -> None:
    """Register both methods."""
    register(
        "dgcpn",
        Recipe("dgcpn", presets={"released": {"hasher.neighbours": 2000.0, "hasher.scale": 4000.0}}),
        summary="DGCPN: graph-neighbour coherence, half-real and half-binary training",
        paper=DGCPN,
    )
    register(
        "cirh",
        Recipe(
            "cirh",
            presets={
                "released": {
                    "hasher.mixed_neighbours": "second",
                    "hasher.structure_rows": "positions",
                }
            },
        ),
        summary="CIRH: joint codes by correlation and identity reconstruction, and hash functions that learn them",
        paper=CIRH,
    )
