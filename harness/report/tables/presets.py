"""Named layouts: what a paper usually shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

COSTS = (
    "timings/detector", "timings/training", "cost/updates", "cost/parameters/trained", "cost/parameters/hasher",
    "cost/code_bytes", "cost/encode_seconds/alone/image", "cost/encode_seconds/alone/text", "cost/peak_memory_bytes",
    "cost/peak_cuda_bytes", "cost/energy_joules",
)  # fmt: skip
"""Columns of preset ``cost``, where the records have them."""


@dataclass(frozen=True)
class Preset:
    """A layout by name; every part gives way to the option of the same name.

    Attributes:
        summary: What it shows, in a line.
        metrics: Metrics that are shown; empty for the ones that the user names, or ``map``.
        rows, columns, by: Axes.
        where: A condition on the records.
        significance: Which tests mark the best.
        subject: Subject of the titles.
        curve: Whether cells summarise noise curves.
        drop_empty: Leave out rows and columns without any value.
        published_order: Rows that the published tables name come first, in their order.
    """

    summary: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    by: tuple[str, ...]
    metrics: tuple[str, ...] = ("map",)
    where: str = ""
    significance: str = "none"
    subject: str = ""
    curve: bool = False
    drop_empty: bool = False
    published_order: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """All axes of the layout."""
        return (*self.rows, *self.columns, *self.by)


PRESETS: dict[str, Preset] = {
    "paper": Preset(
        "the CHNR paper's tables: methods by noise rate, a block for each direction, mAP over the first 20 relevant "
        "items at 64 bits",
        ("direction", "method"), ("noise",), ("dataset",), ("map_relevant@20",), "bits=64", "both",
        published_order=True,
    ),
    "detectors": Preset(
        "how well detectors find wrong pairs: AUROC by noise rate",
        ("detector", "method"), ("noise",), ("dataset",), ("detector/auroc",), drop_empty=True,
    ),
    "cross": Preset(
        "every hasher with every detector", ("hasher", "objective"), ("direction", "detector"), ("dataset", "noise")
    ),
    "cost": Preset(
        "training time, parameters, code size, latency, memory, energy",
        ("method",), ("metric",), ("dataset", "noise"), COSTS, subject="cost", drop_empty=True,
    ),
    "bits": Preset("methods by code length", ("method",), ("direction", "bits"), ("dataset", "noise")),
    "robustness": Preset(
        "area under the noise curve, and what is lost between no noise and most",
        ("method",), ("direction", "metric"), ("dataset",), subject="robustness", curve=True,
    ),
}  # fmt: skip


def joined(preset: Preset, where: str | None) -> str | None:
    """The conditions of preset and user; the user's holds alone where it speaks of the same column."""
    if not preset.where:
        return where
    column = preset.where.partition("=")[0]
    if where is None:
        return preset.where
    return where if column in _words(where) else f"{preset.where} and ({where})"


def _words(where: str) -> Iterable[str]:
    import re

    return re.findall(r"[\w/@.]+", where)
