"""Records as a pandas data frame, one row for each finished run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.schema import RunRecord
from harness.records.store import RunStore

SETTING = (
    "dataset",
    "data",
    "protocol",
    "trusted",
    "bits",
    "standardise",
    "precision",
    "image_backbone",
    "text_backbone",
    "plan",
    "limit",
)
"""Columns that must be equal for numbers to stand in one table."""


def load_records(results: Path | str = "results") -> pd.DataFrame:
    """All records of a results folder.

    Args:
        results: The folder.

    Returns:
        As :func:`records_frame`.
    """
    return records_frame(stored.record for stored in RunStore(Path(results)).all())


def records_frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Records as a frame.

    Args:
        records: The records.

    Returns:
        One row for each: the cell's facts, ``status``, ``hash``, ``finished``, ``code`` (parameters, phases and hashes
        of the code that made it), and the metrics as columns ``i2t/map``, ..., ``detector/auroc``,
        ``noise/realised_index``.
    """
    rows = [_row(record) for record in records]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["status", "row", "noise", *SETTING])


def _row(record: RunRecord) -> dict[str, Any]:
    cell, identity = record.cell, record.identity
    row: dict[str, Any] = {
        "hash": record.hash,
        "status": record.status,
        "finished": record.finished,
        "row": cell.row,
        "method": cell.method,
        "hasher": cell.hasher,
        "detector": cell.detector,
        "objective": cell.objective,
        "noise": cell.noise,
        "seed": cell.seed,
        "data_seed": cell.data_seed,
        "dataset": cell.dataset,
        "data": identity.get("data"),
        "protocol": cell.protocol,
        "trusted": cell.trusted,
        "bits": cell.bits,
        "standardise": cell.standardise,
        "precision": cell.precision,
        "precision_chosen": len(cell.precisions) > 1,
        "image_backbone": _backbone(cell.backbones.get("image")),
        "text_backbone": _backbone(cell.backbones.get("text")),
        "plan": identity.get("plan"),
        "limit": cell.limit,
        "granted": ", ".join(cell.granted),
        "code": _code(identity),
        "seconds": record.timings.get("total"),
    }
    for group, values in record.metrics.items():
        if isinstance(values, dict):
            row.update({f"{group}/{name}": value for name, value in values.items() if not isinstance(value, str)})
    return row


NOT_CODE = {"seed", "data_seed", "noise", "codes", "split", *SETTING, "backbones"}
"""Parts of a cell's identity in which the runs of one table row may differ, or that make a table of their own."""


def _code(identity: dict[str, Any]) -> str:
    """Everything that makes a row what it is: components, parameters, phases, and the code behind them."""
    return json.dumps({key: value for key, value in identity.items() if key not in NOT_CODE}, sort_keys=True)


def _backbone(described: Any) -> str:
    """Name of a backbone, with what differs in weights and parameters made part of it by their values."""
    if not isinstance(described, dict):
        return ""
    extra = [str(described["weights"])] if described.get("weights") else []
    extra += [f"{name}={value}" for name, value in sorted(described.get("parameters", {}).items())]
    extra += [f"recipe={described['recipe']}"] if described.get("recipe") else []
    extra += [f"views {name}={value}" for name, value in sorted(described.get("views", {}).items()) if name != "seed"]
    return str(described.get("name", "")) + (f" ({', '.join(extra)})" if extra else "")
