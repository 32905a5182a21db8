"""Every way of counting against a double loop over pairs: numpy, compiled code on one and two threads, torch."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from harness.retrieval import counting, on_device
from harness.retrieval.codes import pack
from harness.retrieval.histograms import distance_histogram
from harness.retrieval.relevance import Relevance


def in_compiled_code(number):
    def count(*arguments):
        return counting.count_compiled(pytest.importorskip("harness.retrieval.compiled"), *arguments, number)

    return count


PATHS = {
    "numpy": counting.count_plainly,
    "compiled": in_compiled_code(1),
    "compiled, two threads": in_compiled_code(2),
    "torch": lambda *arguments: on_device.count_on_device(*arguments, "cpu"),
}
every_path = pytest.mark.parametrize("path", PATHS)


def counted(path, query, database, query_labels, labels):
    """Items and relevant items by one path, queries back in their order."""
    relevance = Relevance.of(query_labels, labels)
    words = relevance.query_words(pack(query)), relevance.database_words(pack(database))
    found = PATHS[path](relevance, *words, query.shape[1] + 1)
    result = [np.empty_like(part) for part in found]
    for part, ordered in zip(result, found, strict=True):
        part[relevance.query_order] = ordered
    return result


def counted_one_by_one(query, database, query_labels, labels):
    items, relevant = (np.zeros((len(query), query.shape[1] + 1), dtype=np.int64) for _ in range(2))
    for q in range(len(query)):
        for item in range(len(database)):
            distance = int((query[q] != database[item]).sum())
            shared = np.logical_and(query_labels[q], labels[item]).any() if labels.ndim > 1 else None
            items[q, distance] += 1
            relevant[q, distance] += int(query_labels[q]) == int(labels[item]) if shared is None else bool(shared)
    return items, relevant


def check(path, query, database, query_labels, labels):
    found = counted(path, query, database, query_labels, labels)
    for part, reference in zip(found, counted_one_by_one(query, database, query_labels, labels), strict=True):
        assert part.dtype == np.int64
        np.testing.assert_array_equal(part, reference)


def drawn(n_query, n_database, n_bits, classes=0, seed=0):
    """Random codes; one class per item, or with ``classes`` as many labels of which each item has about a tenth."""
    random = np.random.default_rng([n_query, n_database, n_bits, classes, seed])
    query, database = random.random((n_query, n_bits)) < 0.5, random.random((n_database, n_bits)) < 0.5
    if classes:
        return query, database, random.random((n_query, classes)) < 0.1, random.random((n_database, classes)) < 0.1
    return query, database, random.integers(0, 4, n_query), random.integers(0, 4, n_database)


@every_path
@pytest.mark.parametrize("classes", [0, 1, 64, 65, 200])
def test_any_number_of_bits_and_labels(path, classes):
    for n_bits in (1, 7, 63, 64, 65, 126, 127, 128, 254, 255, 256, 1000):
        check(path, *drawn(5, 12, n_bits, classes))


@every_path
@pytest.mark.parametrize("classes", [0, 70])
def test_one_query_or_one_item(path, classes):
    for n_query, n_database in ((1, 1), (1, 30), (2, 1), (13, 1), (8, 3)):
        check(path, *drawn(n_query, n_database, 9, classes))


@every_path
@pytest.mark.parametrize("classes", [0, 3])
def test_no_query_and_no_item(path, classes):
    query, database, query_labels, labels = drawn(3, 4, 9, classes)
    for chosen, items in ((slice(0, 0), slice(None)), (slice(None), slice(0, 0))):
        check(path, query[chosen], database[items], query_labels[chosen], labels[items])


@every_path
def test_no_relevant_items(path):
    query, database, query_labels, labels = drawn(6, 20, 65)
    found = counted(path, query, database, query_labels + 100, labels)
    assert not found[1].any()
    check(path, query, database, query_labels + 100, labels)
    check(path, query, database, np.zeros((6, 70), dtype=bool), np.ones((20, 70), dtype=bool))


@every_path
@pytest.mark.parametrize("far", [False, True])
def test_all_distances_equal(path, far):
    query = np.ones((3, 65), dtype=bool)
    check(path, query, np.full((40, 65), not far), np.array([0, 1, 2]), np.arange(40) % 2)


@every_path
@pytest.mark.parametrize("query_dtype", [np.int64, np.uint64, np.int8])
@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_negative_large_and_mixed_label_values(path, query_dtype, dtype):
    # 2**62 and 2**62 + 1 are equal as float64
    values = [0, 1, 2**62, 2**62 + 1, 127, *([-(2**63), -1] if dtype is np.int64 else [2**64 - 1, 2**63])]
    asked = [v for v in [*values, -1, -128, 5] if np.iinfo(query_dtype).min <= v <= np.iinfo(query_dtype).max]
    query, database, _, _ = drawn(len(asked), 3 * len(values), 9)
    check(path, query, database, np.array(asked, dtype=query_dtype), np.array(values * 3, dtype=dtype))


@every_path
def test_the_whole_range_of_small_integers_as_labels(path):
    for dtype in (np.int8, np.uint8, np.int16, np.uint16):
        limits = np.iinfo(dtype)
        labels = np.array([limits.max, limits.min, 0, 1, limits.max - 1, limits.max, limits.min], dtype=dtype)
        query, database, _, _ = drawn(4, 7, 9)
        check(path, query, database, labels[:4], labels)


@every_path
def test_every_query_of_a_class_of_its_own_and_all_of_one_class(path):
    query, database, _, _ = drawn(7, 30, 20)
    check(path, query, database, np.arange(7)[::-1].copy(), np.arange(30) % 11)
    check(path, query, database, np.zeros(7, dtype=int), np.zeros(30, dtype=int))


@every_path
@pytest.mark.parametrize("classes", [0, 66])
def test_non_contiguous_inputs(path, classes):
    query, database, query_labels, labels = drawn(10, 46, 70, classes)
    relevance = Relevance.of(query_labels[::2], labels[::-2])
    codes = np.asfortranarray(pack(query)), np.repeat(pack(database), 2, axis=1)[:, ::2]
    words = relevance.query_words(codes[0][::2]), relevance.database_words(codes[1][::-2])
    found = PATHS[path](relevance, *words, 71)
    reference = counted_one_by_one(query[::2], database[::-2], query_labels[::2], labels[::-2])
    for part, whole in zip(found, reference, strict=True):
        np.testing.assert_array_equal(part, whole[relevance.query_order])


@pytest.mark.parametrize("classes", [0, 24])
@pytest.mark.parametrize("n_bits", [64, 300])
def test_all_paths_agree_where_tiles_blocks_and_calls_end_inside(n_bits, classes):
    # more than two tiles of 32,768 items, and more queries than one call takes
    cases = drawn(11, 70_001, n_bits, classes), drawn(515, 1_300, n_bits, classes)
    for case in cases:
        reference = counted("numpy", *case)
        for path in ("compiled", "compiled, two threads", "torch"):
            for part, whole in zip(counted(path, *case), reference, strict=True):
                np.testing.assert_array_equal(part, whole, err_msg=path)


def test_counts_of_one_bin_do_not_overflow_small_integers():
    many = np.ones((200_000, 64), dtype=bool)
    for path in PATHS:
        items, relevant = counted(path, many[:3], many, np.zeros(3, dtype=int), np.zeros(200_000, dtype=int))
        assert items[:, 0].tolist() == relevant[:, 0].tolist() == [200_000] * 3


@pytest.mark.parametrize("classes", [0, 5])
def test_torch_in_small_blocks_gives_equal_counts(classes, monkeypatch):
    monkeypatch.setattr(on_device, "COLUMNS", 7)
    monkeypatch.setattr(on_device, "PAIRS", 20)
    check("torch", *drawn(5, 23, 65, classes))


# --- which path is taken ---


def test_small_products_import_no_numba_and_the_variable_decides_otherwise(monkeypatch):
    asked = []
    monkeypatch.setattr("importlib.import_module", lambda name: asked.append(name))
    monkeypatch.delenv("HARNESS_NUMBA", raising=False)
    assert counting.compiled_code("compiled", counting.worth_compiling(210, 840)) is None
    monkeypatch.setenv("HARNESS_NUMBA", "0")
    assert counting.compiled_code("compiled", worth=True) is None
    assert not asked
    monkeypatch.setenv("HARNESS_NUMBA", "1")
    counting.compiled_code("compiled", worth=False)
    assert asked == ["harness.retrieval.compiled"]


def test_without_numba_numpy_counts(monkeypatch):
    monkeypatch.setenv("HARNESS_NUMBA", "1")
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "harness.retrieval.compiled", raising=False)
    query, database, query_labels, labels = drawn(3, 8, 12)
    found = distance_histogram(pack(query), pack(database), 12, query_labels, labels)
    np.testing.assert_array_equal(found.items, counted_one_by_one(query, database, query_labels, labels)[0])


def test_a_cuda_device_without_room_falls_back_to_the_processor(monkeypatch, caplog):
    import torch

    def full(*_):
        raise torch.OutOfMemoryError("no room")

    query, database, query_labels, labels = drawn(3, 8, 12)
    reference = distance_histogram(pack(query), pack(database), 12, query_labels, labels)
    monkeypatch.setattr(on_device, "count_on_device", full)
    found = distance_histogram(pack(query), pack(database), 12, query_labels, labels, "cuda:0")
    np.testing.assert_array_equal(found.items, reference.items)
    assert "does not fit" in caplog.text


def test_a_cuda_device_counts_what_the_processor_counts(monkeypatch):
    query, database, query_labels, labels = drawn(6, 31, 12, 3)
    reference = distance_histogram(pack(query), pack(database), 12, query_labels, labels)
    on_cpu = on_device.count_on_device
    monkeypatch.setattr(on_device, "count_on_device", lambda *arguments: on_cpu(*arguments[:-1], "cpu"))
    found = distance_histogram(pack(query), pack(database), 12, query_labels, labels, "cuda")
    np.testing.assert_array_equal(found.items, reference.items)
    np.testing.assert_array_equal(found.relevant, reference.relevant)


def test_threads_are_limited_by_the_environment(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    free = counting.threads()
    assert free >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert counting.threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")  # per nesting level: not ours to read
    assert counting.threads() == free


# --- resources ---


def run(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env={**os.environ, **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("numba", ["0", "1"])
def test_memory_stays_in_proportion_to_the_database(numba):
    """10,000 queries against 10 million items in 2 GB are 200 bytes an item; here 40 against 400,000."""
    done = run(
        """
        import resource, numpy as np
        from harness.plugin.loading import load_registry
        from harness.retrieval.codes import pack
        from harness.retrieval.codes import CodeTable
        from harness.retrieval.evaluate import evaluate
        declared = load_registry(environment={}).all("metric")
        random = np.random.default_rng(0)
        def score(n_query, n):
            codes = lambda rows: random.integers(0, 256, (rows, 8), dtype=np.uint8)
            table = CodeTable(64, {m: codes(n_query) for m in ("image", "text")},
                              {m: codes(n) for m in ("image", "text")}, np.arange(n_query) % 20, np.arange(n) % 20,
                              np.arange(n_query), np.arange(n))
            evaluate(table, declared)
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        before = score(40, 1000)
        print(score(40, 400_000) - before)
        """,
        HARNESS_NUMBA=numba,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200 * 400_000


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    """A read-only installation of a user without a home: compiled in memory, silently."""
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    done = run(
        """
        import numpy as np
        from numba.core import caching
        def refuse(self):
            raise OSError("read-only")
        for locator in caching.CacheImpl._locator_classes:
            locator.ensure_cache_path = refuse
        from harness.retrieval.compiled import _increment
        table = np.zeros(3, dtype=np.int64)
        _increment(np.array([0, 2, 2], dtype=np.uint16), table)
        print(table.tolist())
        """,
        HARNESS_CACHE=str(blocked),
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout.strip(), done.stderr) == ("[1, 0, 2]", "")
