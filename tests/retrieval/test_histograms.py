"""Distance histograms against a double loop over pairs, and the way of codes from real values to packed words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.retrieval import counting, histograms
from harness.retrieval.codes import pack, pack_checked, unpack, words
from harness.retrieval.histograms import distance_histogram

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=60)
ODD_LENGTHS = (1, 7, 8, 9, 63, 64, 65, 100, 1000)


def share_a_label(one, other):
    """The same class, or at least one label in common."""
    return bool(np.any(np.logical_and(one, other))) if np.ndim(one) else one == other


def counted_one_by_one(query, database, query_labels, database_labels):
    """(items, relevant) from unpacked bits, pair by pair."""
    bins = query.shape[1] + 1
    items, relevant = (np.zeros((len(query), bins), dtype=np.int64) for _ in range(2))
    for q in range(len(query)):
        for item in range(len(database)):
            distance = int(np.sum(query[q] != database[item]))
            items[q, distance] += 1
            relevant[q, distance] += share_a_label(query_labels[q], database_labels[item])
    return items, relevant


def drawn(n_query, n_database, n_bits, multi, seed=0):
    random = np.random.default_rng([n_query, n_database, n_bits, seed])
    query, database = random.random((n_query, n_bits)) < 0.5, random.random((n_database, n_bits)) < 0.5
    database[: n_database // 2] = query[0]  # many items at distance 0
    database[-1] = ~query[0]  # and one as far away as can be
    if multi:
        return query, database, random.random((n_query, 5)) < 0.3, random.random((n_database, 5)) < 0.3
    return query, database, random.integers(0, 4, n_query), random.integers(0, 4, n_database)


def check(n_query, n_database, n_bits, multi, seed=0):
    query, database, query_labels, labels = drawn(n_query, n_database, n_bits, multi, seed)
    found = distance_histogram(pack(query), pack(database), n_bits, query_labels, labels)
    items, relevant = counted_one_by_one(query, database, query_labels, labels)
    assert found.items.dtype == found.relevant.dtype == np.int64
    np.testing.assert_array_equal(found.items, items)
    np.testing.assert_array_equal(found.relevant, relevant)


@pytest.mark.parametrize("multi", [False, True], ids=["single-label", "multi-label"])
@pytest.mark.parametrize("n_bits", ODD_LENGTHS)
def test_histogram_is_the_count_of_all_pairs(n_bits, multi):
    check(6, 23, n_bits, multi)


@pytest.mark.parametrize("multi", [False, True], ids=["single-label", "multi-label"])
@pytest.mark.parametrize(("n_query", "n_database"), [(1, 1), (1, 30), (12, 1), (2, 3)])
def test_histogram_of_one_query_or_one_item(n_query, n_database, multi):
    check(n_query, n_database, 65, multi)


@given(n_query=st.integers(1, 6), n_database=st.integers(1, 12), n_bits=st.integers(1, 140), multi=st.booleans())
@FIXED
def test_histogram_of_any_size(n_query, n_database, n_bits, multi):
    check(n_query, n_database, n_bits, multi)


@pytest.mark.parametrize("chunk", [1, 2, 7, 23, 24, 46, 100, 10_000])
@pytest.mark.parametrize("multi", [False, True], ids=["single-label", "multi-label"])
def test_chunks_of_any_size_give_equal_histograms(chunk, multi, monkeypatch):
    # 23 items: chunks cut inside the database, at its end, and between queries
    monkeypatch.setattr(counting, "CHUNK", chunk)
    check(9, 23, 65, multi)


def test_every_item_is_counted_once():
    query, database, query_labels, labels = drawn(20, 300, 64, multi=False)
    found = distance_histogram(pack(query), pack(database), 64, query_labels, labels)
    assert (found.items.sum(axis=1) == 300).all()
    assert (found.total_items == 300).all()
    np.testing.assert_array_equal(found.total_relevant, (query_labels[:, None] == labels[None, :]).sum(axis=1))


def test_the_nearest_and_the_farthest_bin_are_reached():
    same, opposite = np.ones((1, 65), dtype=bool), np.zeros((1, 65), dtype=bool)
    found = distance_histogram(pack(same), pack(np.concatenate([same, opposite])), 65, np.array([0]), np.array([0, 1]))
    assert found.items[0, 0] == found.items[0, 65] == 1
    assert found.relevant[0].tolist() == [1] + [0] * 65


def test_an_empty_database_gives_empty_bins():
    found = distance_histogram(
        np.zeros((3, 2), np.uint8), np.zeros((0, 2), np.uint8), 16, np.arange(3), np.zeros(0, np.int64)
    )
    assert found.items.shape == (3, 17)
    assert not found.items.any()


def test_cumulated_columns_are_those_of_the_formulas():
    found = histograms.DistanceHistogram(np.array([[2, 0, 3, 1]]), np.array([[1, 0, 2, 0]]))
    assert found.items_before.tolist() == [[0, 2, 2, 5]]
    assert found.relevant_before.tolist() == [[0, 1, 1, 3]]
    assert [int(found.bin_containing(np.array([rank]))[0]) for rank in range(1, 9)] == [0, 0, 2, 2, 2, 3, 3, 3]
    assert [int(found.bin_of_relevant(np.array([index]))[0]) for index in range(1, 5)] == [0, 2, 2, 3]
    np.testing.assert_allclose(found.harmonic, [0, 1, 3 / 2, 11 / 6, 25 / 12, 137 / 60, 49 / 20], rtol=1e-15)


def test_histograms_with_more_relevant_items_than_items_are_refused():
    with pytest.raises(ValueError, match="relevant"):
        histograms.DistanceHistogram(np.array([[1]]), np.array([[2]]))
    with pytest.raises(ValueError, match="equal"):
        histograms.DistanceHistogram(np.zeros((2, 3), dtype=np.int64), np.zeros((2, 4), dtype=np.int64))


# --- relevance ---


def relevance(query_labels, labels):
    """(n_query, n_database) bool, from histograms of one item each: 1-bit codes that are all equal."""
    code = np.zeros((1, 1), np.uint8)
    columns = [
        distance_histogram(np.repeat(code, len(query_labels), axis=0), code, 1, query_labels, labels[[item]])
        for item in range(len(labels))
    ]
    return np.stack([column.relevant[:, 0] for column in columns], axis=1).astype(bool)


def test_single_labels_are_relevant_to_their_own_class_only():
    found = relevance(np.array([7, -1]), np.array([7, 3, -1, 7]))
    assert found.tolist() == [[True, False, False, True], [False, False, True, False]]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_multi_labels_are_relevant_where_one_is_shared(dtype):
    query = np.array([[1, 1, 0], [0, 0, 0]], dtype=dtype)
    database = np.array([[0, 1, 1], [0, 0, 1], [1, 1, 1], [0, 0, 0]], dtype=dtype)
    assert relevance(query, database).tolist() == [[True, False, True, False], [False] * 4]


def test_three_hundred_shared_labels_do_not_overflow_small_integers():
    many = np.ones((1, 256), dtype=np.uint8)
    assert relevance(many, many).tolist() == [[True]]


# --- packing ---


@pytest.mark.parametrize("n_bits", ODD_LENGTHS)
def test_unpack_is_the_inverse_of_pack(n_bits):
    values = np.random.default_rng(n_bits).normal(size=(5, n_bits))
    packed = pack(values)
    assert packed.shape == (5, -(-n_bits // 8))
    assert packed.dtype == np.uint8
    np.testing.assert_array_equal(unpack(packed, n_bits), values > 0)


def test_zero_and_negative_values_are_bit_zero_least_significant_bit_first():
    assert pack(np.array([[0.5, 0.0, -1.0, 2.0, -0.0, 0, 0, 0, 1e-300]])).tolist() == [[0b1001, 1]]


@pytest.mark.parametrize("n_bits", ODD_LENGTHS)
def test_unused_bits_of_the_last_byte_are_zero(n_bits):
    packed = pack(np.ones((2, n_bits)))
    assert np.bitwise_count(packed).sum(axis=1).tolist() == [n_bits, n_bits]


@pytest.mark.parametrize("n_bits", ODD_LENGTHS)
def test_words_hold_the_same_bits_padded_with_zeros(n_bits):
    bits = np.random.default_rng(n_bits).random((4, n_bits)) < 0.5
    found = words(pack(bits))
    assert found.shape == (4, -(-n_bits // 64))
    assert found.dtype == np.uint64
    back = np.unpackbits(found.view(np.uint8), axis=1, bitorder="little")
    np.testing.assert_array_equal(back[:, :n_bits], bits)
    assert not back[:, n_bits:].any()


def test_words_of_a_non_contiguous_view_are_those_of_its_copy():
    packed = pack(np.random.default_rng(0).random((8, 130)) < 0.5)
    np.testing.assert_array_equal(words(packed[::2]), words(packed[::2].copy()))


@pytest.mark.parametrize("values", [np.zeros(4), np.zeros((2, 0)), np.zeros((2, 2, 2)), np.float64(1.0)], ids=str)
def test_codes_that_are_no_matrix_are_refused_by_name(values):
    with pytest.raises(HarnessError, match=r"my-hasher.*shape"):
        pack_checked(values, "my-hasher")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_codes_that_are_not_finite_are_refused_and_counted(value):
    values = np.ones((5, 8), dtype=np.float32)
    values[[1, 3], 2] = value
    with pytest.raises(HarnessError, match="my-hasher: 2 of 5"):
        pack_checked(values, "my-hasher")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.int64, bool])
def test_checked_packing_equals_packing_for_every_type_of_number(dtype):
    values = np.random.default_rng(1).integers(0, 2, (6, 21)).astype(dtype)
    np.testing.assert_array_equal(pack_checked(values, "who"), pack(values))
