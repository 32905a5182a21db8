"""Codes: whether bits are balanced and independent, and how far matching and other pairs are apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.report.figures.records import DIRECTION, Arrays, FigureRecords, cells_of, row_label, seeds_told, told_apart
from harness.report.figures.sheet import COLOURS, Drawn, Sheet, name_shown

Floats = NDArray[np.float64]

MOST_QUERIES, MOST_ITEMS = 500, 10_000
"""Of larger data every n-th query and item counts: a histogram of millions of distances looks no different."""

MODALITIES = {"image": (COLOURS[0], "solid"), "text": (COLOURS[1], (0, (4, 1.5)))}

PAIRS = {True: (COLOURS[0], "matching pairs"), False: (COLOURS[1], "other pairs")}

_CORRELATIONS = np.linspace(0, 1, 26)

_DIRECTIONS = {"i2t": ("image", "text"), "t2i": ("text", "image"), "i2i": ("image", "image"), "t2t": ("text", "text")}

_LABELS = ("query_labels", "database_labels", "relevant_pairs")


def draw(source: FigureRecords) -> Drawn:
    """Draw three panels for each row: balance of bits, correlation of bits, and distances.

    Args:
        source: The records.

    Raises:
        HarnessError: As ``harness table``; no run has codes, rows are of several noise rates, or there are too many.
    """
    made = source.runs(("method",), ("noise",), ("dataset",))
    common, apart = told_apart(made.tables)
    codes = [f"{part}_{modality}_codes" for part in ("query", "database") for modality in MODALITIES]
    cells = [
        (table, row, column, runs)
        for table, row, column, cell in cells_of(made)
        if (runs := source.arrays(made, cell, ("n_bits",), (*codes, *_LABELS)))
    ]
    source.check_drawn(cells, "codes", "stored codes")
    sheet = Sheet(3 * len(cells), kind="codes (three for each row and noise rate)", size=(2.6, 2.0))
    rates = {table.column_label(column)[0] for table, _, column, _ in cells}
    handles: dict[str, Any] = {}
    directions: dict[str, None] = {}
    for number, (table, row, column, runs) in enumerate(cells):
        noise = f"noise {table.column_label(column)[0]}" if len(rates) > 1 else ""
        where = ", ".join(filter(None, [apart[made.tables.index(table)], noise]))
        balance, correlation, distance = sheet.panels[3 * number : 3 * number + 3]
        for modality, (colour, dashes) in MODALITIES.items():
            signs = [_signs(run, f"database_{modality}_codes") for run in runs if f"database_{modality}_codes" in run]
            if not signs:
                continue
            ones = np.mean([np.sort(one.mean(axis=0) / 2 + 0.5) for one in signs], axis=0)
            (line,) = balance.plot(np.arange(1, len(ones) + 1), ones * 100, color=colour, linestyle=dashes)
            handles.setdefault(f"{modality} codes", line)
            if len(ones) > 1:
                shares = np.mean([np.histogram(bit_correlations(one), _CORRELATIONS)[0] for one in signs], axis=0)
                shares *= 100 / shares.sum()
                correlation.stairs(shares, _CORRELATIONS, color=colour, linestyle=dashes, linewidth=1.3)
        balance.axhline(50, color="0.5", linewidth=0.7)
        balance.set(xlabel="bits, by their share of ones", ylabel="ones (%)", ylim=(-3, 103))
        correlation.set(xlabel="|correlation| of two bits", ylabel="pairs of bits (%)", xlim=(0, 1))
        direction = next((name for name, ends in _DIRECTIONS.items() if _has(runs[0], *ends)), None)
        if direction is not None:
            directions[DIRECTION[direction]] = None
            for matching, (colour, label) in PAIRS.items():
                shares = np.mean([distance_shares(run, *_DIRECTIONS[direction])[matching] for run in runs], axis=0)
                edges = np.arange(len(shares) + 1) - 0.5
                shown = distance.stairs(
                    shares * 100, edges, fill=True, facecolor=(colour, 0.3) if matching else "none", edgecolor=colour,
                    hatch=None if matching else "////", linewidth=1.1,
                )  # fmt: skip
                handles.setdefault(label, shown)
        distance.set(xlabel="Hamming distance (bits)", ylabel="share of its pairs (%)")
        name = f"{name_shown(row_label(table, row))}{f' ({where})' if where else ''}"
        for at in range(3):
            sheet.title(3 * number + at, name)
    larger = any(len(run[name]) > most for *_, runs in cells for run in runs for name, most in
                 (("query_image_codes", MOST_QUERIES), ("database_text_codes", MOST_ITEMS)) if name in run)  # fmt: skip
    told = f" (every n-th of more than {MOST_QUERIES} queries and {MOST_ITEMS:,} items)" if larger else ""
    caption = [
        f"Codes of the database, {common}{f', noise {next(iter(rates))}' if len(rates) == 1 else ''}; means over "
        f"{seeds_told([len(runs) for *_, runs in cells])}.",
        "Balance: the share of items in which a bit is one, bits in ascending order; good bits lie at 50 %. "
        "Correlation: of the signs of each two bits over the items; good bits lie near 0.",
        f"Distances from queries to the database, {', '.join(directions)}: pairs with a shared label, or that are "
        f"partners, and all others{told}."
        if directions else "",
        *source.granted({row_label(table, row) for table, row, *_ in cells}),
    ]  # fmt: skip
    return sheet.finish(
        caption,
        [(shown, label) for label, shown in handles.items()],
        source.remarks,
        shows_caption=source.shows_caption,
    )


def bit_correlations(signs: Floats) -> Floats:
    """(K (K - 1) / 2,) absolute correlations of each two of K bits; 1 where one of them never changes.

    Args:
        signs: (n, K) -1 and 1.
    """
    centred = signs - signs.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.abs(centred.T @ centred / np.outer(norms, norms))
    upper: Floats = correlation[np.triu_indices(signs.shape[1], 1)]
    bounded: Floats = np.clip(np.nan_to_num(upper, nan=1.0, posinf=1.0), 0, 1)
    return bounded


def distance_shares(run: Arrays, query: str, database: str) -> dict[bool, Floats]:
    """For matching pairs and for others, (n_bits + 1,) the share at each distance; zeros where there are none.

    Args:
        run: Arrays of a run.
        query, database: "image" or "text".
    """
    ours, theirs = _signs(run, f"query_{query}_codes"), _signs(run, f"database_{database}_codes")
    rows = np.arange(0, len(ours), -(-len(ours) // MOST_QUERIES))
    items = np.arange(0, len(theirs), -(-len(theirs) // MOST_ITEMS))
    n_bits = ours.shape[1]
    distances = np.rint((n_bits - ours[rows] @ theirs[items].T) / 2).astype(np.int64)
    matching = _matching(run, rows, items, (len(ours), len(theirs)))
    shares = {}
    for kind in (True, False):
        counts = np.bincount(distances[matching == kind], minlength=n_bits + 1).astype(np.float64)
        shares[kind] = counts / max(counts.sum(), 1.0)
    return shares


def _matching(run: Arrays, rows: NDArray[Any], items: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which of the pairs of some queries and items match."""
    if "relevant_pairs" in run:  # (2, n): image and caption
        image, caption = run["relevant_pairs"]
        whole = np.zeros(shape, dtype=bool)
        inside = (image >= 0) & (image < shape[0]) & (caption >= 0) & (caption < shape[1])
        whole[image[inside], caption[inside]] = True
        return whole[np.ix_(rows, items)]
    ours, theirs = run["query_labels"][rows], run["database_labels"][items]
    if ours.ndim == 1:
        equal: NDArray[np.bool_] = ours[:, None] == theirs[None, :]
        return equal
    shared: NDArray[np.bool_] = ours.astype(np.float32) @ theirs.astype(np.float32).T > 0
    return shared


def _has(run: Mapping[str, Any], query: str, database: str) -> bool:
    if "relevant_pairs" in run and (query, database) != ("image", "text"):
        return False
    labelled = "relevant_pairs" in run or {"query_labels", "database_labels"} <= set(run)
    return labelled and f"query_{query}_codes" in run and f"database_{database}_codes" in run


def _signs(run: Arrays, name: str) -> Floats:
    """(n, K) -1 and 1 of packed codes, eight bits a byte, least significant bit first."""
    n_bits, packed = int(run["n_bits"]), run[name]
    if packed.dtype != np.uint8 or packed.ndim != 2 or not 0 < n_bits <= 8 * packed.shape[1]:
        raise HarnessError(f"the codes of a run are damaged: {name} has the shape {packed.shape} and {n_bits} bits.")
    signs: Floats = np.unpackbits(packed, axis=1, bitorder="little")[:, :n_bits].astype(np.float64) * 2 - 1
    return signs
