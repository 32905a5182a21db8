"""Two rows against each other: pairing, intervals and tests from records, against numpy and scipy by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.errors import HarnessError
from harness.report.statistics import compare_rows
from harness.report.statistics.paired_tests import sign_flip

N = 30


def difficulty(seed=0, n=N):
    return np.random.default_rng(seed).uniform(0.2, 0.8, size=n)


def fill(folder, row, better=0.0, seeds=5, data_seeds=(0,), spread=0.02, **more):
    """Runs of one row; data seeds have queries of their own and training seeds share them."""
    random = np.random.default_rng([len(row), ord(row[0])])
    made = {}
    for data_seed in data_seeds:
        for seed in range(seeds):
            values = difficulty(data_seed) + better + spread * random.normal(size=N)
            ids = np.arange(N) + 1000 * data_seed
            folder.add(row, values, arrays={"query_ids": ids}, seed=seed, data_seed=data_seed, **more)
            made[data_seed, seed] = values
    return made


def both(folder, column="i2t/map", **options):
    return compare_rows(*folder.rows("a", "b"), column, folder.runs, **options)


def test_effect_and_both_tests_equal_a_computation_by_hand(folder):
    a, b = fill(folder, "a", better=0.01), fill(folder, "b")
    found = both(folder)
    differences = np.array([a[key] - b[key] for key in sorted(a)])  # (seeds, queries)
    assert found.mean_a == pytest.approx(np.mean(list(a.values())))
    assert found.mean_b == pytest.approx(np.mean(list(b.values())))
    assert found.effect == pytest.approx(differences.mean())
    assert found.low < found.effect < found.high
    over_seeds = stats.permutation_test(
        (differences.mean(axis=1),), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert found.p_seeds == pytest.approx(over_seeds.pvalue)
    over_queries = stats.permutation_test(
        (differences.mean(axis=0),), np.mean, permutation_type="samples", n_resamples=20_000,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert found.p_queries == pytest.approx(over_queries.pvalue, abs=0.01)
    assert (found.n_pairs, found.n_seeds, found.n_data_seeds, found.n_blocks) == (5, 5, 1, N)
    assert found.smallest_p == 0.0625
    assert any("cannot give a p below 0.0625" in note for note in found.notes)
    assert any("all runs have one data seed (0)" in note for note in found.notes)


def test_other_direction_reads_its_own_values(folder):
    fill(folder, "a", better=0.05), fill(folder, "b")
    one, other = both(folder, "i2t/map"), both(folder, "t2i/map")
    assert other.effect == pytest.approx(one.effect / 2)
    assert (other.low, other.high) == pytest.approx((one.low / 2, one.high / 2))


def test_interval_equals_resampling_by_hand(folder):
    a, b = fill(folder, "a", better=0.01, spread=0.1), fill(folder, "b", spread=0.1)
    differences = np.array([a[key] - b[key] for key in sorted(a)])
    random = np.random.default_rng(3)
    means = [differences[np.ix_(random.integers(5, size=5), random.integers(N, size=N))].mean() for _ in range(20_000)]
    found = both(folder, resamples=20_000)
    np.testing.assert_allclose((found.low, found.high), np.quantile(means, [0.025, 0.975]), atol=0.001)


def test_data_seeds_are_the_unit_where_there_are_several(folder):
    a = fill(folder, "a", better=0.01, seeds=3, data_seeds=(0, 1, 2, 3))
    b = fill(folder, "b", seeds=3, data_seeds=(0, 1, 2, 3))
    found = both(folder)
    units = np.array([np.mean([(a[d, s] - b[d, s]).mean() for s in range(3)]) for d in range(4)])
    exact = stats.permutation_test((units,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert found.p_seeds == pytest.approx(exact.pvalue)
    assert found.effect == pytest.approx(units.mean())
    assert (found.n_pairs, found.n_seeds, found.n_data_seeds, found.smallest_p) == (12, 4, 4, 0.125)
    assert found.n_blocks == 4 * N
    assert any("unit of the test over seeds is the data seed (4)" in note for note in found.notes)


def test_data_seeds_with_different_numbers_of_seeds_weigh_the_same(folder):
    for row, values in (("a", (0.9, 0.5, 0.5)), ("b", (0.4, 0.4, 0.2))):
        for (data_seed, seed), value in zip(((0, 0), (1, 0), (1, 1)), values, strict=True):
            folder.add(row, value=value, seed=seed, data_seed=data_seed)
    found = both(folder)
    assert found.effect == pytest.approx((0.5 + (0.1 + 0.3) / 2) / 2)
    assert any("each data seed weighs the same" in note for note in found.notes)


def test_runs_without_a_partner_are_left_out_and_counted(folder):
    fill(folder, "a", seeds=3), fill(folder, "b", seeds=5)
    found = both(folder)
    assert (found.n_pairs, found.unpaired) == (3, 2)
    assert any("left out: 2 runs without a partner" in note for note in found.notes)


def test_no_common_seed_is_a_sentence(folder):
    folder.add("a", difficulty(), seed=0)
    folder.add("b", difficulty(), seed=1)
    found = both(folder)
    assert (found.effect, found.p_seeds, found.n_pairs, found.unpaired) == (None, None, 0, 2)
    assert "no run of one has the data seed, seed and noise plan of a run of the other." in found.notes


def test_one_pair_says_what_it_cannot_say(folder):
    fill(folder, "a", seeds=1, better=0.1), fill(folder, "b", seeds=1)
    found = both(folder)
    assert (found.p_seeds, found.smallest_p) == (1.0, 1.0)
    assert found.p_queries < 0.01
    assert any("with 1 the test over seeds" in note for note in found.notes)


def test_pairs_on_different_noise_plans_are_no_pairs(folder):
    folder.add("a", difficulty(), seed=0, plan="p")
    folder.add("b", difficulty(), seed=0, plan="q")
    folder.add("a", difficulty() + 0.1, seed=1)
    folder.add("b", difficulty(), seed=1)
    found = both(folder)
    assert (found.n_pairs, found.unpaired) == (1, 2)
    assert "left out: 1 pair of the same seeds with different noise plans." in found.notes


def test_queries_with_one_caption_are_one_observation(folder):
    alone = np.random.default_rng(0).normal(0.02, 0.05, size=12)
    for row, values in (("a", difficulty(n=12) + alone), ("b", difficulty(n=12))):
        for seed in range(2):
            folder.add(row, np.repeat(values, 5), blocks=np.repeat(np.arange(12), 5), seed=seed)
            folder.add(row, values, seed=seed, dataset="once", blocks=np.arange(12))
    rows = {name: folder.rows("a", "b") for name in ("small", "once")}
    repeated, once = (
        compare_rows(*(frame[frame["dataset"] == name] for frame in rows[name]), "i2t/map", folder.runs)
        for name in ("small", "once")
    )
    assert repeated.n_blocks == once.n_blocks == 12
    assert repeated.p_queries == pytest.approx(once.p_queries)
    assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high))


def test_one_query_in_two_data_seeds_is_flipped_once(folder):
    for row, better in (("a", 0.1), ("b", 0.0)):
        for data_seed in (0, 1):
            folder.add(row, difficulty() + better, data_seed=data_seed, blocks=np.arange(N) // 2)
    found = both(folder)
    assert found.n_blocks == N // 2


def test_queries_are_matched_by_number_where_their_order_differs(folder):
    values, order = difficulty(), np.random.default_rng(0).permutation(N)
    gain = np.linspace(-0.1, 0.2, N)
    folder.add("a", (values + gain)[order], arrays={"query_ids": order}, blocks=order // 3)
    folder.add("b", values, arrays={"query_ids": np.arange(N)}, blocks=np.arange(N) // 3)
    shuffled = both(folder)
    folder.add("c", values + gain, arrays={"query_ids": np.arange(N)}, blocks=np.arange(N) // 3)
    straight = compare_rows(*folder.rows("c", "b"), "i2t/map", folder.runs)
    assert shuffled.n_blocks == straight.n_blocks == 10
    assert shuffled.p_queries == straight.p_queries


def test_queries_that_a_metric_leaves_out_count_for_nothing(folder):
    values = difficulty()
    values[[2, 7]] = np.nan
    for seed in range(2):
        folder.add("a", values + 0.1, seed=seed)
        folder.add("b", values, seed=seed)
    found = both(folder)
    assert found.effect == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))
    assert found.n_blocks == N - 2


def test_tests_that_nobody_asked_for_are_left_out(folder):
    fill(folder, "a"), fill(folder, "b")
    assert both(folder, tests={"seeds"}).p_queries is None
    assert both(folder, tests={"queries"}).p_seeds is None
    with pytest.raises(HarnessError, match="unknown test 'querys': did you mean 'queries'"):
        both(folder, tests={"querys"})


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (None, "has no arrays.npz"),
        ({"n_bits": np.array(16)}, "records keep no values of map per query"),
        ({"per_query_i2t_map@9": np.ones(N)}, "keep no values of map per query, only of map@9"),
        ({"per_query_i2t_map": difficulty() - 0.1}, "values per query average to"),
        ({"per_query_i2t_map": np.full(N, 0.5), "query_ids": np.arange(N) + 5}, "answer different queries"),
        ({"per_query_i2t_map": np.full(N, 0.5), "query_blocks": np.zeros(3, int)}, "query_blocks that do not fit"),
    ],
)
def test_without_values_per_query_everything_goes_by_seeds(folder, arrays, said):
    for seed in range(6):
        folder.add("a", difficulty() + 0.01 * seed, seed=seed)
        folder.add("b", value=0.5, arrays=arrays, seed=seed)
    found = both(folder)
    assert (found.p_queries, found.n_blocks) == (None, 0)
    assert found.p_seeds == sign_flip(np.mean(difficulty()) + 0.01 * np.arange(6) - 0.5).p
    assert found.low < found.effect < found.high
    assert any(note.startswith("no statistics over queries: ") and said in note for note in found.notes)


def test_damaged_arrays_are_no_traceback(folder):
    fill(folder, "a"), fill(folder, "b")
    (path, *_) = folder.runs.rglob("arrays.npz")
    path.write_bytes(path.read_bytes()[:200])
    found = both(folder)
    assert found.p_queries is None
    assert any("no npz file" in note for note in found.notes)


def test_without_the_folder_of_runs_everything_goes_by_seeds(folder):
    fill(folder, "a"), fill(folder, "b")
    found = compare_rows(*folder.rows("a", "b"), "i2t/map")
    assert found.p_queries is None
    assert found.p_seeds is not None


def test_frames_without_the_folder_column_find_arrays_by_name(folder):
    fill(folder, "a"), fill(folder, "b")
    plain = compare_rows(*folder.rows("a", "b", columns=()), "i2t/map", folder.runs)
    assert plain == both(folder)


@pytest.mark.parametrize("changed", [{"dataset": "ucm"}, {"noise": 0.2}, {"bits": 32}, {"protocol": "shuffle"}])
def test_different_settings_are_refused(folder, changed):
    folder.add("a", difficulty())
    folder.add("b", difficulty(), **changed)
    with pytest.raises(HarnessError, match=f"different {next(iter(changed))} .* are not comparable"):
        both(folder)


def test_two_runs_of_one_seed_are_refused(folder):
    one, other = folder.add("a", difficulty()), folder.add("a", difficulty() + 0.1)
    folder.add("b", difficulty())
    with pytest.raises(HarnessError, match=f"runs {one} and {other} of a have the same data seed 0 and seed 0"):
        both(folder)


def test_failed_runs_and_missing_metrics_have_no_value(folder):
    fill(folder, "a", seeds=2)
    folder.add("b", value=None, status="failed")
    found = both(folder)
    assert found.effect is None
    assert "there is no run with i2t/map on one side." in found.notes
    assert both(folder, "i2t/nothing").notes == ("there is no run with i2t/nothing on either side.",)


# --- records that are older than query blocks ---


def test_older_records_go_by_equal_caption_codes(folder):
    texts = np.arange(N) // 2
    for row, better in (("a", 0.1), ("b", 0.0)):
        for seed in range(2):
            # Codes differ by run; that 2 and 3 have one caption shows in every run, that 0 and 4 collide in one alone.
            codes = np.stack([texts + 7 * seed, texts % 5], axis=1).astype(np.uint8)
            if row == "a":
                codes[[0, 1]] = codes[[4, 5]]
            folder.add(row, difficulty() + better, arrays={"query_text_codes": codes}, seed=seed)
    found = both(folder)
    assert found.n_blocks == N // 2
    assert any("older records do not say which queries have the same caption" in note for note in found.notes)


def test_without_codes_each_query_stands_alone(folder):
    fill(folder, "a"), fill(folder, "b")
    found = both(folder)
    assert found.n_blocks == N
    assert any("each counts as an observation of its own" in note for note in found.notes)


def test_captions_as_queries_belong_to_the_block_of_their_images(folder):
    # Images 0 and 1 share words (captions 1 and 2), image 2 stands alone; six captions ask for images.
    pairs = np.array([[0, 0, 0, 1, 1, 1, 2, 2], [0, 1, 2, 1, 2, 3, 4, 5]])
    values = np.array([0.1, 0.5, 0.5, 0.3, 0.9, 0.7])
    for row, better in (("a", 0.1), ("b", 0.0)):
        arrays = {
            "relevant_pairs": pairs, "query_ids": np.array([7, 8, 9]), "per_query_t2i_map": values + better,
        }  # fmt: skip
        folder.add(row, np.array([0.2, 0.4, 0.6]) + better, arrays=arrays, value=None, relevance="instance")
    frames = folder.rows("a", "b")
    for frame in frames:
        frame["t2i/map"] = [values.mean() + (0.1 if frame["row"].iloc[0] == "a" else 0.0)]
    assert compare_rows(*frames, "i2t/map", folder.runs).n_blocks == 2
    assert compare_rows(*frames, "t2i/map", folder.runs).n_blocks == 2
