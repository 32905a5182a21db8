"""Records whose numbers cannot be are named and left out."""

from __future__ import annotations

import json
import logging
import math
import os

import pytest

from harness.records.index import open_index
from harness.records.plausible import implausible
from harness.records.store import RunStore
from harness.report import load_records


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"i2t": {"map": 7.0}}, "metrics.i2t.map is 7, outside of 0 to 1"),
        ({"t2i": {"map@5": 0.5, "p@1": -0.1}}, "metrics.t2i.p@1 is -0.1, outside of 0 to 1"),
        ({"i2t": {"map": math.nan}}, "metrics.i2t.map is nan"),
        ({"i2t": {"own": math.inf}}, "metrics.i2t.own is inf"),
        ({"i2t": {"map": "0.5"}}, "metrics.i2t.map is '0.5', which is no number"),
        ({"i2t": {"map": True}}, "metrics.i2t.map is 'True', which is no number"),
        ({"i2t": {"reason": "text"}}, "metrics.i2t.reason is 'text', which is no number"),
        ({"i2t": {"own": 10**400}}, "metrics.i2t.own has more than 64 bits"),
        ({"i2t": [0.5]}, "metrics.i2t is no table"),
        ({"detector": {"auroc": 1.5, "reason": "none"}}, "metrics.detector.auroc is 1.5, outside of 0 to 1"),
        ({"noise": {"requested": "much"}}, "metrics.noise.requested is 'much', which is no number"),
    ],
)
def test_number_that_cannot_be_is_named(record, metrics, said):
    assert implausible(record(metrics=metrics)) == said
    assert implausible(record(metrics=metrics, status="invalid")) is None


def test_numbers_that_can_be_are_left_alone(record):
    metrics = {
        "i2t": {"map": 1.0 + 1e-12, "p@1": 0, "map@5": None, "own": 12.5, "own@2": 3},
        "detector": {"auroc": None, "reason": "no noise"},
        "noise": {"requested": 0.4},
    }
    assert implausible(record(metrics=metrics)) is None


@pytest.fixture
def notes(caplog, monkeypatch):
    logger = logging.getLogger("harness")
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "handlers", [])
    caplog.set_level(logging.WARNING, logger="harness")
    return caplog


CHANGES = {
    "metric": (lambda content: content["metrics"]["i2t"].update(map=7.0), "i2t.map is 7, outside of 0 to 1"),
    "bits": (lambda content: content["cell"].update(bits=10**30), "cell.bits"),
    "seed": (lambda content: content["cell"].update(seed=2**63), "cell.seed"),
    "noise": (lambda content: content["cell"].update(noise=math.nan), "cell.noise"),
    "hash": (lambda content: content.update(hash="f" * 12), "its hash ffffffffffff is not the name of its folder"),
    "path": (lambda content: content.update(hash="../../victim"), "hash: String should match pattern"),
    "date": (lambda content: content.update(finished="yesterday"), "finished: Invalid isoformat string"),
    "zone": (lambda content: content.update(finished="2026-01-01"), "finished: expected a date and time"),
    "seconds": (lambda content: content["timings"].update(total=math.inf), "timings.total"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_record_that_cannot_be_enters_no_table_and_is_told_each_time(tmp_path, record, notes, what):
    change, said = CHANGES[what]
    store = RunStore(tmp_path / "results")
    store.check_writable()
    store.write(record(hash="a" * 12))
    path = store.write(record(hash="b" * 12)) / "record.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    for _ in range(2):
        notes.clear()
        assert list(load_records(store.results)["hash"]) == ["a" * 12]
        assert f"{path} is left out: " in notes.text
        assert said in notes.text
    assert [stored.record.hash for stored in store.all()] == ["a" * 12]
    assert store.find("cca-itq", "small", "b" * 12) is None


def test_links_pipes_and_deep_brackets_in_the_place_of_a_record_are_told(tmp_path, record, notes):
    store = RunStore(tmp_path / "results")
    store.check_writable()
    made = [store.write(record(hash=letter * 12)) / "record.json" for letter in "abcd"]
    loop, nowhere, pipe, deep = made
    for path in made:
        path.unlink()
    loop.symlink_to("record.json")
    nowhere.symlink_to("missing.json")
    os.mkfifo(pipe)
    deep.write_text('{"schema": ' + "[" * 100_000)
    for _ in range(2):
        notes.clear()
        with open_index(store.results) as index:
            assert index.rows(["hash"]) == []
        assert [entry.getMessage().partition(" is left out: ")[0] for entry in notes.records] == [*map(str, made)]
        assert "it is a link that leads to itself" in notes.text
        assert "it is a link that leads nowhere" in notes.text
        assert "it is no plain file" in notes.text
        assert "recursion limit" in notes.text
    assert list(store.all()) == []
