"""Titles: what a table compares, on what, in words that set it apart from its neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.cells.request import BY_NAME, LATER_SETTINGS
from harness.report.frame import SETTING
from harness.report.tables.axes import bare, told, without_weights
from harness.report.tables.measures import Measure
from harness.report.tables.table import Table
from harness.text import counted


def give_titles(tables: Sequence[Table], settings: Sequence[Mapping[str, Any]]) -> None:
    """Set the title of each table; where titles are equal, say what sets the tables apart.

    Args:
        tables: The tables.
        settings: For each one the settings that hold in all of it, and are no axis of its rows and columns.
    """
    plain = [_title(table, setting) for table, setting in zip(tables, settings, strict=True)]
    for table, setting, title in zip(tables, settings, plain, strict=True):
        twins = [other for other, its in zip(settings, plain, strict=True) if its == title]
        differs = [key for key in SETTING if len({str(twin.get(key)) for twin in twins}) > 1]
        extra = ", ".join(f"{key.replace('_', ' ')} {setting.get(key)}" for key in differs)
        table.title = f"{title} ({extra})" if extra else title


def columns_told(table: Table) -> str:
    """The names of the columns, for a title whose table has bare numbers in its header."""
    return "noise rate" if table.column_axes == ("noise",) else ""


def _title(table: Table, setting: Mapping[str, Any]) -> str:
    axes = {*table.row_axes, *table.column_axes}
    metric = table.by.get("metric")
    names = [metric] if metric else list(table.measures)
    told_by_axis = "direction" in {*table.by, *axes}
    names = [_name(table.measures[name], told_by_axis) for name in names]
    subject = ", ".join([table.subject] * bool(table.subject) + names * bool(metric or not table.subject))
    parts = [f"{subject} on {setting['dataset']}" if setting.get("dataset") else subject]
    for axis, value in table.by.items():
        if axis not in ("metric", *SETTING):
            parts.append(f"noise {bare(axis, value)}" if axis == "noise" else told(axis, value))
    parts += _settings({key: value for key, value in setting.items() if key not in axes})
    return ", ".join(parts)


def _name(measure: Measure, told_by_axis: bool) -> str:
    shown = measure.label or measure.name
    return shown if told_by_axis or not measure.only_direction else f"{measure.only_direction}/{shown}"


def _settings(setting: Mapping[str, Any]) -> list[str]:
    """The settings that are not the usual ones, as phrases; those that differ within the table are missing."""
    parts = []
    if setting.get("bits") is not None:
        parts.append(counted(int(setting["bits"]), "bit"))
    if isinstance(setting.get("protocol"), str):
        parts.append(f"protocol {setting['protocol']}")
    if setting.get("trusted") is not None:
        parts.append(f"trusted {setting['trusted']:g}")
    if setting.get("image_backbone"):
        parts.append(
            f"{without_weights(setting['image_backbone'])} + {without_weights(setting.get('text_backbone') or '')}"
        )
    if isinstance(setting.get("standardise"), str) and setting["standardise"] != "scalar":
        parts.append(f"standardise {setting['standardise']}")
    if setting.get("precision", "fp32") != "fp32":
        parts.append(f"precision {setting['precision']}")
    if isinstance(setting.get("plan"), str):
        parts.append(f"noise plan {setting['plan']}")
    later = [BY_NAME[name].title(setting[name]) for name in (*LATER_SETTINGS, "limit") if name in setting]
    return [*parts, *filter(None, later)]
