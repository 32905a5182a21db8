"""From records to one score of each row in each block, so that rows can be ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.errors import HarnessError, unknown_name
from harness.report.frame import plain
from harness.report.statistics.selection import PLACE, Selection, told
from harness.text import counted

CONDITION = (*PLACE, "direction")
"""The facts in which two scores of one row can differ."""


@dataclass(frozen=True)
class BlockScores:
    """Scores of rows that all blocks have.

    Attributes:
        part: What this ranking is about, where several were asked for: "noise 0.4, i2t"; "" otherwise.
        scores: One line for each block, one column for each row.
        notes: Sentences about what was averaged and left out.
    """

    part: str
    scores: pd.DataFrame
    notes: list[str]


def check_names(names: Sequence[str], option: str) -> None:
    """Names of conditions as users write them.

    Raises:
        HarnessError: A name is no condition.
    """
    for name in names:
        if name not in CONDITION:
            raise unknown_name(f"value of {option}", name, CONDITION)


def block_scores(
    selection: Selection,
    metric: str,
    blocks: Sequence[str] = ("dataset",),
    by: Sequence[str] = (),
    rows: Sequence[str] = (),
) -> tuple[list[BlockScores], list[str]]:
    """Scores of one metric.

    A score is the mean over data seeds of the mean over their training seeds; a block's score is the mean over all
    conditions (noise rates, code lengths, directions, ...) in it that every row has.

    Args:
        selection: The records.
        metric: One of its metrics.
        blocks: Names of :data:`CONDITION` whose values make the blocks.
        by: Names whose values get a ranking of their own.
        rows: Rows to rank; all without.

    Returns:
        One for each value of ``by``; and sentences about runs that were left out and about rows that were granted
        what others were not.

    Raises:
        HarnessError: No condition has all rows.
    """
    check_names(blocks, "--blocks")
    check_names(by, "--by")
    frame, left_out = selection.counting(rows)
    long = _long(frame, selection.columns[metric])
    if long.empty:
        raise HarnessError(f"no finished run has {metric}.")
    scores = []
    for value, part in long.groupby(list(by), dropna=False, sort=True) if by else [((), long)]:
        shown = ", ".join(_told(name, plain(one)) for name, one in zip(by, value, strict=True))
        scores.append(_of_part(part, shown, list(blocks), list(by)))
    return scores, [*left_out, *selection.grants(list(dict.fromkeys(long["row"])))]


def _long(frame: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """One line for each row of the table and condition, with its score."""
    parts = [
        frame[[*PLACE, "row", "data_seed"]].assign(direction=direction, score=frame[column].astype(float))
        for direction, column in columns.items()
    ]
    long = pd.concat(parts).dropna(subset=["score"])
    of_data_seeds = long.groupby([*CONDITION, "row", "data_seed"], dropna=False)["score"].mean()
    means: pd.DataFrame = of_data_seeds.groupby([*CONDITION, "row"], dropna=False).mean().reset_index()
    return means


def _of_part(long: pd.DataFrame, part: str, blocks: list[str], by: list[str]) -> BlockScores:
    rows = list(dict.fromkeys(long["row"]))
    wide = long.set_index([*CONDITION, "row"])["score"].unstack("row")
    complete = wide.dropna()
    notes = []
    if complete.empty:
        counts = wide.notna().sum()
        lacking = ", ".join(
            f"{row} ({counts[row]} of {len(wide)})" for row in counts.sort_values(kind="stable").index[:5]
        )
        raise HarnessError(
            f"no setting has all {len(rows)} rows{' of ' + part if part else ''}; settings by row: {lacking}: name the "
            "rows to rank, or narrow the settings with --where."
        )
    if len(complete) < len(wide):
        lacking = wide[~wide.index.isin(complete.index)].isna().any()
        notes.append(
            f"left out: {len(wide) - len(complete)} of {counted(len(wide), 'setting')}, where there is no run of "
            f"{', '.join(wide.columns[lacking])}."
        )
    complete = complete.reset_index()
    names = complete[blocks].apply(lambda line: ", ".join(_told(n, plain(v)) for n, v in line.items()), axis=1)
    scores = complete.groupby(names, sort=False)[rows].mean()
    averaged = _varying(complete, [name for name in CONDITION if name not in (*blocks, *by)], names)
    if averaged:
        notes.append(f"a block's score is the mean over {averaged}.")
    n_data_sets = complete["dataset"].nunique()
    if n_data_sets < len(scores):
        notes.append(
            f"the {len(scores)} blocks come from {counted(n_data_sets, 'data set')}: noise rates, code lengths and "
            "directions of one data set are no independent blocks, so p-values and critical difference claim more than "
            "the data show."
        )
    return BlockScores(part, scores, notes)


def _varying(complete: pd.DataFrame, names: list[str], block_of: pd.Series) -> str:
    """Which conditions a block averages over, with their values."""
    shown = []
    for name in names:
        values = pd.Series([plain(value) for value in complete[name]], dtype=object)  # map() would make None NaN again
        if (values.groupby(block_of).nunique(dropna=False) > 1).any():
            said = sorted({told(name, value) for value in values})
            shown.append(f"{name.replace('_', ' ')} {', '.join(said[:8])}{', ...' if len(said) > 8 else ''}")
    return "; ".join(shown)


def _told(name: str, value: Any) -> str:
    """A condition in a few words: the value alone where it speaks for itself."""
    said = told(name, value)
    return said if name in ("dataset", "direction") else f"{said} bits" if name == "bits" else f"{name} {said}"
