"""Figures of stored runs: what ``harness plot`` writes and :meth:`harness.api.runs.Runs.plot` shows."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.api.figure_kinds import KINDS
from harness.api.tables import chosen_records, left_out
from harness.errors import HarnessError, unknown_name
from harness.plugin.loading import load_registry
from harness.records.index import records_in
from harness.report.figures.records import FigureRecords
from harness.report.figures.sheet import as_bytes, check_figure, check_matplotlib, styled, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.report.published import PublishedNumber


@dataclass(frozen=True)
class Plot:
    """A figure of runs. In a notebook it shows itself.

    Attributes:
        figure: matplotlib's figure, to be changed further.
        caption: What it shows, in sentences.
        remarks: What was left out, and the like.
    """

    figure: Figure
    caption: str
    remarks: tuple[str, ...]

    def save(self, output: str | Path) -> None:
        """Write it; the ending of the file says in which format: svg, pdf or png. Equal figures are equal svg files.

        Raises:
            HarnessError: There is no such format or folder, or the file cannot be written.
        """
        write_figure(self.figure, Path(output), "figure")

    def _repr_png_(self) -> bytes:
        return as_bytes(self.figure, ".png")

    def _repr_svg_(self) -> str:
        return as_bytes(self.figure, ".svg").decode()


def plot(
    results: Path,
    kind: str,
    output: Path | None = None,
    *,
    hashes: Collection[str] | None = None,
    where: str | None = None,
    datasets: Sequence[str] = (),
    methods: Sequence[str] = (),
    caption: bool = True,
    plugins: Sequence[Path] = (),
    elsewhere: str = "",
    note: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> Plot:
    """A figure of the runs of a results folder.

    Args:
        results: The folder.
        kind: A key of :data:`harness.api.figure_kinds.KINDS`.
        output: The file to write; None for none.
        hashes: Only these runs; None for all.
        where, datasets, methods: As of :func:`harness.api.tables.tables_of`.
        caption: Whether the caption is drawn below the panels.
        plugins: Plugin files.
        elsewhere: " --results DIR" where the folder is not the usual one, for the commands in remarks.
        note: Called with each remark.
        **options: Those that the kind takes.

    Raises:
        HarnessError: A name is unknown, matplotlib is missing, there is nothing to draw, a mean would be over something
            else than seeds, or the file cannot be written.
    """
    if kind not in KINDS:
        raise unknown_name("kind of figure", kind, KINDS)
    for name in options:
        if name not in KINDS[kind].options:
            raise unknown_name(
                f"option of {kind}", name, ("where", "datasets", "methods", "caption", *KINDS[kind].options)
            )
    for name in KINDS[kind].required:
        if not options.get(name):
            raise HarnessError(f"{kind} needs {name}.")
    if output is None:
        check_matplotlib("a figure")
    else:
        check_figure(output, "-o")
    registry = load_registry(plugins)
    with records_in(results) as index:

        def read(more: Sequence[str]) -> pd.DataFrame:
            return chosen_records(index, results, where, datasets, methods, hashes, more)

        def published() -> list[PublishedNumber]:
            from harness.report.published import load_published

            return load_published(registry, source.remarks)

        facts = read(())
        source = FigureRecords(
            results, list(index.columns), read, sorted(set(facts["row"])), registry, published,
            left_out(facts, elsewhere), caption,
        )  # fmt: skip
        draw = getattr(importlib.import_module(f"harness.report.figures.{KINDS[kind].module}"), KINDS[kind].function)
        try:
            with styled():
                drawn = draw(source, **options)
        finally:
            for remark in dict.fromkeys(source.remarks):
                note(remark)
    made = Plot(drawn.figure, drawn.caption, tuple(dict.fromkeys(drawn.remarks)))
    if output is not None:
        write_figure(made.figure, output, "-o")
    return made
