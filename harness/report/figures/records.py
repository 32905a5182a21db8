"""The records that a figure is about, as tables and as the runs behind their cells.

Figures average over nothing that tables do not average over: both go through :func:`harness.report.tables.build`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.errors import HarnessError
from harness.files.npz import read_npz
from harness.plugin.metric_ids import declared_metric
from harness.records.run_files import run_folder
from harness.records.store import RunStore
from harness.report.tables import RECORD_COLUMNS, build
from harness.report.tables.measures import Measure
from harness.report.tables.pivot import Pivoted, TableLayout
from harness.report.tables.request import TableRequest
from harness.report.tables.table import Key, Table, TableCell
from harness.text import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.plugin.registry import Registry
    from harness.report.published import PublishedNumber

DIRECTION: Mapping[Any, str] = {
    "i2t": "image to text", "t2i": "text to image", "i2i": "image to image", "t2t": "text to text", None: "",
}  # fmt: skip
"""Direction of retrieval in words."""

_RUN = "figure/run"
"""A column of ones: cells of tables of it hold runs, whatever numbers these have."""


@dataclass
class FigureRecords:
    """Records that were chosen.

    Attributes:
        results: The results folder.
        known: Columns of numbers that the records have.
        read: Reads the records with their facts and some more columns.
        rows: Names of all rows among the records, sorted, which have their looks by this.
        registry: What is registered; metrics are looked up in it.
        published: Gives the published numbers that are known.
        remarks: What must be said besides, in sentences; figures add to it.
        shows_caption: Whether figures draw their caption.
    """

    results: Path
    known: Sequence[str]
    read: Callable[[Sequence[str]], pd.DataFrame]
    rows: Sequence[str]
    registry: Registry
    published: Callable[[], list[PublishedNumber]] = list
    remarks: list[str] = field(default_factory=list)
    shows_caption: bool = True
    lacking: dict[str, None] = field(default_factory=dict)
    """Hashes of runs without the arrays that a figure needs."""

    def tables(
        self, metrics: Sequence[str], rows: Sequence[str], columns: Sequence[str], by: Sequence[str] = ("dataset",)
    ) -> Pivoted:
        """Tables of metrics, as ``harness table`` makes them, and the runs behind them.

        Args:
            metrics: Metrics as users name them.
            rows, columns, by: Axes.

        Raises:
            HarnessError: As ``harness table``.
        """
        request = TableRequest.of(metrics=metrics, rows=rows, columns=columns, by=by)
        for metric_id in request.metric_ids:
            declared_metric(self.registry, metric_id)
        frame = self.read(request.columns(self.known))
        made = build(frame, request.layout(self.known))
        if not made.tables:
            raise HarnessError(request.nothing(frame, self.known, self.results))
        self._keep_notes(made)
        return made

    def runs(
        self, rows: Sequence[str], columns: Sequence[str], by: Sequence[str] = ("dataset",),
        metrics: Sequence[str] = (),
    ) -> Pivoted:  # fmt: skip
        """Tables whose cells hold the finished runs themselves, for figures of their arrays.

        Args:
            rows, columns, by: Axes.
            metrics: Columns of numbers that the frame has besides.

        Raises:
            HarnessError: No run finished, or a cell would average over something else than seeds.
        """
        frame = self.read((*RECORD_COLUMNS, *metrics))
        layout = TableLayout(
            (Measure("runs", {None: _RUN}, None),), tuple(rows), tuple(columns), tuple(by), subject="runs"
        )
        made = build(frame.assign(**{_RUN: 1.0}), layout)
        if not made.tables:
            raise HarnessError(
                f"no finished run in {self.results}/runs to draw; `harness table --runs` lists what there is."
            )
        self._keep_notes(made)
        return made

    def _keep_notes(self, made: Pivoted) -> None:
        """Contradictions and grants, which no reader of a figure should miss."""
        for table in made.tables:
            said = [note.text for note in table.notes if note.mark == "†" or note.text.startswith("contradiction")]
            self.remarks += [text for text in said if text not in self.remarks]

    def arrays(
        self, made: Pivoted, cell: TableCell, needed: Sequence[str], also: Sequence[str] = (),
        alike: Sequence[Sequence[str]] = (),
    ) -> list[Arrays]:  # fmt: skip
        """The arrays of the runs of a cell, in the order of its seeds; runs that lack one are left out.

        Args:
            made: The tables.
            cell: One of their cells.
            needed: Names of arrays that a run must have.
            also: Names of arrays that it may have.
            alike: Names of arrays that belong together value by value.

        Raises:
            HarnessError: A file is damaged, or arrays that belong together are not equally long.
        """
        found: list[Arrays] = []
        wanted = {*needed, *also}
        for at in cell.records:
            run = made.frame.iloc[at]
            path = run_folder(self.results / "runs", run["folder"]) / "arrays.npz"
            arrays = read_npz(path, f"run {run['hash']}", wanted.__contains__) if path.is_file() else {}
            if all(name in arrays for name in needed):
                for names in alike:
                    shapes = {arrays[name].shape for name in names if name in arrays}
                    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
                        raise HarnessError(f"run {run['hash']}: its arrays {', '.join(names)} do not fit together.")
                found.append(arrays)
            else:
                self.lacking[str(run["hash"])] = None
        return found

    def check_drawn(self, drawn: Collection[Any], kind: str, what: str) -> None:
        """Refuse a figure of nothing; runs that were left out are told otherwise.

        Args:
            drawn: What there is to draw.
            kind: Name of the figure.
            what: What a run must have for it.

        Raises:
            HarnessError: There is nothing.
        """
        if not drawn:
            raise HarnessError(f"{kind}: no finished run among these in {self.results}/runs has {what}.")
        if self.lacking:
            self.remarks.append(f"left out: {counted(len(self.lacking), 'run')} without {what}.")

    def granted(self, labels: Collection[str]) -> list[str]:
        """What was granted to the rows that a dagger marks, for captions.

        Args:
            labels: Of :func:`row_label`, of the rows that are drawn.
        """
        said = [f"{label.removesuffix('†')} was granted " for label in labels if label.endswith("†")]
        return [f"† {text}" for text in self.remarks if text.startswith(tuple(said))]

    def definition(self, made: Pivoted, metric: str) -> str:
        """What a metric is, in one sentence from a record; "" where none says it."""
        cell = next(cell for table in made.tables for cell in table.cells.values() if cell.records)
        run = made.frame.iloc[cell.records[0]]
        stored = RunStore(self.results).find(run["method"], run["dataset"], run["hash"])
        text = "" if stored is None else stored.record.metric_definitions.get(metric.rpartition("/")[2], "")
        first = text.partition(". ")[0].rstrip(".")
        return f"{metric}: {first}." if first else ""


Arrays = Mapping[str, "NDArray[Any]"]


def cells_of(made: Pivoted) -> Iterator[tuple[Table, Key, Key, TableCell]]:
    """All cells that have runs: table, row, column and cell, in order."""
    for table in made.tables:
        for row in table.rows:
            for column in table.columns:
                if table.cells[row, column].n:
                    yield table, row, column, table.cells[row, column]


def row_label(table: Table, row: Key) -> str:
    """The name of a row as legends have it, with a dagger where it was granted more than others."""
    name = " / ".join(label for label in table.row_label(row) if label != "-")
    return name + "†" * ("†" in table.row_marks.get(row, []))


def told_apart(tables: Sequence[Table]) -> tuple[str, list[str]]:
    """What the titles of tables have in common, and what is left of each, for the titles of panels.

    The metric, with which titles begin ("map on toy, 64 bits"), is in neither.
    """
    parts = [table.title.partition(" on ")[2].split(", ") for table in tables]
    common = [part for part in parts[0] if all(part in others for others in parts)]
    return ", ".join(common), [", ".join(part for part in its if part not in common) for its in parts]


def panel_title(apart: str, direction: Any, common: str) -> str:
    """What sets a panel apart, its direction included; what all have in common where there is nothing."""
    return ", ".join(filter(None, [apart, DIRECTION.get(direction, "")])) or common


def seeds_told(numbers: Sequence[int]) -> str:
    """Over how many seeds cells go: "3 seeds", "1 to 5 seeds"."""
    least, most = min(numbers, default=0), max(numbers, default=0)
    return counted(most, "seed") if least == most else f"{least} to {most} seeds"
