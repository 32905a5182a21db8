"""Detectors as classifiers: receiver operating characteristic, and calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.noise.scores import CALIBRATION_BINS, calibration_bins
from harness.report.figures.records import FigureRecords, seeds_told
from harness.report.figures.sheet import Drawn, Sheet, looks_of, name_shown
from harness.report.figures.weighed_pairs import WeighedPairs, by_panel, weighed_pairs

Floats = NDArray[np.float64]

_GRID = np.linspace(0, 1, 201)

FEWEST = 10
"""Pairs of a bin of weight whose share of right ones is drawn; a share of fewer says nothing."""

_MARKED = 25
"""Points of the grid from marker to marker."""


def detector_roc(source: FigureRecords) -> Drawn:
    """Draw, for each row, which share of the wrong pairs it finds for which share of right pairs that it suspects.

    Args:
        source: The records.

    Raises:
        HarnessError: As ``harness table``; no run has weights and wrong pairs, or there are too many panels.
    """
    cells, common = weighed_pairs(source, "detector-roc")
    looks = looks_of(source.rows)

    def line(axes, cell: WeighedPairs):  # type: ignore[no-untyped-def]  # matplotlib has no types
        curves = np.array([roc_on_grid(1 - weight, wrong) for weight, wrong in cell.runs])
        mean = curves.mean(axis=0)
        if len(curves) > 1:
            spread = curves.std(axis=0, ddof=1)
            axes.fill_between(_GRID, np.clip(mean - spread, 0, 1), np.clip(mean + spread, 0, 1),
                              color=looks[cell.row].colour, alpha=0.15, linewidth=0)  # fmt: skip
        return axes.plot(_GRID, mean, **looks[cell.row].line, markevery=_MARKED, markersize=3.5)[0]

    return _panels(
        source, cells, "detector-roc", line, ("right pairs suspected (share)", "wrong pairs found (share)"),
        [f"Receiver operating characteristic of detectors over the untrusted training pairs, {common}.",
         f"Means over {seeds_told([len(cell.runs) for cell in cells])} at each share of right pairs; bands: ± one "
         "standard deviation (n - 1). Grey: guessing. Marks stand at equal distances, to tell lines apart."],
    )  # fmt: skip


def reliability(source: FigureRecords) -> Drawn:
    """Draw, for each row, the share of right pairs among those of like weight.

    Args:
        source: The records.

    Raises:
        HarnessError: As ``harness table``; no run has weights, or there are too many panels.
    """
    cells, common = weighed_pairs(source, "reliability", needs_both=False)
    looks = looks_of(source.rows)

    def line(axes, cell: WeighedPairs):  # type: ignore[no-untyped-def]  # matplotlib has no types
        weight, wrong = (np.concatenate([run[part] for run in cell.runs]) for part in (0, 1))
        mean, right, share = calibration_curve(weight, ~wrong)
        held = share * len(weight) >= FEWEST
        mean, right, share = mean[held], right[held], share[held]
        axes.scatter(mean, right, s=12 + 220 * share, color=looks[cell.row].colour, alpha=0.25, linewidth=0)
        return axes.plot(mean, right, **looks[cell.row].line, markersize=3.5)[0]

    return _panels(
        source, cells, "reliability", line, ("mean weight of the pairs", "pairs that are right (share)"),
        [f"Whether weights can be read as probabilities: untrusted training pairs, {common}.",
         f"Pairs of {seeds_told([len(cell.runs) for cell in cells])} in {CALIBRATION_BINS} bins of weight, those of "
         f"less than {FEWEST} pairs left out; pale discs: how many pairs a bin holds. On the grey line a weight is the "
         "share of right pairs."],
    )  # fmt: skip


def roc_on_grid(score: Floats, positive: NDArray[np.bool_]) -> Floats:
    """(201,) true positive rate at equally spaced false positive rates.

    Args:
        score: (n,) larger for what is taken for positive; equal scores are one step, drawn as a slope.
        positive: (n,) bool, with both values.
    """
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(positive, score, drop_intermediate=False)
    last = np.append(np.diff(false) > 0, True)  # of points above each other the highest
    on_grid: Floats = np.interp(_GRID, false[last], true[last])
    return on_grid


def calibration_curve(weight: Floats, right: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Mean weight, share of right pairs and share of all pairs, for each bin of weight that holds pairs."""
    bins = calibration_bins(weight)
    number = np.bincount(bins, minlength=CALIBRATION_BINS)
    held = number > 0
    sums = (np.bincount(bins, weights=values, minlength=CALIBRATION_BINS) for values in (weight, right.astype(float)))
    mean, share = (total[held] / number[held] for total in sums)
    return mean, share, number[held] / len(weight)


def _panels(source: FigureRecords, cells: list[WeighedPairs], kind: str, line, labels: tuple[str, str],  # type: ignore[no-untyped-def]
            caption: list[str]) -> Drawn:  # fmt: skip
    panels = list(by_panel(cells))
    sheet = Sheet(len(panels), kind=kind, size=(2.9, 2.75))
    legend: dict = {}
    for place, (where, its) in enumerate(panels):
        axes = sheet.panels[place]
        axes.plot([0, 1], [0, 1], color="0.65", linewidth=0.8)
        for cell in its:
            legend.setdefault(name_shown(cell.label), line(axes, cell))
        axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
        if len(panels) > 1:
            sheet.title(place, where)
    return sheet.finish(
        [*caption, *source.granted({cell.label for cell in cells})],
        [(handle, label) for label, handle in legend.items()], source.remarks,
        shows_caption=source.shows_caption,
    )  # fmt: skip
