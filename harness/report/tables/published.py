"""Published numbers beside our own: a line as printed, ours, and the difference, with a footnote for all that differs.

A row of a table becomes up to three: ``published`` under the paper's name for the method, ``ours``, and
``difference``. What a paper has and we have not stands with ``-`` for ours, in the order of the paper. Numbers that
are not comparable (protocol, split, features, metric, trusted share, code length, preset) are grey.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.cells.request import BY_NAME, DEFAULT_PRESET, LATER_SETTINGS, TOLD_OPTIONS
from harness.errors import HarnessError
from harness.report.frame import plain
from harness.report.tables.axes import in_order, without_weights
from harness.report.tables.pivot import Pivoted
from harness.report.tables.table import Key, Note, Table, TableCell

if TYPE_CHECKING:
    from harness.report.published import PublishedNumber

AXIS = "numbers"
PUBLISHED, OURS, DIFFERENCE = "published", "ours", "difference"
NOT_RUN = "not run"

METHOD = ("method", "row")

KNOWN = (*METHOD, "direction", "noise", "bits", "dataset", "metric")
"""Axes whose value a published number has."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"

Facts = Mapping[str, Any]
Place = tuple[Key, Key]


def add_published(made: Pivoted, numbers: Sequence[PublishedNumber]) -> list[str]:
    """Put published numbers into tables.

    Args:
        made: Tables with ranks and notes.
        numbers: All that are known.

    Returns:
        Sentences for standard error.

    Raises:
        HarnessError: Methods are no rows of the tables.
    """
    for table in made.tables:
        if not set(METHOD) & set(table.row_axes):
            raise HarnessError(
                f"--published puts numbers below methods, and the rows are {', '.join(table.row_axes) or 'none'}: add "
                "method to --rows."
            )
    columns = {
        name: [plain(value) for value in made.frame[name].tolist()] for name in _FACTS_OF_RUNS if name in made.frame
    }
    done = [_Beside(table, columns, numbers).done() for table in made.tables]
    if any(done):
        return []
    return [
        "no published number is of these methods, data sets, directions and noise rates; `harness list published` "
        "lists the papers."
    ]


_FACTS_OF_RUNS = (
    "method", "row", "preset", "dataset", "protocol", "trusted", "bits", "noise", "image_backbone", "text_backbone",
    "limit", *LATER_SETTINGS,
)  # fmt: skip

TAKEN_FOR_USUAL = {name: said for name in LATER_SETTINGS if (said := TOLD_OPTIONS[name].published)}
"""Settings that published numbers do not name: what each is, its usual value, and another one as a format."""


class _Beside:
    """One table and the numbers that belong to it."""

    def __init__(self, table: Table, columns: Mapping[str, Sequence[Any]], numbers: Sequence[PublishedNumber]) -> None:
        self._table, self._columns = table, columns
        self._method = next(i for i, axis in enumerate(table.row_axes) if axis in METHOD)
        records = [i for cell in table.cells.values() for i in cell.records]
        self._common = {name: _only(values[i] for i in records) for name, values in columns.items()}
        self._rows = {row[self._method] for row in table.rows}
        self._remarks: dict[str, list[Place]] = {}
        self._sources: dict[str, list[Place]] = {}
        measures = [measure.name for measure in table.measures.values()]
        datasets = {columns["dataset"][i] for i in records} if "dataset" in columns else set()
        self._numbers = [number for number in numbers if number.dataset in datasets]
        self._fitting = [number for number in self._numbers if number.metric in measures and self._common_holds(number)]

    def done(self) -> bool:
        """Put the numbers into the table; False where none belongs to it."""
        chosen = self._chosen()
        if not chosen:
            return False
        self._rebuild(chosen)
        return True

    def _common_holds(self, number: PublishedNumber) -> bool:
        """Whether noise rate and code length, where they are no axes, are those of the whole table."""
        axes = {*self._table.row_axes, *self._table.column_axes}
        return all(name in axes or self._common.get(name) == getattr(number, name) for name in ("noise", "bits"))

    def _row_of(self, number: PublishedNumber) -> str:
        """The row of ours that a number stands beside; "" where there is none."""
        if number.row in self._rows:
            return number.row
        return number.corresponds_to if number.corresponds_to in self._rows else ""

    def _chosen(self) -> dict[Place, PublishedNumber]:
        """The number for each cell, rows and columns that only the paper has included, as far as they are known."""
        numbers: dict[Place, PublishedNumber] = {}
        for place in self._table.cells:
            facts = self._facts(place)
            candidates = [
                number
                for number in self._numbers
                if self._row_of(number) == place[0][self._method]
                and all(facts.get(name) in (None, getattr(number, name)) for name in ("dataset", "direction", "noise"))
                and facts.get("direction") is not None
            ]
            if candidates:
                numbers[place] = min(candidates, key=lambda number: len(self._differences(number, facts)))
        table = self._table
        if set(table.row_axes) <= set(KNOWN) and set(table.column_axes) <= set(KNOWN):
            for number in self._fitting:
                if any(table.by.get(axis, _of(number, axis)) != _of(number, axis) for axis in KNOWN):
                    continue
                row = list(_key(number, table.row_axes))
                row[self._method] = self._row_of(number) or _our_name(number)
                numbers.setdefault((tuple(row), _key(number, table.column_axes)), number)
        return numbers

    def _facts(self, place: Place) -> dict[str, Any]:
        """The facts of a cell: of its runs (of the whole table where it has none), and of its row and column."""
        table = self._table
        cell = table.cells.get(place)
        facts = dict(self._common)
        if cell is not None and cell.records:
            facts = {name: _only(values[i] for i in cell.records) for name, values in self._columns.items()}
        facts.update({axis: value for axis, value in table.by.items() if axis not in METHOD})
        for axes, key in ((table.row_axes, place[0]), (table.column_axes, place[1])):
            facts.update({axis: value for axis, value in zip(axes, key, strict=True) if axis not in METHOD})
        if cell is not None:
            facts["metric"] = cell.measure.name
            if "direction" not in facts and len(cell.measure.columns) == 1:
                facts["direction"] = next(iter(cell.measure.columns))
        facts["row"] = place[0][self._method]
        return facts

    def _differences(self, number: PublishedNumber, facts: Facts) -> list[str]:
        """A phrase for each difference of the settings; none where the two numbers are comparable."""
        clean = not number.noise and not facts.get("noise")
        pairs = [
            ("metric", number.metric, facts.get("metric", number.metric)),
            ("bits", number.bits, facts.get("bits")),
            ("split", number.split, facts.get("split") or "paper"),
            ("features", number.features, self._features(number, facts)),
            *(
                (what, usual, other.format(facts[name]) if BY_NAME[name].title(facts.get(name)) else usual)
                for name, (what, usual, other) in TAKEN_FOR_USUAL.items()
            ),
        ]
        if not clean:
            pairs.append(("noise protocol", number.protocol, facts.get("protocol")))
        if not (clean and not number.trusted):
            pairs.append(("trusted share", number.trusted, facts.get("trusted")))
        if number.row and facts["row"] == number.corresponds_to != number.row:
            pairs.append(("method", number.row, facts["row"]))
        return [
            f"{what} {_said(theirs)} there, {_said(mine)} here"
            for what, theirs, mine in pairs
            if mine is not None and theirs != mine
        ]

    def _features(self, number: PublishedNumber, facts: Facts) -> str:
        """The published words where the features are the same, otherwise ours in words."""
        mine = {
            modality: without_weights(str(facts.get(f"{modality}_backbone") or "")) for modality in ("image", "text")
        }
        if not any(mine.values()):
            return "from a file, which nobody can compare,"
        same = number.backbones and all(mine[modality] == name for modality, name in number.backbones.items())
        return number.features if same else " + ".join(mine.values())

    def _rebuild(self, chosen: Mapping[Place, PublishedNumber]) -> None:
        """Rows in threes, in the order of the papers."""
        table = self._table
        table.columns = self._ordered_columns({column for _, column in chosen})
        rows: list[Key] = []
        cells: dict[Place, TableCell] = {}
        row_marks: dict[Key, list[str]] = {}
        for row in self._ordered_rows(chosen):
            its = {column: chosen[row, column] for column in table.columns if (row, column) in chosen}
            if its:
                name = next(iter(its.values())).method
                shown = self._line(row, PUBLISHED, f"{name}", rows)
                rows.append(shown)
                for column in table.columns:
                    cells[shown, column] = self._published(its.get(column), (row, column), (shown, column))
            ours = self._line(row, OURS, row[self._method], rows)
            rows.append(ours)
            row_marks[ours] = table.row_marks.get(row, [])
            for column in table.columns:
                cells[ours, column] = table.cells.get((row, column)) or TableCell(
                    self._measure(row, column), reason=NOT_RUN
                )
            if any(cells[ours, column].mean is not None for column in its):
                difference = self._line(row, DIFFERENCE, row[self._method], rows)
                rows.append(difference)
                for column in table.columns:
                    cells[difference, column] = _difference(cells[ours, column], cells[shown, column])
        table.row_axes = (*table.row_axes, AXIS)
        table.rows, table.cells, table.row_marks = rows, cells, row_marks
        self._notes()

    def _line(self, row: Key, kind: str, name: Any, taken: Iterable[Key]) -> Key:
        """The key of one of the three lines, told apart from equal ones of other papers."""
        key = (*row[: self._method], name, *row[self._method + 1 :], kind)
        while key in taken:
            key = (*key[: self._method], f"{key[self._method]} ", *key[self._method + 1 :])
        return key

    def _ordered_rows(self, chosen: Mapping[Place, PublishedNumber]) -> list[Key]:
        """Rows with a published number in the order of the papers, then the others, within each outer value."""
        table = self._table
        order = [row for row, _ in chosen]
        first = {number.method: at for at, number in reversed(list(enumerate(self._numbers)))}
        place = {row: min(first[chosen[its].method] for its in chosen if its[0] == row) for row in dict.fromkeys(order)}
        every = list(dict.fromkeys([*table.rows, *order]))
        at = {row: number for number, row in enumerate(every)}
        outer = in_order(
            {row[: self._method] for row in every}, table.row_axes[: self._method],
            [{value: i for i, value in enumerate(dict.fromkeys(row[level] for row in every))}
             for level in range(self._method)],
        )  # fmt: skip
        rank = {key: number for number, key in enumerate(outer)}
        return sorted(
            every, key=lambda row: (rank[row[: self._method]], row not in place, place.get(row, at[row]), at[row])
        )

    def _ordered_columns(self, more: set[Key]) -> list[Key]:
        table = self._table
        every = list(dict.fromkeys([*table.columns, *sorted(more, key=str)]))
        seen = [
            {value: i for i, value in enumerate(dict.fromkeys(column[level] for column in every))}
            for level in range(len(table.column_axes))
        ]
        return in_order(every, table.column_axes, seen)

    def _measure(self, row: Key, column: Key) -> Any:
        axes = {
            **dict(zip(self._table.row_axes, row, strict=True)),
            **dict(zip(self._table.column_axes, column, strict=True)),
            **self._table.by,
        }
        return self._table.measures.get(axes.get("metric", "")) or next(iter(self._table.measures.values()))

    def _published(self, number: PublishedNumber | None, own: Place, shown: Place) -> TableCell:
        """The cell of the published line."""
        cell = TableCell(self._measure(*own), ranked=False, printed="-" if number is None else number.printed)
        if number is None:
            return replace(cell, reason="not printed")
        differences = self._differences(number, self._facts(own))
        for text in differences:
            self._remarks.setdefault(text, []).append(shown)
        of = f"{number.paper}, {number.source} ({number.address}), printed as {number.metric_printed}"
        self._sources.setdefault(f"{of}. {number.remark}".rstrip(" ."), []).append(shown)
        return replace(cell, mean=number.value, grey=bool(differences))

    def _notes(self) -> None:
        """Sources, and each difference once; marks only where it does not hold for all published numbers."""
        table = self._table
        every = {place for places in self._sources.values() for place in places}
        used = {note.mark for note in table.notes}
        letters = (letter for letter in (*_LETTERS, *(f"{a}{b}" for a in _LETTERS for b in _LETTERS)))
        free = (letter for letter in letters if letter not in used)
        grey = sorted(self._remarks, key=lambda text: -len(self._remarks[text]))
        for text, places in [
            *((f"published: {source}.", its) for source, its in self._sources.items()),
            *((f"not comparable: {text}.", self._remarks[text]) for text in grey),
        ]:
            if set(places) == every:
                table.notes.append(Note("", text))
                continue
            mark = next(free)
            table.notes.append(Note(mark, text))
            for row in dict.fromkeys(row for row, _ in places):
                columns = {column for its, column in every if its == row}
                if columns <= {column for its, column in places if its == row}:
                    table.row_marks.setdefault(row, []).append(mark)
                else:
                    for place in places:
                        if place[0] == row:
                            table.cells[place].marks.append(mark)
        if any(cell.reason == NOT_RUN and not cell.marks for cell in table.cells.values()):
            table.notes.append(Note("", "- without a mark: not run here, or not printed there."))
        if grey:
            table.notes.append(Note("", "grey, and in parentheses where there is no grey: not comparable."))


def _difference(ours: TableCell, published: TableCell) -> TableCell:
    """Our number minus the published one."""
    cell = TableCell(ours.measure, ranked=False, printed="-", grey=published.grey)
    if ours.mean is None or published.mean is None:
        return replace(cell, grey=False)
    value = ours.mean - published.mean
    return replace(cell, mean=value, printed=f"{value:+.{ours.measure.decimals or 3}f}")


def _our_name(number: PublishedNumber) -> str:
    """The name that our table would give the row, also where its method is not registered or unknown."""
    preset = "" if number.preset == DEFAULT_PRESET else f" [preset={number.preset}]"
    return number.row or (f"{number.corresponds_to}{preset}" if number.corresponds_to else number.method)


def _key(number: PublishedNumber, axes: Sequence[str]) -> Key:
    return tuple(_of(number, axis) for axis in axes)


def _of(number: PublishedNumber, axis: str) -> Any:
    return number.row or number.method if axis in METHOD else getattr(number, axis)


def _said(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _only(values: Iterable[Any]) -> Any:
    """The one value that all have; None where they differ or there is none."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
