"""One place makes the records of our cells and of codes of other programs."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from harness.execution.results import evaluated_record
from harness.records.schema import CellFacts
from harness.retrieval.evaluate import Evaluation

FACTS = CellFacts(
    row="m", method="m", preset="", hasher="m", detector="none", objective=None, dataset="toy", noise=0.4, protocol="p",
    trusted=0.2, bits=8, seed=0, data_seed=0, standardise=None, precision=None, limit=None, granted=[], parameters={},
    backbones={}, images={},
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "auroc", "violations", "status", "notes"),
    [
        (0.5, 0.9, [], "ok", []),
        (math.inf, 0.9, [], "invalid", ["not valid: i2t: map is inf, which is no finite number"]),
        (0.5, math.nan, [], "invalid", ["not valid: detector: auroc is nan, which is no finite number"]),
        (0.5, 0.9, ["i2t: map is above 1"], "invalid", ["not valid: i2t: map is above 1"]),
    ],
)
def test_numbers_that_break_what_must_hold_are_no_result(value, auroc, violations, status, notes):
    evaluation = Evaluation(
        metrics={"i2t": {"map": value}}, queries={"total": 3}, violations=violations, remarks=["a remark"]
    )
    record = evaluated_record(
        evaluation, [], {"a": 1}, FACTS, others={"detector": {"auroc": auroc}}, notes=["first"],
        started=datetime(2026, 1, 2, tzinfo=UTC), plan="abc",
    )  # fmt: skip
    assert (record.status, record.notes) == (status, ["first", "a remark", *notes])
    assert (record.error is None) == (status == "ok")
    assert list(record.metrics) == ["i2t", "detector"]
    assert (record.queries, record.plan, record.command, record.cost) == ({"total": 3}, "abc", "", {})
    assert record.hash == "015abd7f5cc5"  # of {"a": 1}
    assert record.started == "2026-01-02T00:00:00.000+00:00"
