"""SQL over the index: reads, and nothing else."""

from __future__ import annotations

import gc
import os
import signal
import threading

import pytest

from harness.errors import HarnessError
from harness.records import query as query_module
from harness.records.index import open_index
from harness.records.query import query
from harness.records.store import RunStore


@pytest.fixture
def index(tmp_path, record):
    store = RunStore(tmp_path / "results")
    store.check_writable()
    for seed in range(4):
        store.write(record(hash=f"{seed:012x}", cell={"seed": seed}, metrics={"i2t": {"map": seed / 10}}))
    with open_index(store.results) as opened:
        yield opened


def test_select_gives_names_and_rows(index):
    header, rows = query(index, 'SELECT method, count(*) AS n, max("i2t/map") FROM runs GROUP BY method')
    assert header == ["method", "n", 'max("i2t/map")']
    assert rows == [("cca-itq", 4, pytest.approx(0.3))]


def test_aliases_subqueries_and_json_work(index):
    sql = """WITH best AS (SELECT seed AS "the seed", json_extract(parameters, '$."hasher.ridge"') AS ridge FROM runs)
             SELECT "the seed", ridge FROM best WHERE "the seed" > 2 -- "a remark"
          """
    assert query(index, sql) == (["the seed", "ridge"], [(3, 1.0)])


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM runs",
        "UPDATE runs SET method = 'x'",
        "INSERT INTO runs (hash) VALUES ('x')",
        "DROP TABLE runs",
        "CREATE TABLE t (x)",
        "PRAGMA user_version = 3",
        "ATTACH 'evil.sqlite' AS e",
        "VACUUM INTO 'copy.sqlite'",
        "BEGIN",
        "SELECT 1; DELETE FROM runs",
        "SELECT load_extension('x')",
        "SELECT * FROM files",
        "SELECT * FROM sqlite_master",
    ],
)
def test_nothing_but_reading_is_possible(index, sql, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HarnessError) as raised:
        query(index, sql)
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert query(index, "SELECT count(*) FROM runs WHERE method = 'cca-itq'")[1] == [(4,)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT metod FROM runs", "unknown column 'metod': did you mean 'method'"),
        ("SELECT runs.metod FROM runs", "unknown column 'metod': did you mean 'method'"),
        ('SELECT "i2t/mpa" FROM runs', r"unknown column 'i2t/mpa': did you mean 'i2t/map'.*single quotes"),
        ("SELECT i2t/map FROM runs", r"no column 'i2t': metrics are written in double quotes, such as \"i2t/map\""),
        ("SELECT * FROM records", "no table 'records': the only one is runs"),
        ("SELEC", "syntax error"),
        ("SELECT limit FROM runs", "reserved word"),
        ("", "empty"),
        ("SELECT ?", "cannot be run"),
    ],
)
def test_mistakes_are_one_sentence(index, sql, message):
    with pytest.raises(HarnessError, match=message):
        query(index, sql)


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT {} FROM n"


@pytest.mark.parametrize("what", ["max(x)", "x"])
def test_ctrl_c_ends_an_endless_query(index, what):
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    gc.disable()  # hypothesis listens to the collector, and an interrupt within its listener is swallowed
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            query(index, ENDLESS.format(what))
    finally:
        timer.join()
        gc.enable()
    assert query(index, "SELECT count(*) FROM runs")[1] == [(4,)]


def test_rows_and_values_without_end_are_refused(index, monkeypatch):
    monkeypatch.setattr(query_module, "MOST_ROWS", 1000)
    assert len(query(index, ENDLESS.format("x") + " LIMIT 1000")[1]) == 1000
    with pytest.raises(HarnessError, match="more than 1000 rows"):
        query(index, ENDLESS.format("x"))
    with pytest.raises(HarnessError, match="too big"):
        query(index, "SELECT zeroblob(200000000)")


def test_expressions_of_any_depth_and_length_end_in_a_sentence(index):
    for sql in (f"SELECT {'(' * 5000}1{')' * 5000}", f"SELECT {'1+' * 5000}1", "SELECT CAST(x'ff' AS TEXT)"):
        with pytest.raises(HarnessError, match="cannot be run"):
            query(index, sql)
