"""Results folders with values per query, for tests of statistics."""

from __future__ import annotations

import json
from itertools import count

import numpy as np
import pytest

from harness.records.store import RunStore
from harness.report import load_records


class Folder:
    """A results folder that runs are written into."""

    def __init__(self, results, record):
        self.store = RunStore(results)
        self.store.check_writable()
        self.results, self.runs = results, results / "runs"
        self._record, self._numbers = record, count()

    def add(self, row="a", values=None, *, value=None, blocks=None, arrays=None, metric="map", plan="p", **cell):
        """A finished run of a row; ``values`` are those of its queries, i2t, and t2i has half of them."""
        number = next(self._numbers)
        if values is not None:
            value = float(np.nanmean(values)) if value is None else value
            made = {
                f"per_query_i2t_{metric}": np.asarray(values, dtype=float),
                f"per_query_t2i_{metric}": np.asarray(values, dtype=float) / 2,
                "query_ids": np.arange(len(values)) + 100,
            }
            if blocks is not None:
                made["query_blocks"] = np.asarray(blocks)
        else:
            made = {}
        made.update(arrays or {})
        changed = {key: cell.pop(key) for key in ("status", "identity") if key in cell}
        identity = {"data": "d", "sources": {"hasher": row}, **changed.pop("identity", {})}
        one = self._record(
            hash=f"{number:012x}",
            cell={"row": row, "method": row.partition(" ")[0], **cell},
            identity=identity,
            plan=plan,
            metrics={"i2t": {metric: value}, "t2i": {metric: None if value is None else value / 2}},
            finished=f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}+00:00",
            **changed,
        )
        self.store.write(one, made or None)
        return one.hash

    def rows(self, *names, columns=("folder", "noise_plan")):
        """The records of each row."""
        frame = load_records(self.results, more=columns)
        return [frame[frame["row"] == name] for name in names]


@pytest.fixture
def folder(tmp_path, record):
    return Folder(tmp_path / "results", record)


def strict_json(text):
    """JSON without NaN and Infinity."""

    def refuse(name):
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)
