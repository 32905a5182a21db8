"""Unsupervised hashers that learn by contrast: UCCH, and a plain network with a chosen objective.

UCCH's preset ``described`` is the paper; ``released`` is the published program. They differ in these parameters:

====================================================================================== ================================
the bank keeps averages of length 1, and rows that no pair filled yet count            ``hasher.bank=normalised``
negatives are drawn from all pairs, so a pair may be among its own negatives           ``hasher.drawn_from=all``
as many negatives as in the paper whatever the number of pairs                         ``hasher.negatives=4096``
an incomplete last batch is left out                                                   ``hasher.drop_last=true``
the learning rate falls one epoch late                                                 ``hasher.late=1``
====================================================================================== ================================

Not repeated: the program keeps the epoch with the best mAP, by labels, of 2,000 training pairs.
"""

from __future__ import annotations

from harness import Need, Parameter, Phase, Recipe, hookimpl
from harness.plugin.hookspecs import RegisterHasher, RegisterMethod

UCCH = (
    "Hu, Zhu, Lin, Peng, Zhao, Peng, Unsupervised contrastive cross-modal hashing, TPAMI 45(3), 2023, doi "
    "10.1109/TPAMI.2022.3177356"
)
UCMFH = (
    "hash networks of Xia, Dong, Li, Zhu, Ying, When CLIP meets cross-modal hashing retrieval (UCMFH), Information "
    "Fusion 2023, without its fusion transformer; NT-Xent: Chen et al., SimCLR, ICML 2020"
)
HERE = "harness_plugins.contrastive_hashing."
LEARNER = Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS
PRECISIONS = ("fp32", "bf16", "tf32")

RELEASED = {
    "hasher.bank": "normalised", "hasher.drawn_from": "all", "hasher.negatives": "4096", "hasher.drop_last": True,
    "hasher.late": 1,
}  # fmt: skip


@hookimpl
def register_hashers(register: RegisterHasher) -> None:
    """Register both hashers."""
    register(
        "ucch", HERE + "ucch:UCCH", paper=UCCH, offers=LEARNER, phases=(Phase("training", 20),), precisions=PRECISIONS,
        summary="contrast with a memory bank of binary codes, and cross-modal ranking",
        parameters=[
            Parameter("hidden", 8192, "Width of the hidden layers.", minimum=1),
            Parameter("image_layers", 3, "Linear layers of the image network.", minimum=1),
            Parameter("text_layers", 2, "Linear layers of the caption network.", minimum=1),
            Parameter("batch_size", 256, "Pairs per batch.", minimum=2),
            Parameter("learning_rate", 1e-4, "Step size of Adam.", above=0),
            Parameter("weight_decay", 1e-6, "Weight decay of Adam.", minimum=0),
            Parameter("clip", 1.0, "Largest norm of the gradient of all weights together.", above=0),
            Parameter("beta", 0.9, "Weight of the contrastive term (equation 2); the ranking term has 1 - beta. Chosen "
                      "on labelled data in the paper (0.7 for MIRFlickr).", minimum=0, maximum=1),
            Parameter("temperature", 0.9, "t of equation 4.", above=0),
            Parameter("momentum", 0.4, "delta of equation 5.", minimum=0, maximum=0.999),
            Parameter("negatives", "auto", "K of equation 4: negatives drawn for each pair, with replacement (the "
                      "paper: 4096 of 18,000 pairs and more); auto: 4096, or all other pairs where there are no more."),
            Parameter("drawn_from", "others", "Whether a pair may be its own negative: others, or all.",
                      ("others", "all")),
            Parameter("bank", "average", "Equation 5 as it stands, or rows of length 1 (the program).",
                      ("average", "normalised")),
            Parameter("warm_up", 1, "Epochs at the start in which the batch serves as the bank (the program).",
                      minimum=0),
            Parameter("margin", 0.2, "m of equations 8 and 14.", minimum=0),
            Parameter("shift", 1.0, "How far similarities outside the margin are lowered (equation 8; the program: 1, "
                      "0.1 for MIRFlickr).", minimum=0),
            Parameter("drop_last", False, "Leave out an incomplete last batch (the program)."),
            Parameter("step_epochs", 30, "The learning rate falls to a tenth after 30, 60, 90 and 120 epochs (the "
                      "program; the paper trains for 20).", minimum=1),
            Parameter("late", 0, "It falls so many epochs late.", minimum=0),
        ],
    )  # fmt: skip
    register(
        "mlp-ntxent", HERE + "plain_networks:PlainNetworks", paper=UCMFH, offers=LEARNER, takes_objective=True,
        phases=(Phase("training", 100),), precisions=PRECISIONS,
        summary="plain floor: one hidden layer, dropout, tanh, a chosen objective and nothing else",
        parameters=[
            Parameter("hidden", 4096, "Width of the hidden layer.", minimum=1),
            Parameter("dropout", 0.3, "Dropout after the hidden layer.", minimum=0, maximum=0.99),
            Parameter("batch_size", 128, "Pairs per batch.", minimum=2),
            Parameter("learning_rate", 1e-4, "Step size of Adam (UCMFH: 1e-3, 1e-4 for its transformer).",
                      above=0),
        ],
    )  # fmt: skip


@hookimpl
def register_methods(register: RegisterMethod) -> None:
    """Register both methods."""
    register(
        "ucch", Recipe("ucch", phases=(Phase("training", 20),), presets={"released": RELEASED}), paper=UCCH,
        summary="UCCH: contrast with a memory bank of binary codes, and cross-modal ranking",
    )  # fmt: skip
    register(
        "mlp-ntxent",
        Recipe("mlp-ntxent", objective="nt-xent", phases=(Phase("training", 100),),
               parameters={"objective.temperature": 0.5}),
        paper=UCMFH, summary="plain strong floor: two small networks, NT-Xent at temperature 0.5",
    )  # fmt: skip
