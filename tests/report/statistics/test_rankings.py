"""Ranks and tests over data sets, against scipy, against the example of Demsar (2006), and by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.errors import HarnessError
from harness.report.statistics.rankings import critical_difference, nemenyi_quantile, ranking

DEMSAR = pd.DataFrame(
    [
        [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)  # fmt: skip
"""AUC of four classifiers on 14 data sets (Demsar 2006). On the last but one two values print as 0.975; the paper's
average ranks (3.143, 2.000, 2.893, 1.964) come out where the first of them is the larger."""


def random_scores(n_blocks, n_rows, seed=0, spread=1.0):
    random = np.random.default_rng(seed)
    values = random.normal(size=(n_blocks, n_rows)) + spread * np.arange(n_rows)
    return pd.DataFrame(values, columns=[f"row {at}" for at in range(n_rows)])


def test_example_of_the_paper():
    found = ranking(DEMSAR)
    average = dict(zip(found.rows, found.average_ranks, strict=True))
    expected = {"C4.5": 3.143, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}
    assert {name: pytest.approx(value, abs=5e-4) for name, value in expected.items()} == average
    assert found.rows[0] == "C4.5+m+cf"
    # The paper's chi-square, 9.28, has no correction for ties; dividing by the correction gives ours.
    ranks = found.ranks
    plain = 12 * 14 / (4 * 5) * ((ranks.mean(axis=0) ** 2).sum() - 4 * 5**2 / 4)
    assert plain == pytest.approx(9.28, abs=0.01)
    ties = sum(size**3 - size for line in ranks for size in np.unique(line, return_counts=True)[1])
    assert found.friedman == pytest.approx(plain / (1 - ties / (14 * (4**3 - 4))))
    assert found.critical_difference == pytest.approx(1.25, abs=0.01)


@pytest.mark.parametrize(
    ("n_rows", "at_005", "at_010"),
    [
        (2, 1.960, 1.645), (3, 2.343, 2.052), (4, 2.569, 2.291), (5, 2.728, 2.459), (6, 2.850, 2.589),
        (7, 2.949, 2.693), (8, 3.031, 2.780), (9, 3.102, 2.855), (10, 3.164, 2.920),
    ],
)  # fmt: skip
def test_quantiles_of_nemenyi_are_those_of_the_paper(n_rows, at_005, at_010):
    assert nemenyi_quantile(n_rows) == pytest.approx(at_005, abs=1.5e-3)
    assert nemenyi_quantile(n_rows, 0.1) == pytest.approx(at_010, abs=1.5e-3)
    assert critical_difference(n_rows, 12) == pytest.approx(at_005 * math.sqrt(n_rows * (n_rows + 1) / 72), abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_friedman_and_iman_davenport(seed):
    scores = random_scores(8, 5, seed, spread=0.3)
    found = ranking(scores)
    theirs = stats.friedmanchisquare(*scores.to_numpy().T)
    assert (found.friedman, found.friedman_p) == pytest.approx((theirs.statistic, theirs.pvalue))
    # Iman and Davenport's F is that of a two-way analysis of variance of the ranks.
    ranks = stats.rankdata(-scores.to_numpy(), axis=1)
    between = 8 * ((ranks.mean(axis=0) - 3) ** 2).sum()
    rest = ((ranks - ranks.mean(axis=0)) ** 2).sum()
    f_value = (between / 4) / (rest / (4 * 7))
    assert found.iman_davenport == pytest.approx(f_value)
    assert found.iman_davenport_p == pytest.approx(stats.f.sf(f_value, 4, 28))


def test_best_is_first_and_equal_scores_share_ranks():
    scores = pd.DataFrame({"low": [0.1, 0.2], "high": [0.8, 0.9], "tied": [0.8, 0.5]}, index=["one", "two"])
    found = ranking(scores)
    assert found.rows == ("high", "tied", "low")
    assert found.ranks.tolist() == [[1.5, 1.5, 3.0], [1.0, 2.0, 3.0]]
    assert found.average_ranks.tolist() == [1.25, 1.75, 3.0]
    assert found.blocks == ("one", "two")
    assert ranking(scores, higher_is_better=False).rows == ("low", "tied", "high")


def test_groups_of_nemenyi_are_the_longest_runs_within_the_critical_difference():
    found = ranking(random_scores(30, 6, seed=2, spread=0.35))
    distance = found.critical_difference
    for group in found.groups:
        places = [found.rows.index(name) for name in group]
        assert places == list(range(places[0], places[0] + len(places)))
        span = found.average_ranks[places[-1]] - found.average_ranks[places[0]]
        assert span <= distance
        if places[-1] + 1 < 6:
            assert found.average_ranks[places[-1] + 1] - found.average_ranks[places[0]] > distance
        if places[0]:
            assert found.average_ranks[places[-1]] - found.average_ranks[places[0] - 1] > distance
    together = {frozenset((one, other)) for group in found.groups for one in group for other in group if one != other}
    for one in range(6):
        for other in range(one):
            near = abs(found.average_ranks[one] - found.average_ranks[other]) <= distance
            assert (frozenset((found.rows[one], found.rows[other])) in together) == near
    assert len(found.groups) > 1


def test_wilcoxon_with_holm():
    scores = random_scores(12, 4, seed=1, spread=0.8)
    found = ranking(scores, post_hoc="wilcoxon-holm")
    assert found.critical_difference is None
    p_values = {
        frozenset((one, other)): stats.wilcoxon(scores[one], scores[other]).pvalue
        for at, one in enumerate(scores)
        for other in list(scores)[:at]
    }
    assert len(found.pairs) == 6
    ordered = sorted(p_values.values())
    for pair, (p, corrected) in found.pairs.items():
        assert p == pytest.approx(p_values[frozenset(pair)])
        below = [6 - at for at, value in enumerate(ordered) if value <= p + 1e-15]
        assert corrected == pytest.approx(min(1, max(ordered[6 - m] * m for m in below)))
    assert found.groups
    for group in found.groups:
        for at, one in enumerate(group):
            for other in group[:at]:
                assert found.pairs.get((other, one), found.pairs.get((one, other)))[1] > 0.05


def test_few_blocks_are_called_few():
    found = ranking(random_scores(3, 4))
    assert any(note.startswith("3 blocks: Friedman's test") for note in found.notes)
    found = ranking(random_scores(4, 4), post_hoc="wilcoxon-holm")
    assert any("smallest p of Wilcoxon's test on 4 blocks is 0.125" in note for note in found.notes)
    assert found.groups == (found.rows,)
    assert not any("blocks:" in note for note in ranking(random_scores(12, 4)).notes)


def test_agreement_of_few_blocks_is_no_proof():
    scores = pd.DataFrame([[3.0, 2.0, 1.0]] * 2, columns=["a", "b", "c"])
    found = ranking(scores)
    assert math.isinf(found.iman_davenport)
    assert found.iman_davenport_p == pytest.approx(1 / 6), "two blocks agree by chance once in 3! times"
    assert any("read no difference" in note for note in found.notes)


def test_rows_that_never_differ_are_not_shown_to_differ():
    found = ranking(pd.DataFrame(np.ones((5, 3)), columns=["a", "b", "c"]), post_hoc="wilcoxon-holm")
    assert found.iman_davenport_p == found.friedman_p == 1.0
    assert all(p == (1.0, 1.0) for p in found.pairs.values())


def test_two_rows_and_one_block():
    found = ranking(pd.DataFrame([[1.0, 2.0]], columns=["a", "b"]))
    assert (found.friedman, found.iman_davenport_p) == (None, None)
    assert any("needs three rows and two blocks" in note for note in found.notes)


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (pd.DataFrame({"a": [1.0]}), {}, "needs two rows"),
        (pd.DataFrame({"a": [1.0], "b": [np.nan]}), {}, "every row in every block"),
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), {"post_hoc": "nemeni"}, "did you mean 'nemenyi'"),
    ],
)
def test_what_cannot_be_ranked_is_said(scores, options, message):
    with pytest.raises(HarnessError, match=message):
        ranking(scores, **options)
