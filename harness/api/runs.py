"""Runs as objects: what ``harness.run``, ``harness.sweep`` and ``harness.load`` return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from harness.errors import HarnessError
from harness.text import counted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from harness.api.comparisons import Compared
    from harness.api.model import Model
    from harness.api.plots import Plot
    from harness.api.tables import Tables
    from harness.records.schema import RunRecord

Place = tuple[str, str, str]
"""Method, data set and hash of a cell."""


class RecordedRun:
    """One stored run.

    Args:
        results: The results folder.
        place: Method, data set and hash.
    """

    def __init__(self, results: Path, place: Place) -> None:
        self._results, self._place = results, place

    @property
    def hash(self) -> str:
        """Hash of its cell."""
        return self._place[2]

    @cached_property
    def folder(self) -> Path:
        """Its folder in the results."""
        from harness.records.store import RunStore

        return RunStore(self._results).folder(*self._place)

    @cached_property
    def record(self) -> RunRecord:
        """Everything that is stored of it, but for the arrays.

        Raises:
            HarnessError: It is gone, or no sound record any more.
        """
        from harness.records.store import RunStore

        stored = RunStore(self._results).find(*self._place)
        if stored is None:
            raise HarnessError(f"run {self.hash} is gone from {self._results}/runs, or no sound record any more.")
        return stored.record

    @cached_property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Its arrays by name: codes, labels, values per query, curves, trust and noise plan.

        Raises:
            HarnessError: It failed and has none, or the file is damaged.
        """
        from harness.files.npz import read_npz

        path = self.folder / "arrays.npz"
        if not path.is_file():
            raise HarnessError(f"run {self.hash} has no arrays: its status is {self.record.status}.")
        return read_npz(path, f"run {self.hash}")

    def codes(self, part: str, modality: str, *, signs: bool = False) -> NDArray[np.uint8] | NDArray[np.int8]:
        """Codes of queries or database.

        Args:
            part: ``"query"`` or ``"database"``.
            modality: ``"image"`` or ``"text"``.
            signs: As -1 and 1.

        Returns:
            (n, ceil(bits / 8)) uint8, eight bits a byte, least significant bit first; with ``signs`` (n, bits) int8.

        Raises:
            HarnessError: There are no such codes.
        """
        from harness.errors import unknown_name
        from harness.retrieval.codes import as_signs

        for what, name, known in (("part", part, ("query", "database")), ("modality", modality, ("image", "text"))):
            if name not in known:
                raise unknown_name(what, name, known)
        packed = self.arrays.get(f"{part}_{modality}_codes")
        if packed is None:
            raise HarnessError(f"run {self.hash} has no {modality} codes of its {part}.")
        return as_signs(packed, self.record.cell.bits) if signs else packed

    @property
    def curves(self) -> dict[str, NDArray[Any]]:
        """Curves by name: ``loss`` and ``phase`` for each epoch, ``detector_epoch`` and ``detector_auroc``, and those
        of metrics by radius; empty for a closed form without any.
        """
        return {name.removeprefix("curve_"): array for name, array in self.arrays.items() if name.startswith("curve_")}

    @property
    def trust(self) -> NDArray[np.float32]:
        """(n_train,) float32 how far the detector believed each training pair in the end, in the order of the noise
        plan, whose rows are in ``arrays``: ``image``, ``caption``, ``wrong``.

        Raises:
            HarnessError: The run failed, or its codes are of another program.
        """
        trust = self.arrays.get("trust")
        if trust is None:
            raise HarnessError(f"run {self.hash} stores no trust: its codes are of another program.")
        return trust

    def model(self, *, plugins: Iterable[Any] = (), device: str = "auto") -> Model:
        """Its trained model, which encodes other features: what :func:`harness.load_model` makes of its folder.

        Args:
            plugins: As of :func:`harness.run`, for a hasher that is not ours.
            device: Where it encodes.

        Raises:
            HarnessError: No model is stored, or its hasher is not registered.
        """
        from harness.api.model_files import model_of_run
        from harness.records.store import StoredRun

        return model_of_run(StoredRun(self.folder, self.record), plugins=plugins, device=device)

    def __repr__(self) -> str:
        record = self.record
        return f"<RecordedRun {self.hash}: {record.cell.row} on {record.cell.dataset}, {record.status}>"


class Runs(Sequence[RecordedRun]):
    """Runs of one results folder, in an order.

    In a notebook it shows itself as the table of ``harness table``; ``print(runs)`` shows it as text.

    Args:
        results: The results folder.
        places: Method, data set and hash of each.
        metrics: Metrics that the shown table is about; none for ``map``.
        refused: Why combinations that were asked for cannot work.
    """

    def __init__(
        self, results: Path, places: Iterable[Place], metrics: Sequence[str] = (), refused: Sequence[str] = ()
    ) -> None:
        self.results = results
        self._runs = tuple(RecordedRun(results, place) for place in places)
        self._metrics = tuple(metrics) or ("map",)
        self.refused = tuple(dict.fromkeys(refused))

    @classmethod
    def stored(cls, results: Path, where: str | None = None) -> Runs:
        """Those of a results folder that fulfil a condition, as :func:`harness.load`."""
        from harness.records.index import open_index
        from harness.records.where import condition

        with open_index(results) as index:
            sql, values = ("", []) if where is None else condition(where, index.columns)
            rows = index.rows(["method", "dataset", "hash"], sql, values)
        if not rows:
            what = "no record" if where is None else f"no record that fulfils {where!r}"
            raise HarnessError(f"{what} in {results}/runs: run something first, or name another folder.")
        return cls(results, sorted(rows))

    @overload
    def __getitem__(self, at: int) -> RecordedRun: ...

    @overload
    def __getitem__(self, at: slice) -> Runs: ...

    def __getitem__(self, at: int | slice) -> RecordedRun | Runs:
        """A run by its place, or some of them."""
        return self._of(self._runs[at]) if isinstance(at, slice) else self._runs[at]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[RecordedRun]:
        return iter(self._runs)

    def _of(self, runs: Iterable[RecordedRun]) -> Runs:
        return Runs(self.results, [run._place for run in runs], self._metrics)

    @property
    def hashes(self) -> list[str]:
        """Hashes of their cells, in order."""
        return [run.hash for run in self]

    def where(self, condition: str) -> Runs:
        """Those that fulfil a condition, such as ``"noise=0.4"``.

        Raises:
            HarnessError: It cannot be read, names a column that there is not, or holds for none.
        """
        chosen = set(Runs.stored(self.results, condition).hashes)
        return self._of(run for run in self if run.hash in chosen)

    @property
    def failed(self) -> Runs:
        """Those that have no numbers; ``runs.failed[0].record.error`` says why."""
        from harness.records.index import ends_of

        ends = ends_of(self.results, [run._place for run in self])
        return self._of(run for run in self if run.hash in ends and ends[run.hash].status != "ok")

    def frame(self, metrics: Iterable[str] | None = None) -> pd.DataFrame:
        """One row for each run.

        Args:
            metrics: Metric ids whose columns are wanted; all without.

        Returns:
            Facts of the cell, ``row`` first: the name of the method with what differs from its defaults. Group by it
            and not by ``method``, which has several rows as soon as a parameter varies, or take :meth:`mean`. Then
            metrics as columns ``i2t/map``, ..., ``detector/auroc``.
        """
        from harness.report.frame import load_records

        wanted = None if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
        return self._mine(load_records(self.results, metrics=wanted))

    def _mine(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of a frame of records that are these runs, in their order."""
        order = {run.hash: at for at, run in enumerate(self)}
        frame = frame[frame["hash"].isin(order)]
        return frame.iloc[frame["hash"].map(order).argsort(kind="stable")].reset_index(drop=True)

    def table(
        self,
        metrics: str | Iterable[str] = (),
        *,
        preset: str | None = None,
        rows: str | Iterable[str] = (),
        columns: str | Iterable[str] = (),
        by: str | Iterable[str] = (),
        where: str | None = None,
        significance: str | None = None,
        published: bool = False,
    ) -> Tables:
        """Comparison tables, as ``harness table`` prints them; the arguments are its options (docs/tables.md).

        Args:
            metrics: Metrics; none for ``map``, or those of the preset.
            preset: A layout by name: paper, detectors, cross, cost, bits, robustness.
            rows: Facts that are rows.
            columns: Facts that are columns.
            by: Facts of which each value has a table of its own.
            where: Only runs for which this holds.
            significance: Mark the best where it differs: none, seeds, queries, both.
            published: Show published numbers beside ours.

        Raises:
            HarnessError: As ``harness table``.
        """
        from harness.api.tables import tables_of
        from harness.report.tables.request import TableRequest

        request = TableRequest.of(
            preset=preset, metrics=_texts(metrics), rows=_texts(rows), columns=_texts(columns), by=_texts(by),
            where=where, significance=significance,
        )  # fmt: skip
        return tables_of(self.results, request, self.hashes, published=published)

    def mean(self, by: str | Iterable[str] = ("method", "noise"), metrics: str | Iterable[str] = ()) -> pd.DataFrame:
        """Means over seeds, and over nothing else: what a table shows, as a data frame.

        Args:
            by: Facts to group by, as rows and columns of tables: method, noise, dataset, bits, detector, ...
            metrics: Metric ids; none for ``map``.

        Returns:
            A row for each group, direction and metric, with ``mean``, ``std`` (n - 1), ``n`` and ``seeds``.

        Raises:
            HarnessError: A mean would be over something else than seeds; the message says over what, as tables do.
        """
        frame = self.table(metrics, rows=_texts(by), columns="direction").to_frame()
        return frame.drop(columns=["place", "significance", "reason", "notes"], errors="ignore")

    def compare(
        self,
        a: str,
        b: str,
        metrics: str | Iterable[str] = (),
        *,
        where: str | None = None,
        directions: str | Iterable[str] = (),
        by: str | Iterable[str] = (),
        resamples: int = 4000,
        random_seed: int = 0,
    ) -> Compared:
        """Two rows of the tables against each other, as ``harness compare``: effect, 95 % interval, two paired tests.

        Args:
            a, b: Names of rows, or of methods that have one row.
            metrics: Metrics; none for ``map``.
            where: Only runs for which this holds.
            directions: Of i2t, t2i, i2i and t2t; none for the first two.
            by: Columns to show first and sort by.
            resamples: Resamples of the bootstrap.
            random_seed: Seed of resamples and drawn sign flips.

        Raises:
            HarnessError: A name is unknown, or the rows have no setting in common.
        """
        from harness.api.comparisons import compare

        return compare(
            self.results, a, b, _texts(metrics), hashes=self.hashes, where=where, directions=_texts(directions),
            by=_texts(by), resamples=resamples, random_seed=random_seed,
        )  # fmt: skip

    def plot(self, kind: str, output: str | Path | None = None, *, where: str | None = None, **options: Any) -> Plot:
        """A figure, as ``harness plot`` draws it (docs/gallery.md).

        Args:
            kind: noise-curve, trust, training, codes, ...
            output: The file to write: svg, pdf or png; None for none.
            where: Only runs for which this holds.
            **options: Those of the kind, as ``metric="map@20"`` or ``published=True``, and ``caption=False``.

        Raises:
            HarnessError: As ``harness plot``.
        """
        from harness.api.plots import plot

        given: dict[str, Any] = {name: _texts(value) if name == "blocks" else value for name, value in options.items()}
        path = None if output is None else Path(output)
        return plot(self.results, kind, path, hashes=self.hashes, where=where, **given)

    def __str__(self) -> str:
        return self._shown(str, "\n")

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from html import escape

        from harness.report.tables.html import as_html

        return self._shown(as_html, "\n", lambda text: f"<p>{escape(text)}</p>")

    def _shown(self, drawn: Callable[[Any], str], between: str, said: Callable[[str], str] = lambda text: text) -> str:
        """The tables of these runs, limited ones too, as ``harness run`` prints them, and how many runs they are."""
        from harness.report.frame import load_records
        from harness.report.tables import comparison_tables, render

        frame = self._mine(load_records(self.results, metrics=self._metrics))
        draw = render if drawn is str else drawn
        parts: list[str] = []
        try:
            for metric in self._metrics if len(frame) else ():
                parts += [draw(table) for table in comparison_tables(frame, metric, limited=True)]
        except HarnessError as error:
            parts = [said(str(error))]
        failed = int((frame["status"] != "ok").sum())
        line = f"{counted(len(self), 'run')} in {self.results}" + (f", {failed} failed" if failed else "")
        return between.join([*parts, said(line)])


def _texts(given: str | Iterable[str]) -> list[str]:
    from harness.cells.axes import texts

    return texts([given]) if isinstance(given, str) else list(given)
