"""A writer of run records."""

from __future__ import annotations

import pytest

from harness.records.schema import CellFacts, RunRecord


@pytest.fixture
def record():
    """``record(hash=..., cell={...}, status=...)``: a valid run record with some fields changed."""

    def make(cell=None, **changed) -> RunRecord:
        facts = {
            "row": "cca-itq", "method": "cca-itq", "preset": "described", "hasher": "cca-itq", "detector": "none",
            "objective": None, "dataset": "small", "noise": 0.4, "protocol": "derangement", "trusted": 0.2, "bits": 16,
            "seed": 0, "data_seed": 0, "standardise": "scalar", "precision": "fp32", "limit": None, "granted": [],
            "parameters": {"hasher.ridge": 1.0}, "backbones": {"image": {"name": "given"}, "text": {"name": "given"}},
            "images": {"train": 10, "trusted": 2, "query": 2, "database": 8}, **(cell or {}),
        }  # fmt: skip
        content = {
            "hash": "0123456789ab", "status": "ok", "metrics": {"i2t": {"map": 0.5}, "t2i": {"map": None}},
            "metric_definitions": {"map": "in words"}, "queries": {"total": 2}, "identity": {"data": "d"}, "plan": None,
            "notes": [], "timings": {"total": 1.5}, "environment": {"host": "h"},
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "2026-01-01T00:00:02+00:00", "command": "harness run", "error": None,
        }  # fmt: skip
        return RunRecord(cell=CellFacts(**facts), **{**content, **changed})

    return make
