"""Codes of any other program in an npz file."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.files.npz import read_npz
from harness.retrieval.code_file import code_table, stored_table
from harness.retrieval.codes import pack

WHERE = "--codes other.npz"
NAMES = ("query_image", "query_text", "database_image", "database_text")
N_QUERY, N_DATABASE = 4, 9


def bits(n_bits=20):
    random = np.random.default_rng(n_bits)
    return {name: random.random((N_QUERY if name.startswith("query") else N_DATABASE, n_bits)) < 0.5 for name in NAMES}


def labels(n_classes=None):
    if n_classes is None:
        return {"query_labels": np.arange(N_QUERY) % 3, "database_labels": np.arange(N_DATABASE) % 3}
    random = np.random.default_rng(1)
    return {
        "query_labels": random.integers(0, 2, (N_QUERY, n_classes)),
        "database_labels": random.integers(0, 2, (N_DATABASE, n_classes)),
    }


ENCODINGS = {
    "-1/1 float": lambda found: np.where(found, 1.0, -1.0).astype(np.float32),
    "-1/1 integer": lambda found: np.where(found, 1, -1).astype(np.int8),
    "0/1 uint8": lambda found: found.astype(np.uint8),
    "0/1 int64": lambda found: found.astype(np.int64),
    "bool": lambda found: found,
    "real": lambda found: np.where(found, 1, -1) * np.random.default_rng(0).uniform(0.01, 3, found.shape),
    "real with zeros": lambda found: np.where(found, 0.5, 0.0),
}


def file(encode=ENCODINGS["bool"], suffix="_codes", drop=(), n_bits=20, **replaced):
    arrays = {name + suffix: encode(found) for name, found in bits(n_bits).items() if name not in drop} | labels()
    arrays = {name: array for name, array in arrays.items() if name not in drop}
    return arrays | replaced


def assert_same_codes(found, reference):
    assert found.n_bits == reference.n_bits
    for part in ("query", "database"):
        assert set(getattr(found, part)) == set(getattr(reference, part))
        for modality, codes in getattr(reference, part).items():
            np.testing.assert_array_equal(getattr(found, part)[modality], codes)


# --- what is accepted ---


@pytest.mark.parametrize("suffix", ["_codes", ""])
@pytest.mark.parametrize("n_bits", [1, 7, 8, 20, 64])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_unpacked_encoding_gives_the_same_table(encoding, n_bits, suffix):
    found = code_table(file(ENCODINGS[encoding], suffix, n_bits=n_bits), WHERE)
    assert found.n_bits == n_bits
    for name, reference in bits(n_bits).items():
        part, _, modality = name.partition("_")
        np.testing.assert_array_equal(getattr(found, part)[modality], pack(reference))


@pytest.mark.parametrize("suffix", ["_codes", ""])
@pytest.mark.parametrize("n_bits", [1, 7, 8, 20, 64])
def test_packed_codes_with_their_length_give_the_same_table(n_bits, suffix):
    packed = code_table(file(pack, suffix, n_bits=n_bits) | {"n_bits": np.array(n_bits)}, WHERE)
    assert_same_codes(packed, code_table(file(n_bits=n_bits), WHERE))


def test_the_length_may_be_given_with_unpacked_codes_too():
    with_length = code_table(file(ENCODINGS["0/1 uint8"]) | {"n_bits": np.array(20)}, WHERE)
    assert_same_codes(with_length, code_table(file(), WHERE))


def test_items_without_ids_are_numbered_in_order():
    found = code_table(file(), WHERE)
    assert found.query_ids.tolist() == list(range(N_QUERY))
    assert found.database_ids.tolist() == list(range(N_DATABASE))


def test_ids_and_labels_are_taken_from_the_file():
    ids = {"query_ids": np.array([9, 3, 5, 1], dtype=np.uint8), "database_ids": np.arange(100, 109)}
    found = code_table(file() | ids, WHERE)
    assert found.query_ids.tolist() == [9, 3, 5, 1]
    assert found.query_ids.dtype == np.int64
    assert found.query_labels.tolist() == [0, 1, 2, 0]


def test_multi_labels_are_taken_as_they_are():
    found = code_table(file() | labels(5), WHERE)
    assert found.query_labels.shape == (N_QUERY, 5)
    assert found.database_labels.shape == (N_DATABASE, 5)


def test_a_column_of_labels_holds_classes_and_that_is_told(caplog):
    query, database = np.arange(N_QUERY) % 2, np.arange(N_DATABASE) % 2
    table = code_table(file(query_labels=query[:, None], database_labels=database[:, None].astype(float)), WHERE)
    assert table.query_labels.tolist() == query.tolist()
    assert table.database_labels.tolist() == database.tolist()
    assert "--codes other.npz: query_labels is one column (4, 1), read as the class of each item" in caplog.text
    for value in (0.5, 1e300, np.uint64(2**63)):
        with pytest.raises(HarnessError, match="query_labels must be whole numbers"):
            code_table(file(query_labels=np.full((N_QUERY, 1), value)), WHERE)
    caplog.clear()
    one = {name: np.ones((n, 1), dtype=bool) for name, n in (("query_labels", 4), ("database_labels", 9))}
    assert code_table(file(**one), WHERE).query_labels.shape == (4, 1)
    assert "one column of bool (4, 1)" in caplog.text


def test_ids_in_both_parts_are_refused_unless_a_record_has_them():
    """``harness evaluate`` numbers the items of each part from 0 where a file says nothing."""
    both = file(query_ids=np.arange(N_QUERY), database_ids=np.arange(N_DATABASE))
    with pytest.raises(HarnessError, match="4 ids are both query and database, the first is 0"):
        code_table(both, WHERE)
    assert_same_codes(stored_table(both, WHERE), code_table(file(), WHERE))


def by_instance(**changes):
    """Arrays of a run whose relevance goes by instance: two captions for each image."""
    captions = np.repeat(np.arange(N_QUERY), 2)
    arrays = {
        "n_bits": np.array(12), "query_image_codes": np.full((N_QUERY, 2), 3, np.uint8),
        "query_text_codes": np.full((2 * N_QUERY, 2), 5, np.uint8), "query_labels": np.arange(N_QUERY),
        "query_ids": np.arange(N_QUERY), "relevant_pairs": np.stack([captions, np.arange(2 * N_QUERY)]),
    }  # fmt: skip
    return arrays | changes


def test_a_run_by_instance_has_more_captions_than_images():
    table = stored_table(by_instance(), WHERE)
    assert [len(table.query[modality]) for modality in ("image", "text")] == [4, 8]
    assert table.partners["t2i"][0].tolist() == [*range(8)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_bits": np.array(2), "query_image_codes": np.ones((4, 1), np.uint8),
          "query_text_codes": np.ones((8, 5), np.uint8)}, "query_text_codes has 5 bits, and n_bits is 2"),
        ({"n_bits": np.array(1)}, "query_image_codes"),
        ({"query_labels": np.arange(3)}, r"query_labels must be \(4,\) integers"),
        ({"query_ids": np.arange(5)}, r"query_ids must be \(4,\) integers"),
        ({"query_ids": np.zeros(4, dtype=int)}, "query_ids names some items twice"),
        ({"relevant_pairs": np.array([[4], [0]])}, "relevant_pairs names image 4, and there are 4"),
    ],
)  # fmt: skip
def test_damaged_arrays_of_a_run_by_instance_are_refused(changes, said):
    with pytest.raises(HarnessError, match=said):
        stored_table(by_instance(**changes), WHERE)


@pytest.mark.parametrize("drop", [("query_text",), ("query_image", "database_text"), ("database_image",)])
def test_one_modality_in_each_part_is_enough(drop):
    found = code_table(file(drop=drop), WHERE)
    there = {f"{part}_{modality}" for part in ("query", "database") for modality in getattr(found, part)}
    assert there == set(NAMES) - set(drop)


def test_labels_of_a_known_cell_are_found_by_id_in_any_order():
    cell = {
        "query": {10 + i: np.int64(i % 3) for i in range(N_QUERY)},
        "database": {100 + i: np.int64(i % 2) for i in range(N_DATABASE)},
    }
    ids = {"query_ids": np.array([12, 10, 13, 11]), "database_ids": np.arange(108, 99, -1)}
    arrays = file(drop=("query_labels", "database_labels")) | ids
    found = code_table(arrays, WHERE, cell)
    assert found.query_labels.tolist() == [2, 0, 0, 1]
    assert found.database_labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0]
    # labels in the file do not overrule those of the cell
    assert code_table(arrays | labels(), WHERE, cell).query_labels.tolist() == [2, 0, 0, 1]


# --- what is refused ---

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("replaced", "names"),
    [
        ({"query_image_codes": np.ones(N_QUERY)}, "query_image_codes"),
        ({"query_text_codes": np.ones((N_QUERY, 4, 5))}, "query_text_codes"),
        ({"database_image_codes": np.ones((N_DATABASE, 0))}, "database_image_codes"),
        ({"query_image_codes": np.ones((0, 20))}, "query_image_codes"),
        ({"database_text_codes": np.full((N_DATABASE, 20), "1")}, "database_text_codes"),
        ({"database_text_codes": np.full((N_DATABASE, 20), 1j)}, "database_text_codes"),
        ({"query_image_codes": np.full((N_QUERY, 20), np.nan)}, "query_image_codes.*NaN"),
        ({"query_text_codes": np.full((N_QUERY, 20), np.inf)}, "query_text_codes.*infinite"),
        ({"database_image_codes": np.ones((N_DATABASE, 21))}, "database_image_codes.*21.*20"),
        ({"n_bits": np.array(24)}, "query_image_codes.*20.*24"),
        ({"n_bits": np.array(0)}, "n_bits|query_image_codes"),
        ({"query_image_codes": RANDOM.integers(2, 255, (N_QUERY, 3), dtype=np.uint8)}, "query_image_codes.*n_bits"),
        ({"query_text_codes": np.ones((N_QUERY - 1, 20))}, "query.*4.*3"),
        ({"database_image_codes": np.ones((N_DATABASE + 2, 20))}, "database.*11.*9"),
        ({"query_labels": np.arange(N_QUERY + 1)}, "query_labels"),
        ({"database_labels": np.arange(N_DATABASE - 1)}, "database_labels"),
        ({"query_labels": np.zeros((N_QUERY, 2, 2))}, "query_labels"),
        ({"query_labels": np.array(["a"] * N_QUERY)}, "query_labels"),
        ({"database_labels": np.full((N_DATABASE, 3), 2)}, "database_labels"),
        ({"query_labels": np.zeros((N_QUERY, 3), dtype=int)}, "query_labels.*database_labels"),
        (labels(4) | {"database_labels": np.zeros((N_DATABASE, 5), dtype=int)}, "query_labels.*database_labels"),
        ({"query_ids": np.arange(N_QUERY + 1)}, "query_ids"),
        ({"database_ids": np.arange(N_DATABASE) + 0.5}, "database_ids"),
        ({"database_ids": np.zeros((N_DATABASE, 1), dtype=int)}, "database_ids"),
        ({"query_ids": np.array([1, 2, 2, 3])}, "query_ids.*twice"),
        ({"query_ids": np.arange(4), "database_ids": np.arange(3, 12)}, "1 ids.*3"),
    ],
)  # fmt: skip
def test_an_array_that_does_not_fit_is_named(replaced, names):
    with pytest.raises(HarnessError, match=f"{WHERE}.*{names}"):
        code_table(file() | replaced, WHERE)


@pytest.mark.parametrize("drop", ["query_labels", "database_labels"])
def test_missing_labels_are_named(drop):
    with pytest.raises(HarnessError, match=f"{WHERE}: {drop} missing"):
        code_table(file(drop=(drop,)), WHERE)


@pytest.mark.parametrize("part", ["query", "database"])
def test_a_part_without_any_codes_is_named_with_the_arrays_it_could_have(part):
    with pytest.raises(HarnessError, match=f"{WHERE}.*{part}_image_codes or {part}_text_codes"):
        code_table(file(drop=(f"{part}_image", f"{part}_text")), WHERE)


CELL = {"query": dict.fromkeys(range(N_QUERY), 0), "database": dict.fromkeys(range(100, 109), 0)}
OF_CELL = file(drop=("query_labels", "database_labels"), query_ids=np.arange(4), database_ids=np.arange(100, 109))


def test_codes_for_a_cell_need_ids():
    arrays = {name: array for name, array in OF_CELL.items() if name != "query_ids"}
    with pytest.raises(HarnessError, match=f"{WHERE}: query_ids is needed"):
        code_table(arrays, WHERE, CELL)


def test_an_item_that_is_not_in_the_cell_is_named():
    with pytest.raises(HarnessError, match=f"{WHERE}: 1 of query_ids.*77"):
        code_table(OF_CELL | {"query_ids": np.array([0, 1, 2, 77])}, WHERE, CELL)


def test_codes_of_a_part_of_the_cell_are_refused_as_not_comparable():
    arrays = {name: array[:8] if name.startswith("database") else array for name, array in OF_CELL.items()}
    with pytest.raises(HarnessError, match=f"{WHERE}: 8 database items, but the cell has 9"):
        code_table(arrays, WHERE, CELL)


# once: int() of the array raises TypeError or ValueError, and 20.5 silently becomes 20.
@pytest.mark.parametrize("value", [np.array([20, 20]), np.array("twenty"), np.array(20.5), np.array(np.nan)], ids=str)
def test_a_length_that_is_no_integer_is_refused_by_name(value):
    with pytest.raises(HarnessError, match="n_bits"):
        code_table(file() | {"n_bits": value}, WHERE)


# once: any real numbers are accepted as classes; NaN is then relevant to nothing, not even to itself.
@pytest.mark.parametrize("name", ["query_labels", "database_labels"])
@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_single_labels_that_are_no_integers_are_refused(name, value):
    wrong = labels()[name].astype(float)
    wrong[0] = value
    with pytest.raises(HarnessError, match=name):
        code_table(file() | {name: wrong}, WHERE)


def test_stray_bits_beyond_the_length_are_refused():
    # seven bits in a byte whose eighth is set in the database alone: most likely packed in the other bit order, where
    # dropping the stray bit would drop a real one
    clean = file(pack, n_bits=7) | {"n_bits": np.array(7)}
    stray = {
        name: array | 0x80 if name.startswith("database_") and name.endswith("_codes") else array
        for name, array in clean.items()
    }
    with pytest.raises(HarnessError, match=r"database_image_codes has bits set beyond n_bits = 7"):
        code_table(stray, WHERE)


def test_short_codes_are_not_taken_for_packed_ones_where_no_length_was_given():
    # 20 bits in one part and 0/1 bytes of 3 bits in the other: a mistake, not packing, as n_bits is missing
    # once: the length found in the first array makes the second look packed, and it is read as 20 bits.
    short = np.random.default_rng(0).integers(0, 2, (N_DATABASE, 3), dtype=np.uint8)
    with pytest.raises(HarnessError, match=r"database_image_codes.*3.*20"):
        code_table(file() | {"database_image_codes": short}, WHERE)


# --- reading the file ---


def test_arrays_are_read_from_an_npz_file(tmp_path):
    path = tmp_path / "codes.npz"
    np.savez_compressed(path, **file())
    found = read_npz(path, "--codes")
    assert_same_codes(code_table(found, WHERE), code_table(file(), WHERE))


def test_a_missing_or_damaged_file_is_named(tmp_path):
    # once: of cut.npz numpy leaves the file open (ResourceWarning), as it was given a path instead of an open file.
    with pytest.raises(HarnessError, match=r"--codes .*none\.npz: there is no such file"):
        read_npz(tmp_path / "none.npz", "--codes")
    whole = tmp_path / "whole.npz"
    np.savez(whole, **file())
    broken = {
        "text.npz": b"not an npz",
        "empty.npz": b"",
        "cut.npz": whole.read_bytes()[:-40],
        "array.npy": None,
        "pickled.npz": None,
    }
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "pickled.npz", query_image_codes=np.array([{"a": 1}], dtype=object))
    for name, content in broken.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(HarnessError, match=rf"--codes .*{name}(:| is)"):
            read_npz(tmp_path / name, "--codes")
