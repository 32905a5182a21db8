"""Shallow hashers of the field: closed forms and alternating solutions with linear hash functions.

The paper is the authority; where the public program differs, its way is a value of a parameter, and the preset
``released`` of the method has all of them. Three deviations are ours and common to all: features are centred, weights
of pairs are honoured, and the ridge is a multiple of the mean eigenvalue (docs/catalogue.md has each parameter).

======== =================================================================================== ==========================
cvh      Cyy stands where its inverse belongs in the eigenproblem                            ``inverse=false``
         features are not centred                                                            ``centring=false``
         a ridge of 1e-4 on the scatter matrix, whatever its size                            ``ridge``, ``ridge_unit``
imh      features are not centred; ridge of 1 on the scatter matrix                          as above
cmfh     mu stands inside the inverse of the W update, so that W is mu^2 times too small     ``projection=released``
         V and W are updated one after the other; W is regularised with gamma (as the paper) ``updates``, ``ridge_unit``
fsh      the distance in the exponential is not squared                                      ``distance=plain``
         the weight of the modalities is not normalised                                      ``normaliser=sum``
         no ridge                                                                            ``ridge=0``
rfdh     the exponent of the modalities' shares has the wrong sign                           ``shares=released``
         the rotation is regressed the wrong way round                                       ``rotation=released``
         features are not centred; ridge gamma on the scatter matrix                         as above
======== =================================================================================== ==========================

What no preset brings back: the released IMH takes its medians over the items that it is tested on, and RFDH encodes
database items of the training set with codes that were learned from both modalities.
"""

from __future__ import annotations

from harness import Parameter, Recipe, hookimpl
from harness.plugin.hookspecs import RegisterHasher, RegisterMethod

PLS = (
    "Gong, Lazebnik, Gordo, Perronnin, Iterative quantization: a Procrustean approach to learning binary codes, TPAMI "
    "2013, on the singular vectors of the cross-covariance (partial least squares)"
)
CVH = "Kumar, Udupa, Learning hash functions for cross-view similarity search, IJCAI 2011"
IMH = "Song, Yang, Yang, Huang, Shen, Inter-media hashing for large-scale retrieval from heterogeneous data sources, SIGMOD 2013"  # noqa: E501
CMFH = "Ding, Guo, Zhou, Collective matrix factorization hashing for multimodal data, CVPR 2014"
FSH = "Liu, Ji, Wu, Huang, Zhang, Cross-modality binary code learning via fusion similarity hashing, CVPR 2017"
RFDH = (
    "Wang, Wang, Gao, Robust and flexible discrete hashing for cross-modal similarity search, IEEE Transactions on "
    "Circuits and Systems for Video Technology 28(10), 2018"
)

CENTRING = Parameter("centring", True, "Subtract the training means first; the released program does not.")


def _ridge(of: str, *more: str, unit: str = "absolute", meaning: str = "1") -> list[Parameter]:
    return [
        Parameter("ridge", 1.0, f"Ridge {of}, in the unit of ridge_unit.", minimum=0),
        Parameter(
            "ridge_unit", "relative",
            f"Unit of the ridge: the mean eigenvalue of the scatter matrix that it is added to, or {meaning}.",
            ("relative", unit, *more),
        ),
    ]  # fmt: skip


RELEASED = {
    "pls-itq": None,
    "cvh": {"ridge": 1e-4, "ridge_unit": "absolute", "inverse": False, "centring": False},
    "imh": {"ridge": 1.0, "ridge_unit": "absolute", "centring": False},
    "cmfh": {"ridge_unit": "gamma", "updates": "separate", "projection": "released"},
    "fsh": {"ridge": 0.0, "distance": "plain", "normaliser": "sum"},
    "rfdh": {
        "ridge": 1e-4, "ridge_unit": "absolute", "centring": False, "shares": "released", "rotation": "released",
    },
}  # fmt: skip

HASHERS = {
    "pls-itq": (
        "pls_itq:PlsItq",
        "singular vectors of the cross-covariance, views of equal spread, then ITQ",
        PLS,
        [
            Parameter("power", 0.0, "Directions are scaled by their singular values to this power.", minimum=0),
            Parameter("iterations", 50, "Rotation updates of ITQ.", minimum=0),
        ],
    ),
    "cvh": (
        "cvh:CrossViewHashing",
        "signs of canonical directions (ridge CCA)",
        CVH,
        [
            *_ridge("of both covariances"),
            Parameter("inverse", True, "The inverse of Cyy in the eigenproblem, or (false, as released) Cyy itself."),
            CENTRING,
        ],
    ),
    "imh": (
        "imh:InterMediaHashing",
        "joint embedding of two neighbourhood graphs with linear functions, training medians",
        IMH,
        [
            Parameter("neighbours", 1, "Nearest neighbours in each graph (1 in the released demo).", minimum=1),
            Parameter("smoothness", 1.0, "lambda, the weight of both graphs.", minimum=0),
            *_ridge("of the linear functions (beta)"),
            CENTRING,
        ],
    ),
    "cmfh": (
        "cmfh:CollectiveMatrixFactorization",
        "one common factor of both modalities, predicted by linear functions",
        CMFH,
        [
            Parameter("mu", 100.0, "Weight of the linear functions against the factorisation.", above=0),
            Parameter("gamma", 0.01, "Weight of the regularisation.", above=0),
            Parameter("image_share", 0.5, "Share of the images (lambda in the CVPR paper).", minimum=0, maximum=1),
            *_ridge(
                "of the linear functions", unit="gamma",
                meaning="(gamma) gamma / mu whatever the ridge, as in the paper",
            ),
            Parameter("iterations", 25, "Sweeps over all unknowns.", minimum=1),
            Parameter(
                "updates", "joint", "Common factor and linear functions in one exact update, or one after the other as "
                "in the paper, which after 25 sweeps is far from the minimum.", ("joint", "separate"),
            ),
            Parameter(
                "projection", "exact", "The exact update of W, or the released one, mu^2 times too small.",
                ("exact", "released"),
            ),
        ],
    ),
    "fsh": (
        "fsh:FusionSimilarityHashing",
        "codes that follow a fused similarity to anchors, with linear functions",
        FSH,
        [
            Parameter("anchors", 50, "Number of anchors; all pairs where there are fewer.", minimum=1),
            Parameter(
                "anchor_choice", "random", "Anchors are training pairs drawn at random, or centres of k-means on both "
                "modalities together.", ("random", "k-means"),
            ),
            Parameter("neighbours", 10, "Nearest anchors of a pair and of an anchor.", minimum=1),
            Parameter("iterations", 100, "Largest number of alternations; it ends where nothing changes.", minimum=1),
            Parameter("balance", 300.0, "lambda, the weight of the linear functions.", minimum=0),
            Parameter("exponent", 0.5, "Exponent of the weights of both similarities.", minimum=0, maximum=0.99),
            *_ridge("of the linear functions"),
            Parameter(
                "distance", "squared", "Distance in the Gaussian similarity of anchors; the released program forgets "
                "the square (plain).", ("squared", "plain"),
            ),
            Parameter(
                "normaliser", "powers", "What the weights of both similarities are divided by: the sum of their "
                "powers, or (as released) the power of their sum, which makes no 1 of equal ones.", ("powers", "sum"),
            ),
        ],
    ),
    "rfdh": (
        "rfdh:RobustFlexibleDiscreteHashing",
        "robust factorisation with balanced binary codes, then linear functions",
        RFDH,
        [
            Parameter("exponent", 3.0, "L, the exponent of the shares of both modalities.", above=1),
            Parameter("gamma", 1e-4, "Weight of the regularisation.", above=0),
            Parameter("iterations", 20, "Iterations of the factorisation.", minimum=1),
            Parameter("passes", 5, "Passes over the bits in each iteration.", minimum=1),
            Parameter(
                "shares", "exact", "Shares of the modalities: the better fit counts more, which is the minimum, or (as "
                "released) the worse.", ("exact", "released"),
            ),
            Parameter("eta", 10.0, "Weight of the codes when the linear functions are fitted.", minimum=0),
            Parameter(
                "rotation", "orthogonal", "Between latent and codes: the best rotation, ridge regression of the codes, "
                "or (as released) the regression the wrong way round.", ("orthogonal", "regression", "released"),
            ),
            Parameter("function_iterations", 5, "Alternations when the linear functions are fitted.", minimum=1),
            *_ridge("of the linear functions"),
            CENTRING,
        ],
    ),
}  # fmt: skip


@hookimpl
def register_hashers(register: RegisterHasher) -> None:
    """Register the hashers; all of them weigh pairs."""
    for name, (target, summary, paper, parameters) in HASHERS.items():
        register(name, f"harness_plugins.shallow_hashing.{target}", summary=summary, paper=paper, parameters=parameters)


@hookimpl
def register_methods(register: RegisterMethod) -> None:
    """Register a method for each hasher."""
    for name, (_, summary, paper, _) in HASHERS.items():
        released = RELEASED[name]
        presets = {"released": {f"hasher.{key}": value for key, value in released.items()}} if released else {}
        register(name, Recipe(hasher=name, presets=presets), summary=summary, paper=paper)
