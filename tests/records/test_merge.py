"""Results of several machines in one folder."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.records import store as store_module
from harness.records.merge import merge
from harness.records.schema import Failure
from harness.records.store import RunStore

FAILED = {"status": "failed", "error": Failure(kind="E", message="m", traceback=[])}


def codes(value: int) -> dict[str, np.ndarray]:
    return {"query_image_codes": np.full((4, 2), value, np.uint8), "per_query_i2t_map": np.arange(4.0)}


@pytest.fixture
def place(tmp_path, record):
    """``place("a", (record, arrays), ...)``: a results folder."""

    def make(name, *runs) -> RunStore:
        store = RunStore(tmp_path / name)
        store.check_writable()
        for one, arrays in runs:
            store.write(one, arrays, log_lines=[name])
        return store

    return make


def into(destination, *sources, **options):
    return merge([(store.results.name, store.results) for store in sources], destination.results, **options)


def files(store) -> dict[str, bytes]:
    return {str(path.relative_to(store.runs)): path.read_bytes() for path in store.runs.rglob("*") if path.is_file()}


def test_runs_of_several_folders_come_together_whole(place, record):
    one = place("one", (record(hash="a" * 12), codes(1)))
    two = place("two", (record(hash="b" * 12, cell={"method": "external:x/y"}), codes(2)))
    all_of_them = RunStore(one.results.with_name("all"))
    merged = into(all_of_them, one, two)
    assert sorted(merged.added) == ["cca-itq/small/" + "a" * 12, "external-x-y/small/" + "b" * 12]
    assert files(all_of_them) == {**files(one), **files(two)}
    assert not list(all_of_them.runs.rglob(".*"))


def test_sources_are_left_alone(place, record):
    one = place("one", (record(), codes(1)))
    before = sorted(one.results.rglob("*"))
    into(place("all"), one)
    assert sorted(one.results.rglob("*")) == before


@pytest.mark.parametrize(
    ("there", "arriving", "fate", "stays"),
    [
        ("ok", "ok", "same", "there"),
        ("failed", "ok", "better", "arriving"),
        ("ok", "failed", "worse", "there"),
        ("failed", "failed", "worse", "there"),
    ],
)
def test_finished_beats_unfinished_and_equal_runs_are_kept_once(place, record, there, arriving, fate, stays):
    def run(status):
        return (record(), codes(1)) if status == "ok" else (record(**FAILED), None)

    destination, source = place("there", run(there)), place("arriving", run(arriving))
    merged = into(destination, source)
    assert getattr(merged, fate) == ["cca-itq/small/0123456789ab"]
    (stored,) = destination.all()
    assert (stored.folder / "log.txt").read_text() == f"{stays}\n"


def test_finished_runs_with_other_codes_are_told_and_the_destination_s_stays(place, record):
    destination, source = place("there", (record(), codes(1))), place("arriving", (record(), codes(2)))
    before = files(destination)
    assert into(destination, source).differ == ["cca-itq/small/0123456789ab"]
    assert files(destination) == before


def test_arrays_beside_the_codes_do_not_count(place, record):
    other = {**codes(1), "per_query_i2t_map": np.zeros(4)}
    assert into(place("there", (record(), codes(1))), place("arriving", (record(), other))).same


@pytest.mark.parametrize(("value", "fate"), [(0.5, "same"), (0.6, "differ")])
def test_runs_without_arrays_are_compared_by_their_metrics(place, record, value, fate):
    one = place("one", (record(metrics={"i2t": {"map": 0.5}}), None))
    two = place("two", (record(metrics={"i2t": {"map": value}}), None))
    assert getattr(into(one, two), fate)


def test_damaged_codes_differ(place, record):
    one, two = place("one", (record(), codes(1))), place("two", (record(), codes(1)))
    next(two.runs.rglob("arrays.npz")).write_bytes(b"damaged")
    assert into(one, two).differ


def test_dry_run_says_the_same_and_copies_nothing(place, record):
    source, destination = place("one", (record(), codes(1))), RunStore(place("x").results.with_name("all"))
    planned = into(destination, source, dry_run=True)
    assert not destination.results.exists()
    assert into(destination, source) == planned


def test_other_data_under_one_name_are_refused_before_anything_is_copied(place, record):
    destination = place("there", (record(hash="a" * 12, identity={"data": "d1"}), None))
    source = place(
        "arriving",
        (record(hash="b" * 12, identity={"data": "d0"}, cell={"dataset": "fine"}), None),
        (record(hash="c" * 12, identity={"data": "d2"}), None),
    )
    before = files(destination)
    with pytest.raises(HarnessError) as raised:
        into(destination, source)
    message = str(raised.value)
    assert "data set 'small' is not the same data everywhere" in message
    for said in ("d2 in arriving (run cccccccccccc)", "/there (run aaaaaaaaaaaa)", "nothing was copied"):
        assert said in message
    assert files(destination) == before


def test_other_data_in_two_sources_are_refused(place, record):
    sources = [place(name, (record(hash=name * 12, identity={"data": name}), None)) for name in "ab"]
    with pytest.raises(HarnessError, match="not the same data everywhere"):
        into(place("all"), *sources)


@pytest.mark.parametrize(
    ("one", "other", "refused"),
    [
        ({"dataset": "x"}, {"dataset": "y"}, False),
        ({"limit": 10}, {"limit": None}, False),
        ({"limit": 10, "data": "d-limit-10-0"}, {"limit": 10, "data": "d-limit-10-1"}, False),
        ({"limit": 10, "data": "d-limit-10-0"}, {"limit": 10, "data": "e-limit-10-0"}, True),
        ({"data": None}, {"data": "d"}, False),
        ({}, {}, True),
    ],
)
def test_what_counts_as_the_same_name(place, record, one, other, refused):
    """Which images ``--limit`` keeps depends on the data seed; codes of other programs may be of no known data."""

    def run(cell_hash, facts, default):
        facts = dict(facts)
        identity = {"data": facts.pop("data", default)}
        return record(hash=cell_hash, cell=facts, identity=identity), None

    stores = place("there", run("a" * 12, one, "d1")), place("arriving", run("b" * 12, other, "d2"))
    if refused:
        with pytest.raises(HarnessError, match="not the same data"):
            into(*stores)
    else:
        assert into(*stores).added


def test_folder_that_holds_two_data_of_one_name_itself_takes_in_either(place, record):
    destination = place("there", *((record(hash=name * 12, identity={"data": name}), None) for name in "ab"))
    assert into(destination, place("more", (record(hash="c" * 12, identity={"data": "b"}), None))).added


def test_other_noise_plan_of_one_cell_is_refused(place, record):
    destination, source = place("there", (record(plan="p1"), None)), place("arriving", (record(plan="p2"), None))
    with pytest.raises(
        HarnessError, match=r"run 0123456789ab .* has noise plan p2 in arriving and p1 in .*nothing was"
    ):
        into(destination, source)


def test_folder_without_runs_and_the_destination_itself_are_refused(place, record, tmp_path):
    one = place("one", (record(), None))
    (tmp_path / "empty").mkdir()
    with pytest.raises(HarnessError, match="is no results folder"):
        merge([("empty", tmp_path / "empty")], one.results)
    with pytest.raises(HarnessError, match="is the destination itself"):
        merge([("one", tmp_path / "empty" / ".." / "one")], one.results)


def test_merge_that_stops_half_way_is_repeated(place, record, monkeypatch):
    source = place("one", *((record(hash=name * 12), codes(1)) for name in "abc"))
    destination = place("all")
    written = []
    write = store_module.write_file

    def full(path, content):
        written.append(path)
        if len(written) > 4:
            raise OSError(28, "No space left on device")
        write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(store_module, "write_file", full)
        with pytest.raises(HarnessError, match="make room there"):
            into(destination, source)
    assert [stored.record.hash for stored in destination.all()] == ["a" * 12]
    assert not list(destination.runs.rglob(".*"))
    merged = into(destination, source)
    assert (len(merged.same), len(merged.added)) == (1, 2)
    assert files(destination) == files(source)


def test_unreadable_records_of_a_source_are_left_out(place, record):
    source = place("one", (record(), None), (record(hash="b" * 12), None))
    next(source.runs.rglob("b*/record.json")).write_text("{")
    assert into(place("all"), source).added == ["cca-itq/small/0123456789ab"]
