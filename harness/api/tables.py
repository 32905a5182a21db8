"""Comparison tables of stored runs: what ``harness table`` and :meth:`harness.api.runs.Runs.table` show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError, unknown_name
from harness.plugin.loading import Registry, load_registry
from harness.plugin.metric_ids import declared_metric
from harness.records.index import records_in
from harness.report.frame import indexed_frame
from harness.report.tables.html import as_html
from harness.report.tables.long_frame import long_frame
from harness.report.tables.output import as_document
from harness.report.tables.reasons import refusals
from harness.report.tables.request import TableRequest
from harness.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from harness.records.index import RunIndex
    from harness.report.published import PublishedNumber
    from harness.report.tables.table import Table


@dataclass(frozen=True)
class Tables(Sequence["Table"]):
    """One or more tables; what is not comparable stands in tables of its own.

    Attributes:
        tables: The tables.
        remarks: What must be said of them besides, in sentences: runs left out, and the like.
    """

    tables: tuple[Table, ...]
    remarks: tuple[str, ...] = ()

    def __getitem__(self, at: int) -> Table:  # type: ignore[override]  # one of them; slices of tables mean little
        """A table by its place."""
        return self.tables[at]

    def __len__(self) -> int:
        return len(self.tables)

    def to_text(self, style: str = "simple") -> str:
        """In one of the formats of ``harness table`` that are text: simple, github, latex, html, csv, plain, tsv."""
        return as_document(self.tables, style)

    def to_latex(self) -> str:
        """Each a ``table`` environment; docs/tables.md names the packages that it needs."""
        return self.to_text("latex")

    def to_markdown(self) -> str:
        """As GitHub shows it."""
        return self.to_text("github")

    def to_html(self) -> str:
        """A ``figure`` for each table, everything in it escaped."""
        return self.to_text("html")

    def to_frame(self) -> pd.DataFrame:
        """One row for each cell of each table, with the numbers unrounded."""
        return long_frame(self.tables)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return "\n".join(as_html(table) for table in self.tables)


def tables_of(
    results: Path,
    request: TableRequest,
    hashes: Collection[str] | None = None,
    *,
    datasets: Sequence[str] = (),
    methods: Sequence[str] = (),
    published: bool = False,
    shows_ranks: bool = True,
    plugins: Sequence[Path] = (),
    elsewhere: str = "",
    note: Callable[[str], None] = lambda text: None,
) -> Tables:
    """Comparison tables of the runs of a results folder.

    Args:
        results: The folder.
        request: What is asked for.
        hashes: Only these runs; None for all.
        datasets, methods: Only these; none for all.
        published: Whether published numbers stand beside ours.
        shows_ranks: Whether the format can show which cell is best.
        plugins: Plugin files.
        elsewhere: " --results DIR" where the folder is not the usual one, for the commands in remarks.
        note: Called with each remark as soon as it is known, also where no table can be made in the end.

    Raises:
        HarnessError: A name is unknown, there is no such run, none has the metric, or a cell would average over
            something else than seeds.
    """
    registry = load_registry(plugins)
    for metric_id in request.metric_ids:
        declared_metric(registry, metric_id)
    with records_in(results) as index:
        known = list(index.columns)
        frame = chosen_records(index, results, request.where, datasets, methods, hashes, request.columns(known))
    numbers, problems = _published(registry, request, published)
    remarks = [*left_out(frame, elsewhere), *problems]
    for remark in remarks:
        note(remark)
    made = request.tables(
        frame, known, results, refusals(registry), shows_ranks=shows_ranks, published=numbers, beside=published
    )
    for remark in made.remarks:
        note(remark)
    return Tables(tuple(made.tables), (*remarks, *made.remarks))


def chosen_records(
    index: RunIndex,
    results: Path,
    where: str | None = None,
    datasets: Sequence[str] = (),
    methods: Sequence[str] = (),
    hashes: Collection[str] | None = None,
    more: Sequence[str] = (),
) -> pd.DataFrame:
    """The records that are meant, with their facts.

    Args:
        index: The index of the folder.
        results: The folder, for messages.
        where: Condition on the records.
        datasets, methods, hashes: As of :func:`tables_of`.
        more: Columns beside the facts.

    Raises:
        HarnessError: There is none.
    """
    frame = indexed_frame(index, (), more, where)
    if hashes is not None and len(frame):
        frame = frame[frame["hash"].isin(set(hashes))]
    if frame.empty:
        of_all = "" if where is None else f" fulfils --where {where!r}"
        raise HarnessError(f"no record in {results}/runs{of_all or ' is among these runs'}.")
    for column, chosen in (("dataset", datasets), ("method", methods)):
        for name in chosen:
            if name not in set(frame[column]):
                raise unknown_name(f"{column} among the records of {results}", name, set(frame[column]))
        if chosen:
            frame = frame[frame[column].isin(chosen)]
    return frame


def _published(registry: Registry, request: TableRequest, asked: bool) -> tuple[list[PublishedNumber], list[str]]:
    """Numbers of papers, where they are shown or rows stand in their order, and what was left out of them."""
    if not asked and not request.preset.published_order:
        return [], []
    from harness.report.published import load_published

    problems: list[str] = []
    numbers = load_published(registry, problems)
    return numbers, [f"left out: {problem}" for problem in problems if asked]


def left_out(frame: pd.DataFrame, elsewhere: str) -> list[str]:
    """What tables and figures never show, in sentences; ``elsewhere`` as of :func:`tables_of`."""
    invalid, limited = int((frame["status"] == "invalid").sum()), int(frame["limit"].notna().sum())
    failed = int((frame["status"] != "ok").sum()) - invalid
    said = []
    if invalid:
        said.append(
            f"left out: {counted(invalid, 'invalid run')}, whose numbers contradict each other; `harness show "
            f"HASH{elsewhere}` says how."
        )
    if failed:
        said.append(f"left out: {counted(failed, 'run')} that failed; `harness table --runs{elsewhere}` lists them.")
    if limited:
        said.append(
            f"left out: {counted(limited, 'run')} on a limited number of images; `harness table "
            f"--runs{elsewhere}` lists them."
        )
    return said
