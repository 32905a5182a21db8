"""What the numbers of a table are, in a sentence or two below it."""

from __future__ import annotations

from harness.report.tables.table import Table


def legend(table: Table, ranks: str) -> list[str]:
    """Sentences about mean, deviation and marks.

    Args:
        table: The table.
        ranks: How best and runner-up look; empty where they are not shown.
    """
    counts = {cell.n for cell in table.cells.values() if cell.n}
    if any(cell.low is not None for cell in table.cells.values()):
        said = "Mean [95 % interval] over seeds"
    elif counts == {1}:
        said = "One run in each cell, so there is no deviation"
    elif len(counts) == 1:
        said = f"Mean ± standard deviation (n - 1) over {counts.pop()} runs"
    else:
        said = f"Mean ± standard deviation (n - 1) over at most {max(counts, default=0)} runs"
    if ranks and any(cell.place for cell in table.cells.values()):
        said += f"; {ranks} under equal conditions"
    return [f"{said}."]
