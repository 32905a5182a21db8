"""Why a cell has no value: its runs failed, were never made, cannot be made, or have no such number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from harness.report.run_fates import EARLIER_CODE, REPEATED
from harness.report.tables.remarks import Place, Remarks
from harness.report.tables.table import Table, TableCell

if TYPE_CHECKING:
    from harness.plugin.registry import Registry

_LONGEST_REASON = 160


class Columns(Protocol):
    """Columns of the runs as lists."""

    def __getitem__(self, name: str) -> list[Any]: ...


def refusals(registry: Registry) -> Callable[[Mapping[str, Any]], str]:
    """A function that says of the values of an empty cell why it cannot be run; "" where it can, or nobody knows.

    Args:
        registry: What is registered; names that it does not know are passed over.
    """
    from harness.cells.compatibility import detector_refused
    from harness.plugin.declarations import Component, HasherDeclaration

    hashers = {one.name: one for one in registry.all("hasher") if isinstance(one, HasherDeclaration)}
    detectors = {one.name: one for one in registry.all("detector") if isinstance(one, Component)}

    def why_not(values: Mapping[str, Any]) -> str:
        hasher, detector = hashers.get(values.get("hasher", "")), detectors.get(values.get("detector", ""))
        if hasher is None or detector is None:
            return ""
        return detector_refused(hasher, detector, detector.needs)

    return why_not


def explain_missing(
    table: Table, others: Mapping[Place, list[int]], columns: Columns, remarks: Remarks,
    why_not: Callable[[Mapping[str, Any]], str] | None,
) -> None:  # fmt: skip
    """Give each cell without a value its reason, and a mark.

    Args:
        table: The table.
        others: Cell to the runs that should have filled it and did not.
        columns: Columns of the runs.
        remarks: Gets the reasons, and sets the marks.
        why_not: Says of the values of a cell that no run has fallen into why it cannot be run; "" where it can.
    """
    for place, cell in table.cells.items():
        if cell.mean is not None:
            continue
        cell.reason = cell.reason or _reason(table, place, others, columns, why_not)
        remarks.remark(f"no value: {cell.reason}", place, missing=True)


def _reason(
    table: Table, place: Place, others: Mapping[Place, list[int]], columns: Columns,
    why_not: Callable[[Mapping[str, Any]], str] | None,
) -> str:  # fmt: skip
    if place not in others:
        row, column = place
        values = {
            **table.by,
            **dict(zip(table.row_axes, row, strict=True)),
            **dict(zip(table.column_axes, column, strict=True)),
        }
        refused = why_not(values) if why_not is not None else ""
        return f"refused, {refused}" if refused else "not run"
    cell = table.cells[place]
    unfinished = others[place]
    fates = Counter(columns["fate"][i] for i in unfinished if columns["fate"][i] not in (EARLIER_CODE, REPEATED))
    if cell.without:
        besides = "".join(f"; {number} {fate}" for fate, number in fates.items())
        return f"{_without_value(cell, columns)}{besides}"
    if fates:
        fate = fates.most_common(1)[0][0]
        message = next(
            (columns["error"][i] for i in unfinished if columns["fate"][i] == fate and columns["error"][i]), ""
        )
        return f"{fate}, {_short(message)}" if message else str(fate)
    return "only made by earlier code or other defaults of the method" if unfinished else "the metric has no value"


def _without_value(cell: TableCell, columns: Columns) -> str:
    """The reason why the finished runs of a cell have no value."""
    group = next(iter(cell.measure.columns.values())).partition("/")[0]
    known = {columns["detector_reason"][i] for i in cell.without if group == "detector"} - {None, ""}
    if len(known) == 1:
        return str(known.pop())
    return f"the metric has no value ({', '.join(sorted(known))})" if known else "the metric has no value"


def _short(message: str) -> str:
    words = " ".join(str(message).split()).rstrip(".")
    return words if len(words) <= _LONGEST_REASON else f"{words[:_LONGEST_REASON]}..."
