"""Whether two results folders hold the same cells, with the same codes and metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def records_in(results: Path) -> dict[str, dict[str, Any]]:
    """All records by hash; nothing but finished folders may lie beside them."""
    runs = results / "runs"
    assert not [path for path in runs.rglob("*") if path.name.startswith(".")]
    found = {path.parent.name: json.loads(path.read_text()) for path in runs.glob("*/*/*/record.json")}
    assert {path.name for path in runs.glob("*/*/*")} == set(found), "a folder without a record"
    return found


def assert_same_records(results: Path, expected: Path) -> dict[str, dict[str, Any]]:
    """Equal hashes, statuses, metrics and arrays (codes among them, bit for bit).

    Args:
        results: The folder in question.
        expected: What the serial executor made of the same cells.

    Returns:
        The records of ``results`` by hash.
    """
    ours, theirs = records_in(results), records_in(expected)
    assert set(ours) == set(theirs)
    for name, record in ours.items():
        assert record["status"] == "ok", record["error"]
        assert record["metrics"] == theirs[name]["metrics"]
        assert record["identity"] == theirs[name]["identity"]
        (our_arrays,) = results.glob(f"runs/*/*/{name}/arrays.npz")
        (their_arrays,) = expected.glob(f"runs/*/*/{name}/arrays.npz")
        with np.load(our_arrays) as one, np.load(their_arrays) as other:
            assert set(one) == set(other)
            assert any("codes" in key for key in one)
            for key in one:
                assert np.array_equal(one[key], other[key]), f"{name}: {key}"
    return ours
