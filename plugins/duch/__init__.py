"""DUCH (Mikriukov, Ravanbakhsh, Demir, ICASSP 2022, arXiv 2204.08707; longer: arXiv 2201.08125).

The whole method, with the intra-modal, adversarial and bit-balance terms that the rows "DUCH" of CHNR's tables leave
out (methods ``duch-noisy`` and ``duch-ptc``). Its contrastive loss is the objective ``nt-xent``. DUCH knows no noise:
weights act as in CHNR, see :class:`harness_plugins.duch.hasher.DuchHasher`.

Two presets: ``described`` with the bugs of the public program (``comrados/duch``) mended; ``released`` is what it does:

============================================================================ =======================================
the augmented caption is never used, the caption is its own augmented view    ``hasher.augmented_text=ignore``
(``train_epoch``; B1 of CHNR's program)
the discriminator takes caption codes for real, and the adversarial loss asks ``hasher.adversarial_codes=text``
that caption codes look real: both pull one way, no image code is pushed
(``calculate_losses``)
the bit balance sums the bits inside a code, not each bit over the batch      ``hasher.bit_balance=codes``
(``calc_bit_balance_loss``)
============================================================================ =======================================
"""

from __future__ import annotations

from harness import Need, Parameter, Phase, Recipe, hookimpl
from harness.plugin.hookspecs import RegisterHasher, RegisterMethod

PAPER = (
    "Mikriukov, Ravanbakhsh, Demir, Unsupervised contrastive hashing for cross-modal retrieval in remote sensing, "
    "ICASSP 2022, arXiv 2204.08707"
)


@hookimpl
def register_hashers(register: RegisterHasher) -> None:
    """Register the hasher."""
    register(
        "duch",
        "harness_plugins.duch.hasher:DuchHasher",
        summary="two hash networks, contrastive, adversarial, quantisation and bit-balance terms (DUCH)",
        paper=PAPER,
        offers=Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS,
        takes_objective=True,
        phases=(Phase("training", 100),),
        precisions=("fp32", "bf16", "tf32"),
        parameters=[
            Parameter("hidden", 4096, "Width of the hidden layer.", minimum=1),
            Parameter("batch_size", 256, "Pairs per batch; the terms are sums over it.", minimum=2),
            Parameter("learning_rate", 1e-4, "Step size of Adam, of the networks and the discriminator.", above=0),
            Parameter("weight_decay", 5e-4, "Weight decay of the networks.", minimum=0),
            Parameter("discriminator_weight_decay", 1e-4, "Weight decay of the discriminator.", minimum=0),
            Parameter("inter", 1.0, "Weight of the objective between image and caption.", minimum=0),
            Parameter("intra_image", 1.0, "Weight of the objective between image and augmented image.", minimum=0),
            Parameter("intra_text", 1.0, "Weight of the objective between caption and augmented caption.", minimum=0),
            Parameter("alpha", 0.01, "Weight of the adversarial loss.", minimum=0),
            Parameter("beta", 1e-3, "Weight of the quantisation loss.", minimum=0),
            Parameter("gamma", 0.01, "Weight of the bit-balance loss.", minimum=0),
            Parameter("penalty", 10.0, "Factor of the discriminator's gradient penalty.", minimum=0),
            Parameter(
                "step_epochs", 50, "The learning rate falls after epochs 0, N, 2N, ... (counted from 0).", minimum=1,
            ),
            Parameter("step_factor", 0.8, "Factor by which it falls.", above=0, maximum=1),
            Parameter("smallest_learning_rate", 1e-6, "It does not fall below this.", minimum=0),
            Parameter(
                "augmented_text", "use", "Use the augmented caption view where the data have one, or ignore it.",
                ("use", "ignore"),
            ),
            Parameter(
                "adversarial_codes", "image",
                "Which codes learn to look like captions' to the discriminator: the images', or, as in the program, "
                "the captions' own.", ("image", "text"),
            ),
            Parameter(
                "bit_balance", "bits",
                "Balance each bit over the batch, or, as in the program, the bits inside each code.",
                ("bits", "codes"),
            ),
        ],
    )  # fmt: skip


@hookimpl
def register_methods(register: RegisterMethod) -> None:
    """Register the method."""
    register(
        "duch",
        Recipe(
            "duch", objective="nt-xent",
            presets={"released": {
                "hasher.augmented_text": "ignore", "hasher.adversarial_codes": "text", "hasher.bit_balance": "codes",
            }},
        ),
        summary="DUCH with all its terms, on all pairs", paper=PAPER,
    )  # fmt: skip
