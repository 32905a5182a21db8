"""Average ranks over data sets, and whether they differ: Friedman, Iman-Davenport, Nemenyi, Wilcoxon with Holm.

The procedure of J. Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006), 3.2: in each
block (a data set) the best row has rank 1, equal ones the mean of their ranks; Friedman's test asks whether the average
ranks differ at all, and a post-hoc test which of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import HarnessError, unknown_name
from harness.report.statistics.paired_tests import holm
from harness.text import counted

Floats = NDArray[np.float64]

POST_HOC = ("nemenyi", "wilcoxon-holm")
ALPHA = 0.05

FEW_BLOCKS = 10
"""Friedman's chi-square is an approximation for more blocks than this and more than five rows (Demsar 2006, 3.2.2)."""


@dataclass(frozen=True)
class Ranking:
    """The result of :func:`ranking`.

    Attributes:
        rows: Names, best average rank first.
        average_ranks: (n_rows,) in this order.
        ranks: (n_blocks, n_rows) in this order.
        blocks: Names of the blocks.
        friedman: Friedman's chi-square, corrected for ties; None for fewer than three rows or two blocks.
        friedman_p: Its p-value, n_rows - 1 degrees of freedom.
        iman_davenport: Iman and Davenport's F, less conservative; infinite where all blocks agree.
        iman_davenport_p: Its p-value, n_rows - 1 and (n_rows - 1)(n_blocks - 1) degrees of freedom; never below
            (n_rows!)^(1 - n_blocks), the chance that all blocks have one order.
        post_hoc: One of :data:`POST_HOC`.
        critical_difference: Nemenyi's: average ranks further apart differ; None for "wilcoxon-holm".
        pairs: For "wilcoxon-holm": (row, row) to its p-value and the corrected one; empty otherwise.
        groups: Largest groups of rows, neighbours in rank, that are not shown to differ; two rows or more each.
        alpha: Level of the post-hoc test.
        notes: Sentences that must be read with the numbers.
    """

    rows: tuple[str, ...]
    average_ranks: Floats
    ranks: Floats
    blocks: tuple[str, ...]
    friedman: float | None
    friedman_p: float | None
    iman_davenport: float | None
    iman_davenport_p: float | None
    post_hoc: str
    critical_difference: float | None
    pairs: dict[tuple[str, str], tuple[float, float]]
    groups: tuple[tuple[str, ...], ...]
    alpha: float
    notes: tuple[str, ...]


def ranking(
    scores: pd.DataFrame, *, higher_is_better: bool = True, post_hoc: str = "nemenyi", alpha: float = ALPHA
) -> Ranking:
    """Rank rows over blocks.

    Args:
        scores: One line for each block, one column for each row of the table, no value missing.
        higher_is_better: Which way is better.
        post_hoc: "nemenyi" or "wilcoxon-holm".
        alpha: Level of the post-hoc test.

    Returns:
        The ranking.

    Raises:
        HarnessError: Fewer than two rows, no block, missing values, or a post-hoc test that there is not.
    """
    if post_hoc not in POST_HOC:
        raise unknown_name("post-hoc test", post_hoc, POST_HOC)
    values = scores.to_numpy(dtype=np.float64)
    n_blocks, n_rows = values.shape
    if n_rows < 2 or n_blocks < 1:
        raise HarnessError(f"a ranking needs two rows and a block; there are {n_rows} and {n_blocks}.")
    if np.isnan(values).any():
        raise HarnessError("a ranking needs a value of every row in every block.")
    from scipy.stats import rankdata

    ranks = rankdata(-values if higher_is_better else values, axis=1)
    order = np.argsort(ranks.mean(axis=0), kind="stable")
    ranks, values = ranks[:, order], values[:, order]
    average = ranks.mean(axis=0)
    rows = tuple(str(scores.columns[at]) for at in order)
    chi_square, chi_p, f_value, f_p = _friedman(ranks)
    if post_hoc == "nemenyi":
        distance = critical_difference(n_rows, n_blocks, alpha)
        pairs: dict[tuple[str, str], tuple[float, float]] = {}
        alike = np.abs(average[:, None] - average[None]) <= distance + 1e-12
    else:
        distance = None
        pairs = _wilcoxon(rows, values)
        alike = np.eye(n_rows, dtype=bool)
        for (one, other), (_, corrected) in pairs.items():
            places = rows.index(one), rows.index(other)
            alike[places] = alike[places[::-1]] = corrected > alpha
    return Ranking(
        rows=rows,
        average_ranks=average,
        ranks=ranks,
        blocks=tuple(str(name) for name in scores.index),
        friedman=chi_square,
        friedman_p=chi_p,
        iman_davenport=f_value,
        iman_davenport_p=f_p,
        post_hoc=post_hoc,
        critical_difference=distance,
        pairs=pairs,
        groups=tuple(tuple(rows[start:end]) for start, end in _groups(alike)),
        alpha=alpha,
        notes=tuple(_caveats(n_rows, n_blocks, f_p, post_hoc, alpha, len(pairs))),
    )


def critical_difference(n_rows: int, n_blocks: int, alpha: float = ALPHA) -> float:
    """Nemenyi's critical difference of average ranks: q sqrt(k (k + 1) / (6 N)).

    q is the upper quantile of the studentized range of k groups and infinite degrees of freedom, divided by sqrt(2)
    (Demsar 2006, 3.2.2 and table 5a).

    Args:
        n_rows: k, at least 2.
        n_blocks: N.
        alpha: Level.

    Returns:
        The difference in ranks.
    """
    return nemenyi_quantile(n_rows, alpha) * math.sqrt(n_rows * (n_rows + 1) / (6 * n_blocks))


def nemenyi_quantile(n_rows: int, alpha: float = ALPHA) -> float:
    """q of :func:`critical_difference`: 2.343 for three rows at 0.05."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - alpha, n_rows, np.inf)) / math.sqrt(2)


def _friedman(ranks: Floats) -> tuple[float | None, float | None, float | None, float | None]:
    """Chi-square and p, F and p (R. L. Iman and J. M. Davenport, Communications in Statistics A 9, 1980)."""
    from scipy.stats import f, friedmanchisquare

    n_blocks, n_rows = ranks.shape
    if n_rows < 3 or n_blocks < 2:
        return None, None, None, None
    if (ranks == ranks[:, :1]).all():  # all rows are equal in every block
        return 0.0, 1.0, 0.0, 1.0
    chi_square, chi_p = (float(value) for value in friedmanchisquare(*ranks.T))
    left = n_blocks * (n_rows - 1) - chi_square
    f_value = math.inf if left <= 1e-9 else (n_blocks - 1) * chi_square / left
    approximate = float(f.sf(f_value, n_rows - 1, (n_rows - 1) * (n_blocks - 1)))
    # Where all blocks agree F is infinite; with few blocks they do so by chance, once in (k!)^(N - 1) times.
    return chi_square, chi_p, f_value, max(approximate, float(math.factorial(n_rows)) ** (1 - n_blocks))


def _wilcoxon(rows: tuple[str, ...], values: Floats) -> dict[tuple[str, str], tuple[float, float]]:
    """Signed-rank tests of all pairs over blocks, with Holm's correction over the pairs."""
    from scipy.stats import wilcoxon

    p_of_pair = {}
    for one, other in combinations(range(len(rows)), 2):
        differences = values[:, one] - values[:, other]
        p = float(wilcoxon(differences).pvalue) if differences.any() else 1.0
        p_of_pair[rows[one], rows[other]] = p
    corrected = holm(list(p_of_pair.values()))
    return {pair: (p, float(better)) for (pair, p), better in zip(p_of_pair.items(), corrected, strict=True)}  # type: ignore[arg-type]


def _groups(alike: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Longest runs of neighbours of which no two differ, as start and end; runs inside longer ones are left out."""
    n = len(alike)
    groups: list[tuple[int, int]] = []
    for start in range(n):
        end = start + 1
        while end < n and alike[start : end + 1, end].all():
            end += 1
        if end - start > 1 and (not groups or end > groups[-1][1]):
            groups.append((start, end))
    return groups


def _caveats(n_rows: int, n_blocks: int, p: float | None, post_hoc: str, alpha: float, n_pairs: int) -> list[str]:
    notes = []
    if n_blocks <= FEW_BLOCKS:
        notes.append(
            f"{counted(n_blocks, 'block')}: Friedman's test and the critical difference are approximations for more "
            f"than {FEW_BLOCKS} blocks, and with few blocks they can hardly show a difference."
        )
    if p is None:
        notes.append("Friedman's test needs three rows and two blocks.")
    elif p > alpha:
        notes.append(
            f"the test of Iman and Davenport does not show that the rows differ at all (p = {p:.3g}): read no "
            "difference into the groups."
        )
    smallest = 2.0 ** (1 - n_blocks)
    if post_hoc == "wilcoxon-holm" and n_pairs * smallest > alpha:
        notes.append(
            f"the smallest p of Wilcoxon's test on {counted(n_blocks, 'block')} is {smallest:.3g}, which corrected for "
            f"{counted(n_pairs, 'pair')} is above {alpha:g}: no pair can be shown to differ."
        )
    return notes
