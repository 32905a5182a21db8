"""A record as one flat row: what tables, the index and exports have in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.cells.request import BY_NAME, LATER_SETTINGS, TOLD_OPTIONS

if TYPE_CHECKING:
    from harness.records.schema import RunRecord

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
    *LATER_SETTINGS,
)
"""Columns that must be equal for numbers to stand in one table."""

NOT_CODE = {"seed", "data_seed", "noise", "codes", *SETTING, "backbones"}
"""Parts of a cell's identity in which the runs of one table row may differ, or that make a table of their own."""

FACTS = {
    "hash": str,
    "status": str,
    "finished": str,
    "row": str,
    "method": str,
    "hasher": str,
    "detector": str,
    "objective": str,
    "noise": float,
    "seed": int,
    "data_seed": int,
    "dataset": str,
    "data": str,
    "protocol": str,
    "trusted": float,
    "bits": int,
    "standardise": str,
    "precision": str,
    "precision_chosen": bool,
    "image_backbone": str,
    "text_backbone": str,
    "plan": str,
    "limit": int,
    **{name: str if TOLD_OPTIONS[name].empty else BY_NAME[name].read for name in LATER_SETTINGS},
    "granted": str,
    "code": str,
    "seconds": float,
}
"""Columns of :func:`facts`, in order, and what they hold where they hold anything."""


def facts(record: RunRecord) -> dict[str, Any]:
    """What a record says of its cell.

    Args:
        record: The record.

    Returns:
        The columns of :data:`FACTS`: the cell's facts, ``status``, ``hash``, ``finished``, ``code`` (parameters, phases
        and hashes of the code that made it, as JSON), and ``seconds`` in all.
    """
    cell, identity = record.cell, record.identity
    return {
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
        "image_backbone": backbone_column(cell.backbones.get("image")),
        "text_backbone": backbone_column(cell.backbones.get("text")),
        "plan": identity.get("plan"),
        "limit": cell.limit,
        **{name: BY_NAME[name].column(getattr(cell, name)) for name in LATER_SETTINGS},
        "granted": ", ".join(cell.granted),
        "code": _code(identity),
        "seconds": record.timings.get("total"),
    }


def metric_values(record: RunRecord) -> dict[str, Any]:
    """The metrics of a record by column name: ``i2t/map``, ..., ``detector/auroc``, ``noise/realised_index``.

    Values are whatever the record holds, texts too; the reason why there are none (``detector/reason``) is left out.
    """
    return {
        f"{group}/{name}": value
        for group, values in record.metrics.items()
        if isinstance(values, dict)
        for name, value in values.items()
        if name != "reason"
    }


def _code(identity: dict[str, Any]) -> str:
    """Everything that makes a row what it is: components, parameters, phases, and the code behind them."""
    return json.dumps({key: value for key, value in identity.items() if key not in NOT_CODE}, sort_keys=True)


def backbone_column(described: Any) -> str:
    """Name of a backbone, with what differs in weights and parameters made part of it by their values."""
    if not isinstance(described, dict):
        return ""
    extra = [str(described["weights"])] if described.get("weights") else []
    extra += [f"{name}={value}" for name, value in sorted(described.get("parameters", {}).items())]
    extra += [f"recipe={described['recipe']}"] if described.get("recipe") else []
    extra += [f"views {name}={value}" for name, value in sorted(described.get("views", {}).items()) if name != "seed"]
    return str(described.get("name", "")) + (f" ({', '.join(extra)})" if extra else "")
