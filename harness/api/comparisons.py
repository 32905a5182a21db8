"""Two rows of tables against each other: what ``harness compare`` and :meth:`harness.api.runs.Runs.compare` show."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import unknown_name
from harness.plugin.metric_ids import DIRECTIONS
from harness.report.statistics.compared_settings import (
    FIRST,
    Line,
    compared_settings,
    gathered_notes,
    telling_columns,
)
from harness.report.statistics.selection import PLACE, row_named, select

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Compared:
    """Two rows in every setting that both have.

    Attributes:
        a, b: Names of the rows.
        lines: One for each setting, direction and metric.
        columns: Parts of the setting that tell the lines apart.
        notes: What was left out, or must be known.
    """

    a: str
    b: str
    lines: tuple[Line, ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """What is compared."""
        metrics = dict.fromkeys(line.setting["metric"] for line in self.lines)
        return f"{', '.join(metrics)} of A = {self.a} and B = {self.b}"

    def rows(self) -> list[dict[str, Any]]:
        """Everything of each line, numbers in full."""
        return [_numbers(line) for line in self.lines]

    def to_frame(self) -> pd.DataFrame:
        """The lines as a data frame: the setting, ``mean_a``, ``mean_b``, ``effect``, ``low``, ``high``,
        ``p_queries``, ``p_seeds``, both with Holm's correction, ``n_seeds`` and more.
        """
        import pandas as pd

        return pd.DataFrame(self.rows())

    def to_text(self, style: str = "simple") -> str:
        """As ``harness compare`` prints it; ``style`` is one of tabulate's."""
        return "\n".join([self.title, "", self._body(style), *[f"  {note}" for note in self.notes]])

    def _body(self, style: str) -> str:
        from tabulate import tabulate

        header = [
            *(name.replace("_", " ") for name in self.columns), "A", "B", "A - B", "95 % interval", "p queries",
            "Holm queries", "p seeds", "Holm seeds", "seeds", "smallest p",
        ]  # fmt: skip
        return tabulate(
            [[*(_setting(name, line) for name in self.columns), *_cells(line)] for line in self.lines],
            headers=header,
            tablefmt=style,
            disable_numparse=True,
        )

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from html import escape

        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<figure><figcaption>{escape(self.title)}</figcaption>{self._body('html')}{notes}</figure>"


def compare(
    results: Path,
    a: str,
    b: str,
    metrics: Sequence[str] = (),
    *,
    hashes: Collection[str] | None = None,
    where: str | None = None,
    directions: Sequence[str] = (),
    by: Sequence[str] = (),
    resamples: int,
    random_seed: int = 0,
) -> Compared:
    """Compare two rows of the tables wherever they are comparable.

    Args:
        results: The results folder.
        a, b: Names of rows, or of methods that have one row.
        metrics: Metrics; none for ``map``.
        hashes: Only these runs; None for all.
        where: Condition on the records.
        directions: Of i2t, t2i, i2i and t2t; none for the first two.
        by: Columns to show first and sort by; none for data set, noise, direction and bits.
        resamples: Resamples of the bootstrap.
        random_seed: Seed of resamples and drawn sign flips.

    Raises:
        HarnessError: A name is unknown, or the rows have no setting in common.
    """
    order = list(by) or list(FIRST)
    for name in order:
        if name not in (*PLACE, "direction", "metric"):
            raise unknown_name("value of --by", name, (*PLACE, "direction", "metric"))
    selection = select(results, list(dict.fromkeys(metrics)) or ["map"], where, checked_directions(directions), hashes)
    first, second = (row_named(selection.frame, name, results) for name in (a, b))
    lines, notes = compared_settings(
        selection, first, second, results / "runs", by=order, resamples=resamples, seed=random_seed
    )
    columns = telling_columns(lines, order)
    return Compared(first, second, tuple(lines), tuple(columns), (*notes, *gathered_notes(lines, columns)))


def checked_directions(said: Iterable[str]) -> list[str]:
    """Directions of retrieval that are named, or the usual two.

    Raises:
        HarnessError: One is unknown.
    """
    chosen = list(said) or list(DIRECTIONS[:2])
    for name in chosen:
        if name not in DIRECTIONS:
            raise unknown_name("value of --direction", name, DIRECTIONS)
    return chosen


def _setting(name: str, line: Line) -> str:
    value = line.setting[name]
    if value is None:
        return "as given" if name == "noise" else ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cells(line: Line) -> list[str]:
    compared = line.comparison

    def value(number: float | None, sign: str = "") -> str:
        return "-" if number is None else f"{number:{sign}.4f}"

    interval = "-" if compared.low is None else f"{compared.low:+.4f} to {compared.high:+.4f}"
    seeds = f"{compared.n_seeds} data" if compared.n_data_seeds > 1 else str(compared.n_seeds)
    return [
        value(compared.mean_a), value(compared.mean_b), value(compared.effect, "+"), interval, _p(compared.p_queries),
        _p(line.holm_queries), _p(compared.p_seeds), _p(line.holm_seeds), seeds, f"{compared.smallest_p:.3g}",
    ]  # fmt: skip


def _p(p: float | None) -> str:
    return "-" if p is None else f"{p:.4f}" if p >= 0.00005 else f"{p:.0e}"


def _numbers(line: Line) -> dict[str, Any]:
    """Everything of a line, in full."""
    comparison = asdict(line.comparison)
    notes = comparison.pop("notes")
    return {
        **line.setting,
        **comparison,
        "p_queries_holm": line.holm_queries,
        "p_seeds_holm": line.holm_seeds,
        "notes": " ".join(notes),
    }
