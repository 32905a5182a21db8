"""Comparison tables: methods by noise rate, image-to-text and text-to-image, mean and deviation over seeds.

Only what is comparable stands in one table: the same data, noise protocol, trusted share, code length, standardisation
and backbones. Anything else gets a table of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from harness.report.frame import SETTING
from harness.wording import counted

TELLING = ("class-labels", "noise-mask")
"""Grants after which a method is not unsupervised; the source order says nothing of what is right."""

DIRECTIONS = ("i2t", "t2i")


@dataclass(frozen=True)
class Table:
    """One table, ready to print.

    Attributes:
        title: What is compared, on what.
        header: Column names.
        rows: Cells as text.
        notes: Footnotes.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]


def comparison_tables(frame: pd.DataFrame, metric: str, *, limited: bool = False) -> list[Table]:
    """Tables of a metric.

    Args:
        frame: Records, see :func:`harness.report.frame.records_frame`.
        metric: Metric id.
        limited: Keep runs on a limited number of images (they never stand beside full runs).

    Returns:
        A table for each group of comparable records; none where no finished record has the metric.
    """
    columns = [f"{direction}/{metric}" for direction in DIRECTIONS]
    if frame.empty or not any(column in frame for column in columns):
        return []
    finished = frame[(frame["status"] == "ok")]
    if not limited:
        finished = finished[finished["limit"].isna()]
    finished = _beside_each_precision(finished)
    tables = []
    for setting, group in finished.groupby(list(SETTING), dropna=False, sort=True):
        described = dict(zip(SETTING, setting if isinstance(setting, tuple) else (setting,), strict=True))
        tables.append((described, _table(described, group, metric)))
    return _distinct_titles(tables)


def superseded(frame: pd.DataFrame) -> pd.DataFrame:
    """Finished runs that tables leave out because later code, or other defaults of the method, made the same row.

    Args:
        frame: Records, see :func:`harness.report.frame.records_frame`.

    Returns:
        Those rows of the frame.
    """
    if frame.empty:
        return frame
    finished = frame[frame["status"] == "ok"].sort_values("finished", kind="stable")
    newest = finished.groupby([*SETTING, "row"], dropna=False)["code"].transform("last")
    return finished[finished["code"] != newest]


def _beside_each_precision(frame: pd.DataFrame) -> pd.DataFrame:
    """Methods without a choice of precision (closed forms, codes of other programs) stand in the table of each one."""
    parts = []
    for _, group in frame.groupby([key for key in SETTING if key != "precision"], dropna=False, sort=False):
        chosen = group["precision_chosen"].astype(bool)
        for precision in sorted(group.loc[chosen, "precision"].unique()) or ["fp32"]:
            parts.append(group[~chosen | (group["precision"] == precision)].assign(precision=precision))
    return pd.concat(parts) if parts else frame


def _distinct_titles(tables: list[tuple[dict[str, Any], Table]]) -> list[Table]:
    """Where titles are equal, say what sets the tables apart."""
    titles = [table.title for _, table in tables]
    told_apart = []
    for setting, table in tables:
        twins = [other for other, _ in tables if _title(other, "") == _title(setting, "")]
        differs = [key for key in SETTING if len({str(twin[key]) for twin in twins}) > 1]
        extra = ", ".join(f"{key.replace('_', ' ')} {setting[key]}" for key in differs)
        told_apart.append(replace(table, title=f"{table.title} ({extra})") if titles.count(table.title) > 1 else table)
    return told_apart


def _table(setting: dict[str, Any], group: pd.DataFrame, metric: str) -> Table:
    notes: list[str] = []
    order = _ordered(group)
    group = _newest_code(group, notes)
    rates = sorted({_comparable(rate) for rate in group["noise"]}, key=lambda rate: -1.0 if rate is None else rate)
    header = ["method"] + [f"{direction} {_rate(rate)}" for direction in DIRECTIONS for rate in rates] + ["runs"]
    values = _values(group, metric)
    granted = group.groupby("row", sort=False)["granted"].agg(set)
    rows = []
    for name in order:
        cells = [_summary(values[direction].get((name, rate), [])) for direction in DIRECTIONS for rate in rates]
        counts = [len(values[DIRECTIONS[0]].get((name, rate), [])) for rate in rates]
        grants = ", ".join(sorted(granted[name] - {""}))
        marked = f"{name} †" if grants else name
        rows.append([marked, *cells, _range(counts)])
        if grants:
            told = any(word in grants for word in TELLING)
            notes.append(f"† {name} was granted {grants}{': not unsupervised' if told else ''}.")
    return Table(_title(setting, metric), header, rows, notes)


def _newest_code(group: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Of rows that different code made under one name, keep the newest code's."""
    newest = group.sort_values("finished", kind="stable").groupby("row")["code"].transform("last")
    kept = group[group["code"] == newest.reindex(group.index)]
    if len(kept) < len(group):
        notes.append(
            f"left out: {counted(len(group) - len(kept), 'run')} made by earlier code or other defaults of the method."
        )
    repeated = kept.sort_values("finished", kind="stable").duplicated(
        ["row", "noise", "seed", "data_seed"], keep="last"
    )
    latest = kept[~repeated.reindex(kept.index)]
    if len(latest) < len(kept):
        notes.append(f"left out: {counted(len(kept) - len(latest), 'earlier run')} of the same name and seeds.")
    return latest


def _ordered(group: pd.DataFrame) -> list[str]:
    """Rows in the order in which they were first run."""
    return list(group.sort_values("finished", kind="stable")["row"].drop_duplicates())


def _values(group: pd.DataFrame, metric: str) -> dict[str, dict[tuple[str, float | None], list[float]]]:
    """For each direction the values of all runs by row and noise rate; NaN where a run has none.

    Collected in one pass: filtering the frame for each cell of the table takes seconds where there are thousands.
    """
    places = [(name, _comparable(rate)) for name, rate in zip(group["row"], group["noise"], strict=True)]
    values: dict[str, dict[tuple[str, float | None], list[float]]] = {}
    for direction in DIRECTIONS:
        column = f"{direction}/{metric}"
        numbers = group[column].astype(float).tolist() if column in group else [math.nan] * len(group)
        found = values.setdefault(direction, {})
        for place, number in zip(places, numbers, strict=True):
            found.setdefault(place, []).append(number)
    return values


def _comparable(rate: float | None) -> float | None:
    """Natural noise as None: NaN is not equal to itself."""
    return None if rate is None or pd.isna(rate) else float(rate)


def _rate(rate: float | None) -> str:
    return "as given" if rate is None else f"{rate:g}"


def _summary(values: list[float]) -> str:
    """Mean, and standard deviation (n - 1) where there are several runs."""
    numbers = [value for value in values if not math.isnan(value)]
    if not numbers:
        return "-"
    mean = sum(numbers) / len(numbers)
    if len(numbers) == 1:
        return f"{mean:.3f}"
    deviation = math.sqrt(sum((value - mean) ** 2 for value in numbers) / (len(numbers) - 1))
    return f"{mean:.3f} ± {deviation:.3f}"


def _range(counts: list[int]) -> str:
    present = [count for count in counts if count]
    if not present:
        return "0"
    return str(present[0]) if min(present) == max(present) else f"{min(present)}-{max(present)}"


def _title(setting: dict[str, Any], metric: str) -> str:
    parts = [f"{metric} on {setting['dataset']}", counted(setting["bits"], "bit")]
    if isinstance(setting["protocol"], str):
        parts.append(f"protocol {setting['protocol']}")
    if not pd.isna(setting["trusted"]):
        parts.append(f"trusted {setting['trusted']:g}")
    if setting["image_backbone"]:
        parts.append(f"{_short(setting['image_backbone'])} + {_short(setting['text_backbone'])}")
    if isinstance(setting["standardise"], str) and setting["standardise"] != "scalar":
        parts.append(f"standardise {setting['standardise']}")
    if setting["precision"] != "fp32":
        parts.append(f"precision {setting['precision']}")
    if isinstance(setting["plan"], str):
        parts.append(f"noise plan {setting['plan']}")
    if setting["split"]:
        parts.append(f"split {setting['split']}")
    if not pd.isna(setting["validation"]):
        parts.append(f"VALIDATION {setting['validation']:g}, not the real queries")
    if setting["relevance"] != "label":
        parts.append(f"relevance {setting['relevance']}")
    if setting["drop_duplicates"]:
        parts.append("without duplicates")
    if not pd.isna(setting["limit"]):
        parts.append(f"LIMITED to {setting['limit']:g} images, not for comparison")
    return ", ".join(parts)


def _short(backbone: str) -> str:
    return backbone.partition(" (")[0]


def render(table: Table, style: str = "simple") -> str:
    """A table as text, with its title and footnotes.

    Args:
        table: The table.
        style: A tabulate format ("simple", "github", "latex_booktabs", "html", "tsv", ...).

    Returns:
        Several lines, without a final newline.
    """
    from tabulate import tabulate

    body = tabulate(
        table.rows, headers=table.header, tablefmt=style, disable_numparse=True, stralign="right", colalign=["left"]
    )
    return "\n".join([table.title, "", body, *[f"  {note}" for note in table.notes]])
