"""``harness results list`` and ``query``."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest

from harness.records.schema import Failure
from harness.records.store import RunStore


@pytest.fixture
def filled(record, results):
    store = RunStore(results)
    store.check_writable()
    for number, (method, noise) in enumerate([("chnr", 0.0), ("chnr", 0.4), ("cca-itq", 0.0), ("cca-itq", 0.4)]):
        metrics = {"i2t": {"map": 0.1 * (number + 1)}, "t2i": {"map": 0.5}}
        store.write(record(hash=f"{number}" * 12, cell={"method": method, "row": method, "noise": noise},
                           metrics=metrics))  # fmt: skip
    failure = Failure(kind="E", message="two\nlines", traceback=[])
    store.write(record(hash="f" * 12, status="failed", metrics={}, error=failure))
    return store


def test_list_shows_every_record(harness, filled):
    lines = harness("results", "list").out.splitlines()
    assert lines[0].split()[:3] == ["hash", "status", "row"]
    assert len(lines) == 7
    assert any("failed" in line and "f" * 12 in line for line in lines)


def test_list_filters_sorts_and_limits(harness, filled):
    words = ("results", "list", "--where", "status=ok and noise>=0", "--sort", "-i2t/map", "--limit", "2",
             "--column", "hash,i2t/map", "--column", "noise", "--format", "csv")  # fmt: skip
    assert harness(*words).out.splitlines() == ["hash,i2t/map,noise", "333333333333,0.4,0.4",
                                                "222222222222,0.30000000000000004,0.0"]  # fmt: skip
    worst = harness("results", "list", "--sort", "i2t/map", "--column", "hash", "--format", "csv").out.split()
    assert worst[1:] == ["000000000000", "111111111111", "222222222222", "333333333333", "ffffffffffff"]


@pytest.mark.parametrize("words", [("--json",), ("--format", "json")])
def test_list_as_json(harness, filled, words):
    rows = harness("results", "list", "--where", "method=chnr", "--column", "hash,noise,limit", *words).json
    assert rows == [{"hash": "000000000000", "noise": 0.0, "limit": None}, {"hash": "111111111111", "noise": 0.4,
                                                                            "limit": None}]  # fmt: skip


def test_list_of_columns(harness, filled):
    rows = {row["column"]: row["holds"] for row in harness("results", "list", "--columns", "--json").json}
    assert rows["dataset"] == "text"
    assert rows["bits"] == "whole number"
    assert rows["i2t/map"] == "number"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--where", "datset=small"), "did you mean 'dataset'"),
        (("--column", "hsah"), "unknown column in --column 'hsah': did you mean 'hash'"),
        (("--sort", "i2t/mpa"), "unknown column in --sort 'i2t/mpa': did you mean 'i2t/map'"),
        (("--format", "jsn"), "unknown value of --format 'jsn': did you mean 'json'"),
    ],
)
def test_mistakes_are_one_sentence(harness, filled, words, said):
    result = harness("results", "list", *words)
    assert result.code == 2
    assert said in result.err
    assert result.err.count("\n") == 1


def test_nothing_found_is_a_note_and_no_error(harness, filled):
    result = harness("results", "list", "--where", "noise=0.9", "--json")
    assert (result.code, result.json) == (0, [])
    assert "no record fulfils" in result.err


@pytest.mark.parametrize("words", [("list",), ("query", "SELECT 1"), ("export", "--format", "csv", "-o", "x.csv")])
def test_folder_without_records_says_so(harness, results, words):
    result = harness("results", *words)
    assert result.code == 2
    assert f"no records in {results}/runs" in result.err
    assert not results.exists()


def test_unknown_verb_is_answered_with_near_ones(harness):
    result = harness("results", "lst")
    assert result.code == 2
    assert "did you mean 'list'" in result.err


def test_query_in_every_format(harness, filled):
    sql = "SELECT method, avg(\"i2t/map\") AS mean FROM runs WHERE status = 'ok' GROUP BY method ORDER BY mean"
    assert harness("results", "query", sql).out.splitlines()[2].split() == ["chnr", "0.15"]
    assert [row["method"] for row in harness("results", "query", sql, "--json").json] == ["chnr", "cca-itq"]
    rows = list(csv.DictReader(io.StringIO(harness("results", "query", sql, "--format", "csv").out)))
    assert [row["method"] for row in rows] == ["chnr", "cca-itq"]


def test_query_cannot_write(harness, filled):
    result = harness("results", "query", "DELETE FROM runs")
    assert result.code == 2
    assert "more than read" in result.err
    assert len(harness("results", "list", "--json").json) == 5


def test_listing_imports_nothing_heavy(filled, results):
    program = (
        "import json, sys\nfrom harness.cli import main\n"
        f"sys.argv = ['harness', 'results', 'list', '--json', '--results', {str(results)!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "heavy = [name for name in ('torch', 'pandas', 'numpy', 'sklearn') if name in sys.modules]\n"
        "print(json.dumps(heavy), file=sys.stderr)"  # standard output stays for JSON alone
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stderr.splitlines()[-1]) == []


def test_bytes_and_numbers_that_are_none_are_valid_json_and_rows(harness, filled):
    sql = "SELECT x'00ff' AS b, 9e999 AS big, -9e999 AS small, 0.5 AS half, NULL AS gone"
    result = harness("results", "query", sql, "--json")
    assert json.loads(result.out, parse_constant=pytest.fail) == [
        {"b": "00ff", "big": None, "small": None, "half": 0.5, "gone": None}
    ]
    assert harness("results", "query", sql, "--format", "csv").out.splitlines()[1].startswith("00ff,inf")
    assert "00ff" in harness("results", "query", sql).out


@pytest.mark.parametrize(
    "words",
    [
        ("--limit", str(2**63)),
        ("--where", "(" * 5000),
        ("--where", " and ".join(["bits=16"] * 2000)),
        ("--where", f"method like '{'%' * 60000}'"),
    ],
)
def test_conditions_and_numbers_without_measure_are_refused_in_a_sentence(harness, filled, words):
    result = harness("results", "list", *words)
    assert result.code == 2
    assert "Internal error" not in result.err
    assert len(result.err) < 600
