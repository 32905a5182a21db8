"""Seeds: every run as a point, with the mean and its interval."""

from __future__ import annotations

from harness.report.figures.records import FigureRecords, panel_title, row_label, seeds_told, told_apart
from harness.report.figures.sheet import Drawn, Sheet, looks_of, name_shown
from harness.report.statistics.bootstrap import interval
from harness.report.statistics.samples import Term, columns_of, records_of, runs_by_seed, samples


def draw(source: FigureRecords, metric: str = "map") -> Drawn:
    """Draw a line of points for each row; a panel for each noise rate, direction and table.

    Args:
        source: The records.
        metric: The metric.

    Raises:
        HarnessError: As ``harness table``, or there are too many panels.
    """
    made = source.tables([metric], ("method",), ("direction",), ("dataset", "noise"))
    common, apart = told_apart(made.tables)
    panels = [(at, column) for at, table in enumerate(made.tables) for column in table.columns]
    across = max(len(table.columns) for table in made.tables)
    most = max(len(table.rows) for table in made.tables)
    sheet = Sheet(len(panels), kind="seeds", across=across if across > 1 else 2, size=(3.1, 0.75 + 0.27 * most))
    looks, numbers, labels, intervals = looks_of(source.rows), [], {}, 0
    for place, (at, column) in enumerate(panels):
        table, axes = made.tables[at], sheet.panels[place]
        measure = next(iter(table.measures.values()))
        for height, row in enumerate(table.rows):
            cell, look = table.cells[row, column], looks[str(row[0])]
            labels[row_label(table, row)] = look
            if cell.mean is None:
                continue
            numbers.append(cell.n)
            values = [value / measure.scale for value in cell.values]
            axes.plot(values, [height] * len(values), linestyle="none", marker=look.marker, color=look.colour,
                      markerfacecolor="none", markersize=4.5, markeredgewidth=0.8)  # fmt: skip
            chosen = made.frame[columns_of(made.frame, cell.column)].iloc[list(cell.records)]
            by_seed = runs_by_seed(records_of(chosen, cell.column), cell.column, source.results / "runs")
            drawn_from = samples({seeds: [Term(1.0, run)] for seeds, run in by_seed.items()}, cell.column)
            ends = interval(drawn_from.data, shared=drawn_from.shared)
            if ends is not None:
                intervals += 1
                axes.plot([end / measure.scale for end in ends], [height - 0.28] * 2, color=look.colour, linewidth=1.6)
            axes.plot([cell.mean / measure.scale], [height - 0.28], marker="|", color=look.colour, markersize=7,
                      markeredgewidth=1.6)  # fmt: skip
        axes.set_ylim(len(table.rows) - 0.4, -0.75)
        first = place % (across if across > 1 else 2) == 0
        names = [name_shown(row_label(table, row)) if first else "" for row in table.rows]
        axes.set_yticks(range(len(table.rows)), [sheet.ruler.wrapped(name, 8, 1.5) for name in names], linespacing=0.9)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(measure.header)
        sheet.title(place, panel_title(apart[at], column[0], common))
    caption = [
        f"{metric}, {common}." if common else f"{metric}.",
        source.definition(made, metric),
        f"Open marks: one run each, {seeds_told(numbers)}. Above them the mean, and its 95 % interval (bootstrap over "
        "seeds and queries)." if intervals else "One run for each row, so there is no interval.",
        *source.granted(list(labels)),
    ]  # fmt: skip
    return sheet.finish(caption, (), source.remarks, shows_caption=source.shows_caption)
