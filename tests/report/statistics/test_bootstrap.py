"""The two-level bootstrap: against a loop that does the same slowly, against scipy, and how often it is right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.report.statistics.bootstrap import (
    BlockSums,
    draw,
    interval,
    mean_of,
    means_of,
    percentiles,
    resampled_means,
)


def random_samples(seed, shapes, common_sizes=False):
    random = np.random.default_rng(seed)
    sizes = [random.integers(1, 4, size=blocks).astype(float) for _, blocks in shapes]
    if common_sizes:
        sizes = [sizes[0]] * len(shapes)
    return [BlockSums(random.normal(size=shape), size) for shape, size in zip(shapes, sizes, strict=True)]


def slowly(draws, samples):
    """The mean of each resample, query block by query block."""
    used = [0] * len(samples)
    found = []
    for chosen in draws.data:
        of_data_seeds = []
        for number in chosen:
            sample, at = samples[number], used[number]
            used[number] += 1
            of_seeds = []
            for seed in draws.seeds[number][at]:
                total = queries = 0.0
                for block in draws.blocks[number][at]:
                    total += sample.sums[seed, block]
                    queries += sample.sizes[block]
                of_seeds.append(total / queries)
            of_data_seeds.append(sum(of_seeds) / len(of_seeds))
        found.append(sum(of_data_seeds) / len(of_data_seeds))
    return found


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("shapes", [[(1, 7)], [(3, 7)], [(3, 7), (3, 7)], [(2, 7), (4, 7), (1, 7)], [(5, 1), (4, 1)]])
def test_means_equal_a_slow_loop_over_the_same_draws(shapes, shared):
    samples = random_samples(1, shapes, common_sizes=shared)
    draws = draw(np.random.default_rng(2), shapes, 40, shared=shared)
    np.testing.assert_allclose(means_of(draws, samples), slowly(draws, samples), rtol=0, atol=1e-12)


def test_each_level_is_drawn_with_replacement_among_all_that_there_are():
    draws = draw(np.random.default_rng(0), [(3, 5), (2, 4)], 4000)
    assert draws.data.shape == (4000, 2)
    for number, (seeds, blocks) in enumerate([(3, 5), (2, 4)]):
        assert len(draws.seeds[number]) == len(draws.blocks[number]) == (draws.data == number).sum()
        for drawn, n in ((draws.seeds[number], seeds), (draws.blocks[number], blocks)):
            assert drawn.shape[1] == n
            np.testing.assert_allclose(np.bincount(drawn.ravel(), minlength=n) / drawn.size, 1 / n, atol=0.01)


def test_shared_queries_are_drawn_once_for_all_data_seeds_of_a_resample():
    draws = draw(np.random.default_rng(0), [(2, 6)] * 3, 50, shared=True)
    of_resample: dict[int, set] = {}
    for number in range(3):
        for row, blocks in zip(np.nonzero(draws.data == number)[0], draws.blocks[number], strict=True):
            of_resample.setdefault(int(row), set()).add(tuple(blocks))
    assert all(len(found) == 1 for found in of_resample.values())
    assert len({found for of_one in of_resample.values() for found in of_one}) > 40


def test_resamples_are_seeded_and_pieces_do_not_change_their_kind(monkeypatch):
    samples = random_samples(3, [(3, 50), (3, 40)])
    assert interval(samples, seed=5) == interval(samples, seed=5) != interval(samples, seed=6)
    whole = percentiles(resampled_means(samples, resamples=4000))
    monkeypatch.setattr("harness.report.statistics.bootstrap._AT_A_TIME", 1000)
    np.testing.assert_allclose(percentiles(resampled_means(samples, resamples=4000)), whole, atol=0.02)


def test_one_run_agrees_with_the_bootstrap_of_scipy():
    values = np.random.default_rng(0).gamma(2.0, size=300)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    ours = interval([BlockSums(values[None], np.ones(300))], resamples=20_000)
    np.testing.assert_allclose(ours, [theirs.low, theirs.high], atol=0.01)


def test_several_data_seeds_agree_with_scipy_where_nothing_else_varies():
    values = np.random.default_rng(0).normal(size=12)
    samples = [BlockSums(np.full((2, 3), value), np.ones(3)) for value in values]
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    np.testing.assert_allclose(interval(samples, resamples=20_000), [theirs.low, theirs.high], atol=0.02)
    assert mean_of(samples) == pytest.approx(values.mean())


def test_queries_asked_twice_do_not_narrow_the_interval_where_they_are_one_block():
    values = np.random.default_rng(0).normal(size=(3, 60))
    once = interval([BlockSums(values, np.ones(60))])
    as_blocks = interval([BlockSums(2 * values, np.full(60, 2.0))])
    as_queries = interval([BlockSums(np.repeat(values, 2, axis=1), np.ones(120))])
    assert as_blocks == pytest.approx(once)
    assert as_queries[1] - as_queries[0] < 0.8 * (once[1] - once[0])


def test_queries_that_all_training_seeds_share_are_not_averaged_away():
    # One hard and many easy queries, the same for every training seed: more seeds tell nothing about other queries.
    queries = np.random.default_rng(0).normal(size=200)
    few, many = (interval([BlockSums(np.tile(queries, (n, 1)), np.ones(200))]) for n in (2, 50))
    assert many[1] - many[0] == pytest.approx(few[1] - few[0], rel=0.1)


def test_one_number_has_no_interval():
    assert interval([BlockSums(np.array([[0.5]]), np.ones(1))]) is None


def coverage(n_data, n_seeds, n_queries, repeats, spread):
    """How often the interval holds the true mean 0; ``spread`` of data seeds, training seeds and queries."""
    random = np.random.default_rng(7)
    held = 0
    for repeat in range(repeats):
        samples = [
            BlockSums(
                spread[0] * random.normal()
                + spread[1] * random.normal(size=(n_seeds, 1))
                + spread[2] * random.normal(size=(1, n_queries)),
                np.ones(n_queries),
            )
            for _ in range(n_data)
        ]
        low, high = interval(samples, resamples=500, seed=repeat)
        held += low <= 0 <= high
    return held / repeats


def test_interval_holds_the_truth_about_as_often_as_it_says():
    assert 0.92 <= coverage(1, 20, 60, 300, (0, 0.1, 1)) <= 0.99
    assert 0.92 <= coverage(20, 2, 20, 300, (0.3, 0.1, 1)) <= 0.995


def test_few_seeds_make_it_too_narrow_as_the_notes_say():
    assert 0.75 <= coverage(1, 5, 60, 300, (0, 1, 0.1)) <= 0.91
