"""Split, caption choice, trusted subset and limit: all from the data seed, each from a stream of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.splits import (
    check_split,
    choose_captions,
    database_images,
    paper_split,
    query_images,
    stratified_limit,
    training_images,
    trusted_order,
    trusted_subset,
)
from harness.errors import HarnessError

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=80)


# --- split ---


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(2100, (1050, 210, 840)), (10_921, (5460, 1092, 4369)), (9, (4, 1, 4)), (11, (5, 1, 5)), (613, (306, 61, 246))],
)
def test_paper_split_has_the_sizes_of_the_authors_code(n, sizes):
    split = paper_split(n, 0)
    assert (split == 0).sum() == sizes[0]
    assert (split == 1).sum() == sizes[1]
    assert (split == 2).sum() == sizes[2]


@given(n=st.integers(9, 3000), data_seed=st.integers(0, 2**31))
@FIXED
def test_training_query_and_database_images_are_disjoint_and_complete(n, data_seed):
    split = paper_split(n, data_seed)
    parts = [training_images(split), query_images(split), database_images(split)]
    assert all(len(part) for part in parts)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    for part in parts:
        assert (np.diff(part) > 0).all()
    check_split(split, "here")


def test_a_seed_gives_one_split_and_another_seed_another():
    np.testing.assert_array_equal(paper_split(100, 5), paper_split(100, 5))
    assert len({paper_split(100, seed).tobytes() for seed in range(20)}) == 20


def test_every_image_may_come_to_every_part():
    counts = np.stack([np.stack([paper_split(40, seed) == part for part in range(3)]) for seed in range(300)]).mean(
        axis=0
    )
    # shares 20, 4 and 16 of 40; three deviations of a share of 300 draws are below .09
    np.testing.assert_allclose(counts, np.array([0.5, 0.1, 0.4])[:, None] * np.ones(40), atol=0.12)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8])
def test_too_few_images_are_an_error_that_says_how_many_are_needed(n):
    with pytest.raises(HarnessError, match=rf"^{n} images are too few .*at least 9"):
        paper_split(n, 0)


def test_code_three_is_training_and_database_but_no_query():
    split = np.array([0, 1, 2, 3, 3], dtype=np.int8)
    assert training_images(split).tolist() == [0, 3, 4]
    assert database_images(split).tolist() == [2, 3, 4]
    assert query_images(split).tolist() == [1]
    check_split(split, "here")
    check_split(np.array([3, 1], dtype=np.int8), "here")


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ([0, 0, 2, 2], "no query image"),
        ([1, 2, 2], "no training image"),
        ([0, 1, 1], "no database image"),
        ([0, 1, 2, 4], "holds 4; known are 0"),
        ([0, 1, 2, -2], "holds -2; known are 0"),
    ],
)
def test_a_split_with_an_unknown_code_or_an_empty_part_is_refused(split, says):
    with pytest.raises(HarnessError, match=f"^here.*{says}"):
        check_split(np.array(split, dtype=np.int8), "here")


# --- captions ---

COUNTS = st.lists(st.integers(1, 7), min_size=1, max_size=40)


@given(counts=COUNTS, data_seed=st.integers(0, 1000), shuffled=st.booleans())
@FIXED
def test_the_caption_chosen_belongs_to_its_image_whatever_the_counts_and_the_order(counts, data_seed, shuffled):
    caption_image = np.repeat(np.arange(len(counts)), counts)
    if shuffled:
        caption_image = np.random.default_rng(data_seed).permutation(caption_image)
    chosen = choose_captions(caption_image, len(counts), data_seed)
    np.testing.assert_array_equal(caption_image[chosen], np.arange(len(counts)))


def test_every_caption_of_an_image_is_chosen_about_equally_often():
    caption_image = np.array([0, 1, 0, 2, 0, 1, 0, 0])  # 5, 2 and 1 captions, not sorted
    drawn = np.stack([choose_captions(caption_image, 3, seed) for seed in range(1000)])
    assert np.bincount(drawn[:, 0], minlength=8)[[0, 2, 4, 6, 7]].min() > 150  # 200 +- 12.6
    assert np.bincount(drawn[:, 1], minlength=8)[[1, 5]].min() > 440  # 500 +- 16
    assert (drawn[:, 2] == 3).all()


def test_the_caption_choice_depends_on_the_data_seed_alone():
    caption_image = np.repeat(np.arange(50), 5)
    np.testing.assert_array_equal(choose_captions(caption_image, 50, 1), choose_captions(caption_image, 50, 1))
    assert (choose_captions(caption_image, 50, 1) != choose_captions(caption_image, 50, 2)).any()


# --- trusted subset ---


@given(
    n=st.integers(1, 400), shares=st.lists(st.integers(0, 100), min_size=2, max_size=5), data_seed=st.integers(0, 99)
)
@FIXED
def test_trusted_subsets_are_nested_over_shares_and_of_the_size_asked_for(n, shares, data_seed):
    order = trusted_order(n, data_seed)
    before = np.zeros(n, dtype=bool)
    for percent in sorted(shares):
        trusted = trusted_subset(order, percent / 100)
        assert trusted.sum() == n * percent // 100  # rounded down, without the error of 0.29 * 100
        assert (trusted | ~before).all()
        before = trusted


@pytest.mark.parametrize(
    ("n", "share", "count"), [(1050, 0.3, 315), (5460, 0.2, 1092), (100, 0.29, 29), (10, 0.0, 0), (10, 1.0, 10)]
)
def test_trusted_subsets_have_the_sizes_of_the_paper(n, share, count):
    assert trusted_subset(trusted_order(n, 42), share).sum() == count


def test_streams_of_one_seed_are_independent():
    # were split, trusted subset and limit drawn from one stream, their permutations of 100 would be equal
    split = paper_split(100, 0)
    order = trusted_order(100, 0)
    assert set(order[:50]) != set(training_images(split))
    assert set(stratified_limit(np.zeros(100, dtype=int), 50, 0)) not in (set(order[:50]), set(training_images(split)))


# --- limit ---


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=12), share=st.floats(0.01, 1), data_seed=st.integers(0, 99)
)
@FIXED
def test_a_limit_keeps_each_class_share_to_within_one_image(counts, share, data_seed):
    labels = np.random.default_rng(data_seed).permutation(np.repeat(np.arange(len(counts)) * 7 - 3, counts))
    limit = max(1, int(share * len(labels)))
    kept = stratified_limit(labels, limit, data_seed)
    assert len(kept) == limit
    assert (np.diff(kept) > 0).all()
    for number, count in enumerate(counts):
        assert abs((labels[kept] == number * 7 - 3).sum() - count * limit / len(labels)) < 1


def test_a_limit_takes_rows_of_label_matrices_as_classes():
    labels = np.repeat(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool), [40, 20, 20], axis=0)
    kept = stratified_limit(labels, 20, 0)
    assert [(labels[kept] == row).all(axis=1).sum() for row in labels[[0, 40, 60]]] == [10, 5, 5]


@pytest.mark.parametrize("limit", [20, 21, 1000])
def test_a_limit_at_or_above_the_size_keeps_all(limit):
    np.testing.assert_array_equal(stratified_limit(np.arange(20) % 3, limit, 0), np.arange(20))


def test_a_limit_draws_other_images_for_another_seed():
    labels = np.arange(200) % 4
    np.testing.assert_array_equal(stratified_limit(labels, 40, 1), stratified_limit(labels, 40, 1))
    assert (stratified_limit(labels, 40, 1) != stratified_limit(labels, 40, 2)).any()
