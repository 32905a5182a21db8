"""The retrieval metrics: ids, definitions and cutoffs. The formulas are in :mod:`harness.retrieval.metrics`."""

from __future__ import annotations

from functools import partial

from harness import hookimpl
from harness.plugin.hookspecs import RegisterMetric

CUTOFFS = (1, 5, 10, 20, 50, 100)
RADII = (0, 1, 2, 3, 4, 5)
TIES = " Expectation over random order of items at equal Hamming distance."
MCSHERRY = (
    "McSherry and Najork, Computing IR performance measures efficiently in the presence of tied scores, ECIR 2008"
)
DJSRH = "Su et al., Deep joint-semantics reconstructing hashing, ICCV 2019 (released code, calculate_top_map)"
CHNR = "Mikriukov et al., ICIP 2022, arXiv 2202.13117 (released code, calc_map_k)"


@hookimpl
def register_metrics(register: RegisterMetric) -> None:
    """Register the metrics of docs/protocols-and-metrics.md: means of shares and probabilities, from 0 to 1."""
    register = partial(register, bounds=(0.0, 1.0))
    formulas = "harness.retrieval.metrics:"
    register(
        "map",
        formulas + "average_precision",
        summary="mean average precision; @K: of the first K ranks, over the most that they can hold",
        definition="AP = sum of P(t) at relevant ranks t, over R, the relevant items in the database; "
        "AP@K = the same over ranks t <= K, divided by min(K, R)." + TIES,
        cutoffs=(None, *CUTOFFS),
        paper=MCSHERRY,
    )
    register(
        "map_optimistic",
        formulas + "average_precision_optimistic",
        summary="upper bound of map: relevant items first in every tie",
        definition="AP with the relevant items first among items at equal distance.",
    )
    register(
        "map_pessimistic",
        formulas + "average_precision_pessimistic",
        summary="lower bound of map: relevant items last in every tie",
        definition="AP with the relevant items last among items at equal distance.",
    )
    register(
        "map_hits",
        formulas + "average_precision_hits",
        summary="average precision of the first K ranks over the hits there (@K; DJSRH line of code)",
        definition="Sum of P(t) at relevant ranks t <= K, divided by their number; 0 without any." + TIES,
        cutoffs=CUTOFFS,
        empty_query="counts 0",
        paper=DJSRH,
    )
    register(
        "map_relevant",
        formulas + "average_precision_relevant",
        summary="precision at the ranks of the first K relevant items (@K; @20 is the CHNR paper's mAP@20)",
        definition="Mean of i / t_i over the first min(K, R) relevant items, t_i their ranks in the whole ranking."
        + TIES,
        cutoffs=CUTOFFS,
        empty_query="counts 0",
        paper=CHNR,
    )
    register(
        "p",
        formulas + "precision",
        summary="precision of the first K ranks (@K)",
        definition="Relevant items among the first K ranks, divided by K." + TIES,
        cutoffs=CUTOFFS,
    )
    register(
        "r",
        formulas + "recall",
        summary="recall of the first K ranks (@K)",
        definition="Relevant items among the first K ranks, divided by R." + TIES,
        cutoffs=CUTOFFS,
    )
    register(
        "hit",
        formulas + "hit",
        summary="share of queries with a relevant item in the first K ranks (@K)",
        definition="1 if a relevant item is among the first K ranks, otherwise 0." + TIES,
        cutoffs=CUTOFFS,
    )
    register(
        "mrr",
        formulas + "reciprocal_rank",
        summary="mean reciprocal rank within the first K ranks (@K)",
        definition="1 / rank of the first relevant item; 0 if that is beyond rank K." + TIES,
        cutoffs=CUTOFFS,
    )
    register(
        "ndcg",
        formulas + "ndcg",
        summary="normalised discounted cumulative gain of the first K ranks (@K)",
        definition="DCG@K with gains 0 and 1 and discount 1 / log2(rank + 1), over the largest possible." + TIES,
        cutoffs=CUTOFFS,
    )
    register(
        "p_radius",
        formulas + "precision_in_radius",
        summary="precision within Hamming distance R, inclusive (@R)",
        definition=(
            "Relevant items within Hamming distance R (inclusive), divided by the items there; 0 where there are none."
        ),
        cutoffs=RADII,
    )
