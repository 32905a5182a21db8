"""Folders of records for tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.records.schema import Failure


@pytest.fixture
def written(record, tmp_path):
    """``written({...}, {...})``: a results folder with one record for each dictionary of facts.

    ``i2t`` and ``t2i`` are values of ``metric`` (None for no value); what else is popped below is what it is
    called, and everything that is left is a fact of the cell.
    """
    count = iter(range(10**6))

    def write(*runs: dict[str, Any]) -> Path:
        for given in runs:
            facts, number = dict(given), next(count)
            values = {direction: facts.pop(direction) for direction in ("i2t", "t2i") if direction in facts}
            metric = facts.pop("metric", "map")
            metrics: dict[str, Any] = {direction: {metric: value} for direction, value in values.items()}
            for key, name in (("scores", "detector"), ("noise_shares", "noise")):
                if key in facts:
                    metrics[name] = facts.pop(key)
            status = facts.pop("status", "ok")
            message = facts.pop("error", "it broke")
            moment = f"2026-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}+00:00"
            changed = {
                "hash": facts.pop("hash", f"{number:012x}"),
                "status": status,
                "metrics": metrics if status in ("ok", "invalid") else {},
                "error": None if status == "ok" else Failure(kind="E", message=message, traceback=[]),
                "identity": {"data": facts.pop("data", "d"), "sources": {"hasher": facts.pop("code", "c")}},
                "finished": facts.pop("finished", moment),
                "plan": facts.pop("plan_hash", None),
                "environment": {"host": "h", "device": facts.pop("device", "cpu")},
                **{key: facts.pop(key) for key in ("cost", "timings", "notes") if key in facts},
            }
            facts.setdefault("row", facts.get("method", "cca-itq"))
            made = record(cell=facts, **changed)
            folder = tmp_path / "results" / "runs" / made.cell.method / made.cell.dataset / made.hash
            folder.mkdir(parents=True)
            (folder / "record.json").write_text(json.dumps(made.to_json()))
        return tmp_path / "results"

    return write
