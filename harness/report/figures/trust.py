"""Trust: how the weights of right and of wrong pairs are spread, for each detector."""

from __future__ import annotations

import numpy as np

from harness.report.figures.records import FigureRecords, seeds_told
from harness.report.figures.sheet import COLOURS, Drawn, Sheet, name_shown
from harness.report.figures.weighed_pairs import weighed_pairs

BINS = 25

RIGHT, WRONG = COLOURS[:2]


def draw(source: FigureRecords) -> Drawn:
    """Draw two histograms for each row and noise rate, in a panel of their own.

    Args:
        source: The records.

    Raises:
        HarnessError: As ``harness table``; no run has weights and wrong pairs, or there are too many panels.
    """
    cells, common = weighed_pairs(source, "trust")
    sheet = Sheet(len(cells), kind="trust", size=(2.7, 2.0))
    edges = np.linspace(0, 1, BINS + 1)
    handles: list = []
    for place, cell in enumerate(cells):
        axes = sheet.panels[place]
        shares = {
            wrong: np.mean([_shares(weight[its == wrong], edges) for weight, its in cell.runs], axis=0)
            for wrong in (False, True)
        }
        right = axes.stairs(shares[False] * 100, edges, fill=True, color=RIGHT, alpha=0.35, linewidth=0)
        axes.stairs(shares[False] * 100, edges, color=RIGHT, linewidth=1.1)
        wrong = axes.stairs(shares[True] * 100, edges, fill=True, facecolor="none", edgecolor=WRONG, hatch="////",
                            linewidth=1.1)  # fmt: skip
        handles = [(right, "right pairs"), (wrong, "wrong pairs")]
        axes.set(xlim=(0, 1), xlabel="weight (0: not believed, 1: believed)")
        axes.set_ylim(0, axes.get_ylim()[1] * 1.22)
        if place % 3 == 0:
            axes.set_ylabel("share of its pairs (%)")
        if cell.area is not None:
            axes.text(0.5, 0.97, f"AUROC {cell.area:.3f}", transform=axes.transAxes, ha="center", va="top", fontsize=8)
        several = len({one.where for one in cells}) > 1
        sheet.title(place, f"{name_shown(cell.label)}{f' ({cell.where})' if several else ''}")
    caption = [
        f"Weights that detectors gave the untrusted training pairs in the end, {common}.",
        f"Shares of the right pairs and of the wrong pairs in {BINS} bins; means over "
        f"{seeds_told([len(cell.runs) for cell in cells])}. AUROC: the chance that a wrong pair has less weight than a "
        "right one (0.5 is guessing).",
        *source.granted({cell.label for cell in cells}),
    ]
    return sheet.finish(caption, handles, source.remarks, shows_caption=source.shows_caption)


def _shares(weight: np.ndarray, edges: np.ndarray) -> np.ndarray:
    counts, _ = np.histogram(np.clip(weight, 0, 1), edges)
    shares: np.ndarray = counts / max(len(weight), 1)
    return shares
