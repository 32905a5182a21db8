"""What a user asks for, as options or by a preset, and the tables that answer it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.errors import HarnessError, unknown_name
from harness.report.tables import RECORD_COLUMNS, build
from harness.report.tables.axes import AXES, axes_of
from harness.report.tables.measures import DETECTOR, Measure, measure_of
from harness.report.tables.noise_curve import CurveSummary, curve_measures
from harness.report.tables.pivot import Pivoted, TableLayout
from harness.report.tables.presets import PRESETS, Preset, joined
from harness.report.tables.published import add_published
from harness.report.tables.ranking import MARKS, MOST_FILES, files_to_read, mark_significance
from harness.report.tables.table import Table

if TYPE_CHECKING:
    from harness.report.published import PublishedNumber

TESTS = {"none": (), "seeds": ("seeds",), "queries": ("queries",), "both": ("seeds", "queries")}

_DEFAULT = Preset("", ("method",), ("direction", "noise"), ("dataset",))


@dataclass(frozen=True)
class Answer:
    """Tables, and remarks on them.

    Attributes:
        tables: In order.
        remarks: Sentences for standard error.
    """

    tables: list[Table]
    remarks: list[str]


@dataclass(frozen=True)
class TableRequest:
    """The checked options of ``harness table``.

    Attributes:
        metrics: Metrics as the user wrote them.
        rows, columns, by: Axes.
        where: Condition on the records, or None.
        significance: A key of :data:`TESTS`.
        preset: The preset, for its other properties.
        asked: Whether significance was asked for, as opposed to being the preset's.
    """

    metrics: tuple[str, ...]
    rows: tuple[str, ...]
    columns_: tuple[str, ...]
    by: tuple[str, ...]
    where: str | None
    significance: str
    preset: Preset
    asked: bool = False

    @classmethod
    def of(
        cls,
        *,
        preset: str | None = None,
        metrics: Sequence[str] = (),
        rows: Sequence[str] = (),
        columns: Sequence[str] = (),
        by: Sequence[str] = (),
        where: str | None = None,
        significance: str | None = None,
    ) -> TableRequest:
        """Check options, and let a preset stand in where they say nothing.

        Raises:
            HarnessError: A name is unknown, or stands on two axes.
        """
        if preset is not None and preset not in PRESETS:
            raise unknown_name("preset of tables", preset, PRESETS)
        if significance is not None and significance not in TESTS:
            raise unknown_name("value of --significance", significance, TESTS)
        base = PRESETS[preset] if preset else _DEFAULT
        shown = tuple(metrics) or base.metrics
        axes = _axes(base, {"rows": rows, "columns": columns, "by": by}, several_metrics=len(shown) > 1)
        return cls(
            shown, axes["rows"], axes["columns"], axes["by"], joined(base, where),
            significance or base.significance, base, significance is not None,
        )  # fmt: skip

    @property
    def metric_ids(self) -> list[str]:
        """Those metrics that a plugin must have registered."""
        return [name for name in self.metrics if "/" not in name and name not in DETECTOR]

    def columns(self, known: Iterable[str]) -> list[str]:
        """Columns that the frame must have beside its facts."""
        known = list(known)
        measures = self._measures(known)
        facts = {AXES[axis].column for axis in (*self.rows, *self.columns_, *self.by)} - {""}
        return [*RECORD_COLUMNS, *facts, *(column for measure in measures for column in measure.columns.values())]

    def _measures(self, known: Sequence[str]) -> list[Measure]:
        names = self.metrics
        if self.metrics == self.preset.metrics and len(names) > 1:  # a preset shows what there is
            names = tuple(name for name in names if name in known)
            if not names:
                raise HarnessError(f"no record holds any of {', '.join(self.metrics)}.")
        return [measure_of(name, known) for name in names]

    def layout(self, known: Sequence[str]) -> TableLayout:
        """The layout for records that have certain columns."""
        measures = self._measures(known)
        subject = self.preset.subject if self.metrics == self.preset.metrics else ""  # "cost" is not what a user named
        base = TableLayout(tuple(measures), self.rows, self.columns_, self.by, subject=subject)
        if not self.preset.curve:
            return base
        curves = tuple(curve for measure in measures for curve in curve_measures(measure))
        names = ", ".join(measure.name for measure in measures)
        return TableLayout(
            curves, self.rows, self.columns_, self.by, ("noise",), CurveSummary(), f"{self.preset.subject} of {names}"
        )

    def tables(
        self,
        frame: pd.DataFrame,
        known: Sequence[str],
        results: Path,
        why_not: Callable[[Mapping[str, Any]], str] | None = None,
        *,
        shows_ranks: bool = True,
        published: Sequence[PublishedNumber] = (),
        beside: bool = False,
    ) -> Answer:
        """The tables.

        Args:
            frame: Records with the columns of :meth:`columns`.
            known: Columns of numbers that there are.
            results: The results folder.
            why_not: The function of :func:`harness.report.tables.reasons.refusals`.
            shows_ranks: Whether the format can show which cell is best, and so marks of significance.
            published: Numbers of papers; the preset ``paper`` has its rows in their order.
            beside: Whether they are shown beside ours.

        Raises:
            HarnessError: No record has any of the metrics, or a cell would average over something else than seeds.
        """
        layout = replace(self.layout(known), row_order=self._row_order(frame, published))
        made = build(frame, layout, drop_empty=self.preset.drop_empty, why_not=why_not)
        if not made.tables:
            raise HarnessError(self.nothing(frame, known, results))
        remarks = []
        if made.splitting:
            shown = "; ".join(
                f"{fact.replace('_', ' ')} {', '.join(values)}" for fact, values in made.splitting.items()
            )
            remarks.append(
                f"tables of their own for what is not comparable ({shown}); --where chooses, and --by, --rows or "
                "--columns can name it."
            )
        if shows_ranks:
            remarks += self._significance(made, results)
        elif self.asked and TESTS[self.significance]:
            remarks.append(
                "--significance marks the best, which this format does not show: add --format plain or github."
            )
        if beside:
            remarks += add_published(made, published)
        return Answer(made.tables, remarks)

    def _significance(self, made: Pivoted, results: Path) -> list[str]:
        tests: Sequence[str] = TESTS[self.significance]
        remarks = []
        if "queries" in tests and not self.asked and files_to_read(made.tables) > MOST_FILES:
            tests = [test for test in tests if test != "queries"]
            remarks.append(
                f"no marks {MARKS['queries']}: the test over queries would read {files_to_read(made.tables)} files; "
                "--significance both reads them."
            )
        if tests:
            mark_significance(made.tables, made.frame, results / "runs", tests)
        return remarks

    def _row_order(self, frame: pd.DataFrame, published: Sequence[PublishedNumber]) -> tuple[str, ...]:
        """Rows that the published tables name, in their order."""
        if not self.preset.published_order:
            return ()
        datasets = set(frame["dataset"])
        its = [one for one in published if one.metric in self.metrics and one.dataset in datasets]
        return tuple(dict.fromkeys(name for one in its for name in (one.row, one.corresponds_to) if name))

    def nothing(self, frame: pd.DataFrame, known: Sequence[str], results: Path) -> str:
        """Why these records give no table, in a sentence."""
        finished = frame[frame["status"] == "ok"]
        names = ", ".join(self.metrics)
        if finished.empty:
            return (
                f"no finished run in {results}/runs has {names}: all {len(frame)} failed or are invalid; `harness "
                "table --runs` lists them, and `harness show HASH` says why."
            )
        if finished["limit"].notna().all():
            return (
                f"no finished run in {results}/runs has {names}: there are only runs on a limited number of images, "
                "which never enter tables; `harness table --runs` lists them."
            )
        if not self.metric_ids:
            return (
                f"no finished run in {results}/runs has a value of {names}; `harness results list --columns` lists "
                "what there is."
            )
        return (
            f"no finished run in {results}/runs has {names}: `harness score --all --metric {self.metric_ids[0]}` "
            "computes a metric from stored codes, and `harness results list --columns` lists what there is."
        )


def _axes(preset: Preset, options: Mapping[str, Sequence[str]], *, several_metrics: bool) -> dict[str, tuple[str, ...]]:
    """Which axes are rows, which are columns, and which make tables of their own.

    An option that is given stands in the place of what the preset has under its name; the rest of the preset stays, but
    for axes that an option has taken to another place.

    Args:
        preset: Layout where nothing is said.
        options: "rows", "columns" and "by" to what the user wrote.
        several_metrics: More than one metric is shown.

    Returns:
        The axes, under the names of the options.

    Raises:
        HarnessError: A name is unknown or stands twice, or there are neither rows nor columns.
    """
    named = {option: axes_of(said, f"--{option}") for option, said in options.items()}
    taken = {axis for axes in named.values() for axis in axes}
    placed = {
        option: axes or tuple(axis for axis in getattr(preset, option) if axis not in taken)
        for option, axes in named.items()
    }
    standing = {axis for axes in placed.values() for axis in axes}
    # Who replaces rows or columns does not mean to average over directions, and nobody means to average over metrics.
    if "direction" in preset.axes and "direction" not in standing and not named["by"]:
        placed["by"] = (*placed["by"], "direction")
    if several_metrics and "metric" not in standing:
        placed["by"] = ("metric", *placed["by"])
    _check_once({f"--{option}": axes for option, axes in placed.items()})
    return placed


def _check_once(placed: dict[str, tuple[str, ...]]) -> None:
    """Refuse an axis that stands in two places."""
    where: dict[str, str] = {}
    for option, axes in placed.items():
        for axis in axes:
            same = "method" if axis == "row" else axis
            if same in where:
                raise HarnessError(f"{axis} stands in {where[same]} and in {option}: name it once.")
            where[same] = option
    if not placed["--rows"] and not placed["--columns"]:
        raise HarnessError("a table needs --rows or --columns.")
