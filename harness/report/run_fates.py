"""Which runs tables and statistics are made of, and what became of the others.

Every run has a fate: ``ok`` where its numbers count, otherwise the reason why they do not. A cell that stays empty is
explained by the fates of its runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.report.frame import SETTING
from harness.text import counted

EARLIER_CODE = "earlier code"
REPEATED = "repeated"


def with_fates(frame: pd.DataFrame, columns: Sequence[str], *, limited: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """Runs with their fates.

    Args:
        frame: Records, see :func:`harness.report.frame.records_frame`.
        columns: Columns of the numbers that will be shown; they tell whether two runs of one cell contradict.
        limited: Keep runs on a limited number of images (they never stand beside full runs).

    Returns:
        The frame with column ``fate``: "ok", a status, "earlier code" (later code or other defaults of the method made
        the same row) or "repeated" (a later run of the same name and seeds is there). Methods without a choice of
        precision (closed forms, codes of other programs) stand in it once for each precision of the others. And a
        sentence for each contradiction between runs that should be equal.
    """
    if not limited:
        frame = frame[frame["limit"].isna()]
    if frame.empty:
        return frame.assign(fate=pd.Series(dtype=str), setting=pd.Series(dtype=int)), []
    frame = _beside_each_precision(frame).reset_index(drop=True)
    frame = frame.assign(fate=frame["status"], setting=frame.groupby(list(SETTING), dropna=False, sort=False).ngroup())
    finished = frame[frame["status"] == "ok"].sort_values("finished", kind="stable")
    newest = finished.groupby(["setting", "row"])["code"].transform("last")
    frame.loc[finished.index[finished["code"] != newest], "fate"] = EARLIER_CODE
    kept = finished[finished["code"] == newest]
    same = ["setting", "row", "noise", "seed", "data_seed"]
    repeated = kept[kept.duplicated(same, keep="last")]
    frame.loc[repeated.index, "fate"] = REPEATED
    contradictions = _contradictions(kept[kept.duplicated(same, keep=False)], same, columns)
    return frame, contradictions


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


def _contradictions(twins: pd.DataFrame, same: list[str], columns: Sequence[str]) -> list[str]:
    sentences = []
    numbers = [column for column in columns if column in twins and not column.startswith(("cost/", "timings/"))]
    for _, group in twins.groupby(same, dropna=False, sort=False):
        differing = [column for column in numbers if group[column].nunique(dropna=False) > 1]
        if differing:
            shown = group.iloc[-1]
            hashes = ", ".join(
                f"{one} {value:.6g}" for one, value in zip(group["hash"], group[differing[0]], strict=True)
            )
            noise = "as given" if pd.isna(shown["noise"]) else f"{shown['noise']:g}"
            sentences.append(
                f"contradiction: {counted(len(group), 'run')} of {shown['row']} on {shown['dataset']}, noise {noise}, "
                f"seed {shown['seed']}, data seed {shown['data_seed']} differ in {differing[0]} ({hashes}); "
                "the latest counts."
            )
    return sentences


def _beside_each_precision(frame: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for _, group in frame.groupby([key for key in SETTING if key != "precision"], dropna=False, sort=False):
        chosen = group["precision_chosen"].astype(bool)
        for precision in sorted(group.loc[chosen, "precision"].dropna().unique()) or ["fp32"]:
            parts.append(group[~chosen | (group["precision"] == precision)].assign(precision=precision))
    return pd.concat(parts) if parts else frame
