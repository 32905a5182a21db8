"""Footnotes: everything in which cells of one table differ besides their numbers, and why cells are empty.

Each function here looks for one kind of difference; :mod:`harness.report.tables.remarks` makes marks of what they find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.cells.request import OF_DATA
from harness.report.frame import SETTING, plain
from harness.report.run_fates import EARLIER_CODE, REPEATED
from harness.report.tables.axes import AXES, bare
from harness.report.tables.pivot import TELLING, Pivoted
from harness.report.tables.reasons import Columns, explain_missing
from harness.report.tables.remarks import Place, Remarks
from harness.report.tables.table import Key, Note, Table
from harness.report.tables.titles import give_titles
from harness.text import CANNOT_WEIGH, counted

TOLD_FACTS = ("notes", "detector_reason", "error", "error_kind", "noise_plan", "device", "host")
"""Columns of the index that footnotes need beside the facts of every frame."""

REALISED_RATES = ("noise/realised_index", "noise/realised_class")

_REALISED_DIFFERS = 0.005


def annotate(
    pivoted: Pivoted, sentences: Sequence[str] = (), why_not: Callable[[Mapping[str, Any]], str] | None = None
) -> None:
    """Give tables their titles, marks and notes.

    Args:
        pivoted: Tables and runs.
        sentences: Sentences about contradictions; a table gets those about its runs.
        why_not: Says of the values of a cell that no run has fallen into why it cannot be run; "" where it can.
    """
    columns = _Facts(pivoted)
    settings = []
    for table, others in zip(pivoted.tables, pivoted.others, strict=True):
        remarks = Remarks(table)
        settings.append(_setting(table, columns))
        _grants(table, columns, remarks)
        explain_missing(table, others, columns, remarks, why_not)
        _seeds(table, others, columns, remarks)
        _differing_settings(table, columns, remarks)
        _realised_noise(table, columns, remarks)
        _of_runs(table, columns, remarks)
        _left_out(table, others, columns, remarks)
        _bases(table, columns, remarks)
        _noise_plans(table, columns, remarks)
        table.notes.extend(remarks.finished())
        dataset = settings[-1].get("dataset")
        table.notes.extend(Note("", text) for text in sentences if dataset is None or f" on {dataset}," in text)
    give_titles(pivoted.tables, settings)


class _Facts:
    """Columns of the runs as lists, each made when it is asked for."""

    def __init__(self, pivoted: Pivoted) -> None:
        self._frame = pivoted.frame
        self._columns: dict[str, list[Any]] = {}

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._columns:
            there = name in self._frame
            self._columns[name] = [plain(v) for v in self._frame[name].tolist()] if there else [None] * len(self._frame)
        return self._columns[name]


def _setting(table: Table, columns: Columns) -> dict[str, Any]:
    """The settings that are equal in all cells of a table, with their values."""
    shared: dict[str, Any] = {}
    records = _records(table)
    for fact in SETTING:
        column = columns[fact]
        values = {column[i] for i in records}
        if len(values) == 1 and fact not in (*table.row_axes, *table.column_axes):
            shared[fact] = values.pop()
    return shared


def _records(table: Table) -> list[int]:
    """The runs behind a table, each once; several measures of a run are several cells."""
    return sorted({i for cell in table.cells.values() for i in cell.records})


def name_of(table: Table, row: Key) -> str:
    """The name of a row: its method and parts; all of its values where it has none of them."""
    labels = list(zip(table.row_axes, table.row_label(row), strict=True))
    competing = [label for axis, label in labels if axis in AXES and AXES[axis].competes and label != "-"]
    return " / ".join(competing or [label for _, label in labels])


def _grants(table: Table, columns: Columns, remarks: Remarks) -> None:
    """Remarks on methods that were given more than others; one that was given the noise mask is never marked best."""
    sentences: dict[str, None] = {}
    for row in table.rows:
        by_grant: dict[str, list[Key]] = {}
        for column in table.columns:
            granted = {columns["granted"][i] or "" for i in table.cells[row, column].records} - {""}
            if granted:
                by_grant.setdefault(", ".join(sorted(granted)), []).append(column)
        valued = [column for column in table.columns if table.cells[row, column].mean is not None]
        for granted_text, its in by_grant.items():
            told = any(word in granted_text for word in TELLING)
            where = ""
            if len(its) == len(valued):
                table.row_marks.setdefault(row, []).append("†")
            else:
                where = f" in {len(its)} of {counted(len(valued), 'cell')}"
                for column in its:
                    table.cells[row, column].marks.append("†")
            ending = ": not unsupervised, never marked as best" if told else ""
            sentences[f"{name_of(table, row)} was granted {granted_text}{where}{ending}."] = None
    for sentence in sentences:  # a row of each direction says the same
        remarks.marked("†", sentence)


def _seeds(table: Table, others: Mapping[Place, list[int]], columns: Columns, remarks: Remarks) -> None:
    """Remarks on cells with fewer or other seeds than the cells with most."""
    axes = {*table.row_axes, *table.column_axes}
    if "seed" in axes:
        return
    by_data_seed = "data_seed" in axes  # these differ because they are asked for
    seeds_of = {
        place: tuple((0 if by_data_seed else data_seed, seed) for data_seed, seed in cell.seeds)
        for place, cell in table.cells.items()
        if cell.n
    }
    counts = Counter(seeds_of.values())
    if len(counts) < 2:
        return
    usual = max(counts, key=lambda seeds: (len(seeds), counts[seeds]))
    for place, its in seeds_of.items():
        cell = table.cells[place]
        if its == usual:
            continue
        if set(its) < set(usual):
            failed = Counter(str(columns["fate"][i]) for i in others.get(place, []))
            why = ", ".join(f"{number} {fate}" for fate, number in failed.items() if fate != REPEATED)
            remarks.remark(f"{cell.n} of {counted(len(usual), 'run')}{f' ({why})' if why else ''}", place)
        else:
            remarks.remark(f"{_spans(its)}, where others have {_spans(usual)}", place)


def _spans(seeds: Iterable[tuple[Any, Any]]) -> str:
    """Data seeds and seeds in short: "seeds 0-4", "seeds 0, 2 of data seed 1"."""
    by_data: dict[Any, list[Any]] = {}
    for data_seed, seed in seeds:
        by_data.setdefault(data_seed, []).append(seed)
    parts = []
    for data_seed, its in by_data.items():
        numbers = sorted(int(seed) for seed in its if seed is not None)
        whole = numbers and numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 2
        shown = f"{numbers[0]}-{numbers[-1]}" if whole else ", ".join(map(str, numbers)) or "unknown"
        parts.append(f"seeds {shown}" + (f" of data seed {data_seed}" if len(by_data) > 1 or data_seed else ""))
    return " and ".join(parts)


def _differing_settings(table: Table, columns: Columns, remarks: Remarks) -> None:
    """Remarks on settings that differ along an axis, such as the trusted share of data sets side by side."""
    shown = {*table.row_axes, *table.column_axes, *table.by}
    for fact in SETTING:
        if fact in shown or fact == "data":
            continue
        column = columns[fact]
        values = {place: {column[i] for i in cell.records} for place, cell in table.cells.items() if cell.n}
        if len(set().union(*values.values())) < 2:
            continue
        for place, its in values.items():
            text = ", ".join(sorted(bare(fact, value) for value in its))
            remarks.remark(f"{fact.replace('_', ' ')} {text}", place, by_column=True)


def _realised_noise(table: Table, columns: Columns, remarks: Remarks) -> None:
    by_index, by_class, rates = columns[REALISED_RATES[0]], columns[REALISED_RATES[1]], columns["noise"]
    classes: dict[float, list[float]] = {}
    for place, cell in table.cells.items():
        pairs = [(rates[i], by_index[i]) for i in cell.records if rates[i] is not None and by_index[i] is not None]
        for i in cell.records:
            if rates[i] is not None and by_class[i] is not None:
                classes.setdefault(rates[i], []).append(by_class[i])
        if pairs:
            asked = sum(rate for rate, _ in pairs) / len(pairs)
            realised = sum(share for _, share in pairs) / len(pairs)
            if abs(realised - asked) > _REALISED_DIFFERS and len({rate for rate, _ in pairs}) == 1:
                remarks.remark(f"realised noise {realised:.2f} of the untrusted pairs", place, by_column=True)
    means = {rate: sum(shares) / len(shares) for rate, shares in sorted(classes.items())}
    told = [f"{mean:.3f} at {rate:g}" for rate, mean in means.items() if abs(mean - rate) > _REALISED_DIFFERS]
    if told:
        remarks.about_table(f"wrong captions of another class, as a share of the untrusted pairs: {', '.join(told)}")


def _of_runs(table: Table, columns: Columns, remarks: Remarks) -> None:
    """Remarks on hashers that cannot weigh pairs, and on methods whose only precision is fp32."""
    for place, cell in table.cells.items():
        if cell.mean is None:
            continue
        if any(CANNOT_WEIGH in (columns["notes"][i] or "") for i in cell.records):
            remarks.remark("the hasher cannot weigh pairs: fitted on those with a weight above 0.5", place)
        if any(
            columns["precision"][i] not in (None, "fp32") and columns["precision_chosen"][i] in (False, 0)
            for i in cell.records
        ):
            remarks.remark("computed in fp32, the only precision of the method", place)


def _left_out(table: Table, others: Mapping[Place, list[int]], columns: Columns, remarks: Remarks) -> None:
    gone = {i for its in others.values() for i in its}
    fates = Counter(columns["fate"][i] for i in gone)
    if fates[EARLIER_CODE]:
        remarks.about_table(
            f"left out: {counted(fates[EARLIER_CODE], 'run')} made by earlier code or other defaults of the method."
        )
    if fates[REPEATED]:
        remarks.about_table(f"left out: {counted(fates[REPEATED], 'earlier run')} of the same name and seeds.")
    if fates["invalid"]:
        remarks.about_table(
            f"left out: {counted(fates['invalid'], 'run')} whose numbers contradict each other (status invalid)."
        )


def _bases(table: Table, columns: Columns, remarks: Remarks) -> None:
    """Remarks on the machine of times and memory, and on the noise rates of a curve."""
    for cell in table.cells.values():
        if cell.measure.of_machine and cell.n:
            machines = {
                f"{columns['device'][i] or 'unknown device'} of {columns['host'][i] or '?'}" for i in cell.records
            }
            cell.basis = f"measured on {' and '.join(sorted(machines))}"
    bases = {cell.basis for cell in table.cells.values() if cell.n} - {""}
    if len(bases) == 1:
        remarks.about_table(next(iter(bases)))
    for place, cell in table.cells.items():
        if len(bases) > 1 and cell.basis and cell.n:
            remarks.remark(cell.basis, place)
        for text in cell.remarks:
            remarks.remark(text, place)


def _noise_plans(table: Table, columns: Columns, remarks: Remarks) -> None:
    """Remark on rows whose noise plans differ, so that their values are not paired."""
    plans: dict[tuple[Any, ...], set[Any]] = {}
    plan = columns["noise_plan"]
    settings = [columns[fact] for fact in ("data", "plan", *OF_DATA)]
    for i in _records(table):
        if plan[i] is not None:
            plans.setdefault(tuple(column[i] for column in settings), set()).add(plan[i])
    differing = sum(len(several) > 1 for several in plans.values())
    if differing:
        remarks.about_table(
            f"noise plans differ between runs of the same data seed ({counted(differing, 'setting')}): these runs saw "
            "different wrong captions."
        )
