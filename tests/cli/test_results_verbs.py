"""``harness results merge``, ``prune``, ``export`` and ``verify``."""

from __future__ import annotations

import io
import json
import os
import sys

import numpy as np
import pytest

from harness.records.schema import Failure
from harness.records.store import RunStore

FAILED = {"status": "failed", "metrics": {}, "error": Failure(kind="E", message="m", traceback=[])}


@pytest.fixture
def place(tmp_path, record):
    def make(name, *runs):
        store = RunStore(tmp_path / name)
        store.check_writable()
        for one in runs:
            store.write(one, {"query_image_codes": np.zeros((2, 2), np.uint8)})
        return store

    return make


def test_merge_by_way_of_an_archive(harness, place, record, tmp_path, results):
    source = place("source", record(), record(hash="b" * 12, **FAILED))
    archive = tmp_path / "all.tar.gz"
    result = harness("results", "export", "--results", source.results, "--format", "archive", "-o", archive)
    assert result.out == f"{archive}: 2 records\n"
    assert harness("results", "merge", archive, "--dry-run").out == f"{results} would get: 2 runs added.\n"
    assert not results.exists()
    assert harness("results", "merge", archive).out == f"{results}: 2 runs added.\n"
    assert [one.record for one in RunStore(results).all()] == [one.record for one in source.all()]
    again = harness("results", "merge", archive, source.results)
    assert again.out == (f"{results}: 2 runs here already; 2 runs left out: unfinished there, and here already.\n")


def test_merge_tells_of_other_codes(harness, place, record, results):
    place("results", record())
    other = place("other")
    other.write(record(), {"query_image_codes": np.ones((2, 2), np.uint8)})
    result = harness("results", "merge", other.results, "--json")
    assert result.json["differ"] == ["cca-itq/small/0123456789ab"]
    assert f"the one in {results} stays" in result.err


def test_merge_of_contradicting_data_is_refused_in_one_sentence(harness, place, record):
    place("results", record(hash="a" * 12, identity={"data": "d1"}))
    other = place("other", record(hash="b" * 12, identity={"data": "d2"}))
    result = harness("results", "merge", other.results)
    assert result.code == 2
    assert "not the same data everywhere" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("name", ["nowhere", "text.txt", "x.tar.gz"])
def test_merge_of_something_else_is_one_sentence(harness, tmp_path, name):
    if name != "nowhere":
        (tmp_path / name).write_text("text")
    result = harness("results", "merge", tmp_path / name)
    assert result.code == 2
    assert str(tmp_path / name) in result.err
    assert result.err.count("\n") == 1


@pytest.fixture
def cluttered(place, record):
    """A finished run, a superseded one of the same row, a limited one, a failed one, and a leftover."""
    store = place(
        "results",
        record(hash="a" * 12, identity={"sources": "new"}, finished="2026-01-02T00:00:00+00:00"),
        record(hash="b" * 12, identity={"sources": "old"}, finished="2026-01-01T00:00:00+00:00"),
        record(hash="c" * 12, cell={"limit": 30}),
        record(hash="d" * 12, **FAILED),
    )
    left = store.runs / "cca-itq" / "small" / ".eeeeeeeeeeee.new-x1y2"
    left.mkdir()
    os.utime(left, (1, 1))
    return store


def hashes(store) -> str:
    return "".join(stored.record.hash[0] for stored in store.all())


@pytest.mark.parametrize(
    ("words", "stay"),
    [((), "abc"), (("--limited",), "ab"), (("--old-code",), "ac"), (("--limited", "--old-code"), "a")],
)
def test_prune_removes_what_was_asked_for(harness, cluttered, words, stay):
    shown = harness("results", "prune", *words, "--dry-run")
    assert hashes(cluttered) == "abcd"
    assert f"{5 - len(stay)} folders would be removed" in shown.out
    result = harness("results", "prune", *words, "--yes")
    assert result.code == 0, result.err
    assert hashes(cluttered) == stay
    assert not list(cluttered.runs.rglob(".*"))
    assert "nothing to remove" in harness("results", "prune", *words, "--yes").out


def test_prune_asks(harness, cluttered, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    result = harness("results", "prune")
    assert "nothing was removed" in result.out
    assert hashes(cluttered) == "abcd"
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert "2 folders removed" in harness("results", "prune").out
    assert hashes(cluttered) == "abc"


def test_prune_as_json_says_why(harness, cluttered):
    assert harness("results", "prune", "--json").code == 2
    listed = harness("results", "prune", "--json", "--dry-run", "--limited", "--old-code").json["folders"]
    assert sorted(one["why"] for one in listed) == [
        "failed", "left by a killed process", "limited to 30 images", "old code"
    ]  # fmt: skip


def test_prune_keeps_a_run_that_was_repeated_meanwhile(cluttered, record):
    from harness.records.prune import doom, prune

    folder = cluttered.folder("cca-itq", "small", "d" * 12)
    doomed = doom(folder, "failed")
    cluttered.write(record(hash="d" * 12))
    assert prune([doomed]) == (0, [folder])
    assert hashes(cluttered) == "abcd"


def test_export_of_a_part(harness, cluttered, tmp_path):
    output = tmp_path / "part.csv"
    assert harness("results", "export", "--format", "csv", "-o", output, "--where", "status=ok").code == 0
    assert len(output.read_text().splitlines()) == 4
    result = harness("results", "export", "--format", "csv", "-o", output, "--where", "bits=99")
    assert result.code == 2
    assert "fulfils --where" in result.err
    assert harness("results", "export", "--format", "cvs", "-o", output).err.count("did you mean 'csv'") == 1


def test_verify_tells_by_its_exit_code(harness, features, tiny, results):
    (record,) = tiny("cca-itq", features(), "--noise", "0.4")
    result = harness("results", "verify", record["hash"][:6])
    assert result.code == 0, result.err
    assert result.out.startswith(f"{record['hash']}: identical\n")
    assert "codes: equal" in result.out
    path = next(results.rglob("record.json"))
    content = json.loads(path.read_text())
    content["metrics"]["i2t"]["map"] += 0.125
    content["environment"]["versions"]["torch"] = "0.1"
    path.write_text(json.dumps(content))
    result = harness("results", "verify", record["hash"])
    assert result.code == 1
    assert "1 of" in result.out
    assert "i2t/map" in result.out
    assert "torch 0.1 -> " in result.out
    facts = harness("results", "verify", record["hash"], "--json").json
    assert facts["identical"] is False
    assert facts["largest_difference"]["metric"] == "i2t/map"
    assert facts["largest_difference"]["size"] == pytest.approx(0.125)


def test_verify_of_foreign_codes_is_one_sentence(harness, features, tiny, results):
    (record,) = tiny("cca-itq", features())
    arrays = next(results.rglob("arrays.npz"))
    foreign = harness("evaluate", "--codes", arrays, "--cell", record["hash"], "--name", "mine", "--json").json[0]
    result = harness("results", "verify", foreign["hash"])
    assert result.code == 2
    assert "came from another program" in result.err
