"""Which records statistics may set against each other: those that count in tables, and in one setting."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.cells.request import TOLD_OPTIONS
from harness.errors import HarnessError, unknown_name
from harness.records.facts import FACTS, SETTING
from harness.report.frame import DIRECTIONS, plain
from harness.report.run_fates import EARLIER_CODE, REPEATED, with_fates
from harness.text import counted

PLACE = (*SETTING, "noise")
"""Columns in which two runs must be equal to be comparable; only seeds and method may differ."""


@dataclass(frozen=True)
class Selection:
    """Records of one or more metrics.

    Attributes:
        frame: All records that fulfil the condition, whatever became of them.
        columns: Metric as it was asked for, to its columns of the frame by direction ("" where it has none).
    """

    frame: pd.DataFrame
    columns: dict[str, dict[str, str]]

    def counting(self, rows: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str]]:
        """The runs that count, by the rule of tables (:func:`harness.report.run_fates.with_fates`).

        Args:
            rows: Rows to keep; all without. Only their runs decide in which precisions they stand.

        Returns:
            One run for each row, setting, noise rate and seeds; and sentences about what was left out, and about runs
            that contradict each other.
        """
        chosen = self.frame[self.frame["row"].isin(rows)] if rows else self.frame
        numbers = [column for of_one in self.columns.values() for column in of_one.values()]
        runs, contradictions = with_fates(chosen, numbers)
        gone = {
            fate: runs.loc[runs["fate"].isin(fates), "hash"].nunique()
            for fate, fates in (
                ("that did not finish, or whose record is invalid", set(runs["fate"]) - {"ok", EARLIER_CODE, REPEATED}),
                ("made by earlier code or other defaults of the method", {EARLIER_CODE}),
                ("that a later run of the same name and seeds replaces", {REPEATED}),
            )
        }
        gone["on a limited number of images"] = int(chosen["limit"].notna().sum())
        notes = [f"left out: {counted(number, 'run')} {what}." for what, number in gone.items() if number]
        return runs[runs["fate"] == "ok"], [*notes, *contradictions]

    def grants(self, rows: Sequence[str]) -> list[str]:
        """What each row was given that an unsupervised method does not have, in sentences."""
        said = []
        for row in rows:
            texts = self.frame.loc[self.frame["row"] == row, "granted"]
            granted = sorted({name for text in texts if text for name in text.split(", ")})
            if granted:
                said.append(f"{row} was granted {', '.join(granted)}.")
        return said


def select(
    results: Path,
    metrics: Sequence[str],
    where: str | None = None,
    directions: Sequence[str] = DIRECTIONS[:2],
    hashes: Collection[str] | None = None,
) -> Selection:
    """Read the records that statistics are about.

    Args:
        results: The results folder.
        metrics: Metric ids, or whole columns such as "detector/auroc".
        where: As ``--where`` of ``harness results``.
        directions: Directions of metrics that have some.
        hashes: Only these runs; None for all.

    Returns:
        The records.

    Raises:
        HarnessError: No records, none that finished, no record has the metric, or none that counts fulfils the
            condition.
    """
    from harness.records.index import open_index
    from harness.records.where import condition

    with open_index(results) as index:
        if not index.rows(["hash"], limit=1):
            raise HarnessError(
                f"no records in {results}/runs: run something first, or name another folder with --results."
            )
        if not index.rows(["hash"], "status = 'ok'", limit=1):
            raise HarnessError(
                f"nothing to compare in {results}/runs: no run finished; `harness table --runs` lists them, and "
                "`harness show HASH` says why."
            )
        chosen = {metric: _columns(metric, index.metric_columns, directions) for metric in metrics}
        sql, values = ("", []) if where is None else condition(where, index.columns)
        names = [*FACTS, "folder", "noise_plan", *(name for of_one in chosen.values() for name in of_one.values())]
        frame = pd.DataFrame(index.read(list(dict.fromkeys(names)), sql, values))
    if hashes is not None:
        frame = frame[frame["hash"].isin(set(hashes))]
    if frame.empty:
        what = "is among these runs" if where is None else f"fulfils --where {where!r}"
        raise HarnessError(f"no record in {results}/runs {what}.")
    selection = Selection(frame, chosen)
    runs, notes = selection.counting()
    if runs.empty:
        raise HarnessError(f"nothing to compare in {results}/runs: {' '.join(notes).rstrip('.')}.")
    return selection


def _columns(metric: str, known: Sequence[str], directions: Sequence[str]) -> dict[str, str]:
    """The columns of a metric by direction; scores of detectors have short names as in ``harness table``."""
    if f"detector/{metric}" in known:
        return {"": f"detector/{metric}"}
    if "/" in metric and metric in known:
        group = metric.partition("/")[0]
        return {group if group in DIRECTIONS else "": metric}
    columns = {direction: f"{direction}/{metric}" for direction in directions if f"{direction}/{metric}" in known}
    if not columns:
        ids = {name.partition("/")[2] for name in known if name.partition("/")[0] in DIRECTIONS}
        raise unknown_name(
            "metric among the records", metric, {*ids, *(name for name in known if name.partition("/")[2] not in ids)}
        )
    return columns


def row_named(frame: pd.DataFrame, name: str, results: Path) -> str:
    """The table row that a user means: its name, or the name of a method that has one row.

    Raises:
        HarnessError: There is none, the method has several, or none of its runs finished.
    """
    finished = frame[(frame["status"] == "ok") & frame["limit"].isna()]
    if (finished["row"] == name).any():
        return name
    rows = sorted(finished.loc[finished["method"] == name, "row"].unique())
    if not rows and name in {*frame["row"], *frame["method"]}:
        raise HarnessError(
            f"{name!r} has no finished run in {results}/runs; `harness table --runs` lists its runs, and `harness show "
            "HASH` says why."
        )
    if not rows:
        known = {*finished["row"], *finished["method"]}
        raise unknown_name(f"row or method among the records of {results}", name, known)
    if len(rows) > 1:
        shown = ", ".join(repr(row) for row in rows[:6])
        raise HarnessError(f"method {name!r} has {len(rows)} rows: name one of {shown}, or narrow them with --where.")
    return str(rows[0])


def by_place(frame: pd.DataFrame) -> dict[tuple[Any, ...], pd.DataFrame]:
    """Setting and noise rate, as in :data:`PLACE`, to the records there, sorted."""
    return {
        tuple(plain(value) for value in place): group
        for place, group in frame.groupby(list(PLACE), dropna=False, sort=True)
    }


def described(place: Sequence[Any]) -> dict[str, Any]:
    """A place by column name."""
    return dict(zip(PLACE, place, strict=True))


def differences(ours: Sequence[Sequence[Any]], theirs: Sequence[Sequence[Any]]) -> str:
    """In what the settings of two rows differ that have none in common: "protocol derangement and chnr-released"."""

    def apart(one: Sequence[Any], other: Sequence[Any]) -> list[int]:
        return [at for at, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]

    one, other = min(((a, b) for a in ours for b in theirs), key=lambda pair: len(apart(*pair)))
    return "; ".join(
        f"{PLACE[at].replace('_', ' ')} {told(PLACE[at], one[at])} and {told(PLACE[at], other[at])}"
        for at in apart(one, other)
    )


def told(name: str, value: Any) -> str:
    """A value of a setting in words."""
    if value is None:
        return "as given" if name == "noise" else "none"
    if value == "":
        return getattr(TOLD_OPTIONS.get(name), "empty", "") or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
