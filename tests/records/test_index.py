"""The index shows what the folders hold, whatever happened to either since."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from harness.files.whole import temporary_for
from harness.records import index as index_module
from harness.records import index_tables
from harness.records.facts import FACTS
from harness.records.index import open_index
from harness.records.index_tables import MORE_FACTS
from harness.records.schema import Failure
from harness.records.store import RunStore
from harness.report import load_records, records_frame

HISTORIC = Path(__file__).parent / "historic" / "schema-1"


@pytest.fixture
def store(tmp_path):
    made = RunStore(tmp_path / "results")
    made.check_writable()
    return made


@pytest.fixture(autouse=True)
def notes(caplog, monkeypatch):
    logger = logging.getLogger("harness")
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "handlers", [])
    caplog.set_level(logging.WARNING, logger="harness")
    return caplog


def hashes(store) -> list[str]:
    with open_index(store.results) as index:
        return index.read(["hash"])["hash"]


def value(store, column: str):
    with open_index(store.results) as index:
        (found,) = index.read([column])[column]
        return found


def agrees(store) -> None:
    """Index and folders say the same of everything that tables use."""
    expected = records_frame(stored.record for stored in store.all())
    numbers = {name: float for name in expected.columns if "/" in name}
    pd.testing.assert_frame_equal(
        load_records(store.results).astype(numbers), expected.astype(numbers), check_like=True
    )


def test_every_fact_and_metric_is_a_column(store, record):
    failed = record(
        hash="b" * 12, status="failed", metrics={}, error=Failure(kind="E", message="what and where", traceback=[])
    )
    full = record(
        cost={"cpu_seconds": 1.5, "encode_seconds": {"alone": 0.1}, "note": "text"},
        environment={"host": "h", "device": "cpu", "threads": 2, "git": {"commit": "abc"}},
        metrics={"i2t": {"map": 0.5}, "detector": {"auroc": None, "reason": "no noise"}},
    )
    for one in (full, failed):
        store.write(one)
    with open_index(store.results) as index:
        assert list(index.columns)[: len(FACTS) + len(MORE_FACTS)] == [*FACTS, *MORE_FACTS]
        assert index.metric_columns == ["i2t/map", "detector/auroc"]
        wanted = ["i2t/map", "cost/cpu_seconds", "cost/encode_seconds/alone", "timings/total", "host", "threads", "git",
                  "error", "folder", "parameters"]  # fmt: skip
        first, second = (dict(zip(wanted, row, strict=True)) for row in index.rows(wanted))
    assert first == {
        "i2t/map": 0.5, "cost/cpu_seconds": 1.5, "cost/encode_seconds/alone": 0.1, "timings/total": 1.5, "host": "h",
        "threads": 2, "git": "abc", "error": None, "folder": "cca-itq/small/0123456789ab",
        "parameters": '{"hasher.ridge": 1.0}',
    }  # fmt: skip
    assert second["error"] == "what and where"
    assert second["i2t/map"] is None
    agrees(store)


def test_record_that_is_added_replaced_edited_and_removed_is_noticed(store, record):
    assert hashes(store) == []
    first = store.write(record(hash="a" * 12))
    assert hashes(store) == ["a" * 12]
    store.write(record(hash="b" * 12, metrics={"i2t": {"new@1": 1.0}}))
    assert hashes(store) == ["a" * 12, "b" * 12]
    agrees(store)
    store.write(record(hash="a" * 12, metrics={"i2t": {"map": 0.75}}))
    agrees(store)
    path = first / "record.json"
    path.write_text(path.read_text().replace("0.75", "0.25"))
    agrees(store)
    shutil.rmtree(first)
    assert hashes(store) == ["b" * 12]
    agrees(store)
    shutil.rmtree(store.runs)
    assert hashes(store) == []


def test_edit_that_keeps_size_and_time_is_noticed(store, record):
    path = store.write(record(metrics={"i2t": {"map": 0.75}})) / "record.json"
    assert value(store, "i2t/map") == 0.75
    before = path.stat()
    time.sleep(0.02)
    path.write_text(path.read_text().replace("0.75", "0.25"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert value(store, "i2t/map") == 0.25


def test_folder_that_moved_with_its_index_is_read_again(store, record, tmp_path):
    store.write(record())
    hashes(store)
    store.results.rename(tmp_path / "moved")
    moved = RunStore(tmp_path / "moved")
    assert hashes(moved) == ["0123456789ab"]
    shutil.copytree(moved.results, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "runs")
    assert hashes(RunStore(tmp_path / "copy")) == []


def test_nothing_is_read_twice(store, record, monkeypatch):
    for number in range(3):
        store.write(record(hash=f"{number:012x}"))
    hashes(store)
    read = []
    original = index_tables.read_run
    monkeypatch.setattr(index_tables, "read_run", lambda path: read.append(path) or original(path))
    assert len(hashes(store)) == 3
    assert read == []
    folder = store.write(record(hash=f"{1:012x}", notes=["again"]))
    hashes(store)
    assert read == [folder]


DAMAGES = {
    "no database": lambda path: path.write_bytes(b"this is no database at all" * 100),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "holes": lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096)),
    "another version": lambda path: _run(path, "PRAGMA user_version = 99"),
    "an older version": lambda path: _run(path, "PRAGMA user_version = 0"),
    "tables missing": lambda path: _run(path, "DROP TABLE runs"),
    "columns missing": lambda path: _run(path, "ALTER TABLE runs DROP COLUMN method"),
}


def _run(path, *statements):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("how", DAMAGES)
def test_index_that_is_damaged_or_of_another_version_is_made_again(store, record, how):
    store.write(record())
    hashes(store)
    DAMAGES[how](store.results / "index.sqlite")
    store.write(record(hash="b" * 12))
    agrees(store)
    assert hashes(store) == ["0123456789ab", "b" * 12]


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_is_noticed_also_where_no_record_changed(store, record, how):
    store.write(record())
    hashes(store)
    DAMAGES[how](store.results / "index.sqlite")
    agrees(store)


def test_no_byte_of_the_index_can_change_unnoticed(store, record):
    """Values, their types, the header and the digest itself: whatever is hit, the records are what is shown."""
    for number in range(20):
        store.write(record(hash=f"{number:012x}", notes=[], metrics={"i2t": {f"m@{n}": n / 7 for n in range(50)}}))
    expected = load_records(store.results)
    path, numbers = store.results / "index.sqlite", random.Random(0)
    whole = path.read_bytes()
    for hits in [1] * 10 + [20] * 10:
        content = bytearray(whole)
        for _ in range(hits):
            content[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)
        path.write_bytes(content)
        pd.testing.assert_frame_equal(load_records(store.results), expected)
        assert path.read_bytes() != content, "it is made anew"
        with closing(sqlite3.connect(path)) as connection:  # and remains a file that any SQLite reads
            assert connection.execute("SELECT count(*) FROM runs").fetchone() == (20,)


def test_index_of_somebody_else_is_not_believed(store, record):
    """One whose digest is right, with a trigger that changes what is written."""
    store.write(record())
    hashes(store)
    path = store.results / "index.sqlite"
    trigger = "CREATE TRIGGER t AFTER INSERT ON runs BEGIN UPDATE runs SET row = 'forged'; END"
    _run(path, trigger)
    database = path.read_bytes()[: -index_module.DIGEST_BYTES]
    path.write_bytes(database + hashlib.blake2b(database, digest_size=index_module.DIGEST_BYTES).digest())
    store.write(record(hash="b" * 12))
    agrees(store)


def test_what_killed_processes_left_of_an_index_is_removed(store, record):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = temporary_for(store.results / "index.sqlite").name.rpartition("-")[0].rpartition("-")[0]
    left = store.results / f"{host}-{gone.pid}-abc123"
    left.write_bytes(b"half")
    store.write(record())
    hashes(store)
    assert sorted(path.name for path in store.results.iterdir()) == ["index.sqlite", "runs"]


def test_index_that_cannot_be_written_is_made_in_memory(store, record):
    store.write(record())
    (store.results / "index.sqlite").mkdir()
    agrees(store)


def test_index_of_a_read_only_folder(store, record):
    store.write(record())
    mounted = subprocess.run(["mount", "--bind", store.results, store.results], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", store.results], check=True)
        agrees(store)
    finally:
        subprocess.run(["umount", "-l", store.results], check=True)
    assert not (store.results / "index.sqlite").exists()


def test_index_in_memory_leaves_no_file(store, record):
    store.write(record())
    with open_index(store.results, in_memory=True) as index:
        assert index.read(["hash"]) == {"hash": ["0123456789ab"]}
    assert [path.name for path in store.results.iterdir()] == ["runs"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 999}', '{"name": "foreign"}'])
def test_unreadable_record_is_left_out_with_the_note_of_the_store_each_time(store, record, notes, content):
    store.write(record())
    path = store.write(record(hash="b" * 12)) / "record.json"
    good = path.read_text()
    path.write_text(content)
    list(store.all())
    expected = notes.text.partition("left out")[2]
    assert expected
    for _ in range(2):
        notes.clear()
        assert hashes(store) == ["0123456789ab"]
        assert [entry.getMessage() for entry in notes.records] == [f"{path} is left out{expected.rstrip()}"]
    path.write_text(good)
    notes.clear()
    assert hashes(store) == ["0123456789ab", "b" * 12]
    assert not notes.records


def test_records_of_an_older_schema_are_brought_up_to_this_one(tmp_path):
    results = tmp_path / "results"
    shutil.copytree(HISTORIC, results)
    store = RunStore(results)
    assert len(hashes(store)) == 4
    agrees(store)
    with open_index(results) as index:
        assert {status for (status,) in index.rows(["status"])} == {"ok", "failed"}


def test_hidden_and_unfinished_folders_are_not_shown(store, record):
    folder = store.write(record())
    for hidden in (f".{folder.name}.new-x1y2", ".something"):
        shutil.copytree(folder, folder.with_name(hidden))
    (folder.parent / "without-record").mkdir()
    (folder.parent / "a file").write_text("x")
    (store.runs / "a file").write_text("x")
    assert hashes(store) == ["0123456789ab"]


def test_order_is_that_of_the_store(store, record):
    for method in ("a-b", "a", "a.b", "ab", "B"):
        for dataset in ("x-1", "x"):
            store.write(record(cell={"method": method, "dataset": dataset}))
    with open_index(store.results) as index:
        folders = index.read(["folder"])["folder"]
    assert folders == [stored.folder.relative_to(store.runs).as_posix() for stored in store.all()]


def test_metrics_whose_names_differ_in_case_alone_and_odd_values_do_no_harm(store, record):
    metrics = {"i2t": {"map": 0.5, "MAP": 0.7, 'odd"name': 1.0, "huge": 10**400, "list": [1], "flag": True}, "odd": 3}
    store.write(record(metrics=metrics, status="invalid"))
    with open_index(store.results) as index:
        wanted = ["i2t/map", 'i2t/odd"name', "i2t/huge", "i2t/flag"]
        assert index.rows(wanted) == [(0.5, 1.0, math.inf, 1)]
        assert "i2t/list" not in index.columns


@pytest.mark.parametrize("name", ["a\0b", "a\nb"])
def test_metrics_whose_names_sqlite_may_not_take_do_no_harm(store, record, name):
    odd = {**record().to_json(), "metrics": {"i2t": {"map": 0.5, name: 0.25}, name: {"map": 0.25}}}
    (store.write(record()) / "record.json").write_text(json.dumps(odd))
    with open_index(store.results) as index:
        assert index.rows(["i2t/map"]) == [(0.5,)]
        assert all(map(str.isprintable, index.columns))


def test_more_metrics_than_sqlite_has_columns(store, record):
    store.write(record(metrics={"i2t": {f"m@{number}": number / 7 for number in range(2500)}}))
    with open_index(store.results) as index:
        assert index.rows(["i2t/m@7"]) == [(1.0,)]


UPDATER = """
import sys
from pathlib import Path
from harness.records.index import open_index
for _ in range(int(sys.argv[2])):
    with open_index(Path(sys.argv[1])) as index:
        hashes = index.read(["hash"])["hash"]
        assert "0" * 12 in hashes, hashes
        assert len(hashes) == len(set(hashes)), hashes
print(len(hashes))
"""


@pytest.mark.timeout(120)
def test_processes_that_bring_the_index_up_to_date_at_once(store, record):
    store.write(record(hash="0" * 12))
    updaters = [
        subprocess.Popen([sys.executable, "-c", UPDATER, str(store.results), "40"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]  # fmt: skip
    number = 0
    while any(updater.poll() is None for updater in updaters):
        number += 1
        folder = store.write(record(hash=f"{number % 20 + 1:012x}", metrics={"i2t": {f"m@{number % 50}": 0.5}}))
        if number % 7 == 0:
            shutil.rmtree(folder)
    for updater in updaters:
        out, err = updater.communicate()
        assert updater.returncode == 0, err
        assert int(out)
        assert err == ""
    agrees(store)


def test_many_records_are_listed_quickly(store, record):
    """Always on, with a wide margin; tests/benchmarks measures 10,000."""
    content = record(metrics={"i2t": {f"m@{number}": 0.1 for number in range(200)}}).to_json()
    for number in range(1000):
        folder = store.runs / "cca-itq" / "small" / f"{number:012x}"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps({**content, "hash": folder.name}))
    seconds = []
    for _ in range(2):
        start = time.process_time()
        assert len(load_records(store.results, metrics=["m@1"])) == 1000
        seconds.append(time.process_time() - start)
    cold, warm = seconds
    assert cold < 3
    assert warm < cold / 3
