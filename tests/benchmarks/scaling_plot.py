"""Cost against size, as a plot: ``python tests/benchmarks/scaling_plot.py -o docs/figures/scaling.svg``.

Processor time of one thread, the best of several runs: what else the machine does hardly counts. The slope of a line
fitted on logarithms says how cost grows: 1 is linear. At small sizes fixed costs count, and it lies below 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1", HARNESS_NUMBA="1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from benchmarks.workload import full_run, make_pairs

from harness.plugin.loading import load_registry
from harness.retrieval.codes import CodeTable, pack
from harness.retrieval.evaluate import evaluate

PAIRS = (256, 512, 1024, 2048, 4096, 8192)
QUERIES, ITEMS = 1000, (20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000)
BITS = 64


def processor_seconds(function: Callable[[], object], times: int = 3) -> float:
    """The least processor time of some runs."""
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        function()
        best = min(best, time.process_time() - start)
    return best


def training() -> dict[int, float]:
    """Seconds of four epochs of CHNR, small networks, by the number of training pairs."""
    found = {}
    for n in PAIRS:
        pairs = make_pairs(n, n * 3 // 10, 64, 48)
        full_run(pairs, "fp32", 1)
        found[n] = processor_seconds(lambda pairs=pairs: full_run(pairs, "fp32", 4), 2)
    return found


def evaluation() -> dict[int, float]:
    """Seconds of all metrics in four directions, by queries x items."""
    random = np.random.default_rng(0)
    declared = load_registry(environment={}).all("metric")
    centres = random.normal(size=(21, BITS))
    found = {}
    for items in ITEMS:
        parts = []
        for n in (QUERIES, items):
            labels = random.integers(0, 21, n)
            codes = {kind: pack(centres[labels] + random.normal(size=(n, BITS))) for kind in ("image", "text")}
            parts.append((codes, labels))
        (query, query_labels), (database, labels) = parts
        table = CodeTable(
            BITS, query, database, query_labels, labels, np.arange(QUERIES), np.arange(QUERIES, QUERIES + items)
        )
        found[QUERIES * items] = processor_seconds(lambda table=table: evaluate(table, declared))
    return found


def slope(found: dict[int, float]) -> float:
    """Exponent of the power law through the three largest sizes."""
    upper = sorted(found)[-3:]
    return float(np.polyfit(np.log(upper), np.log([found[size] for size in upper]), 1)[0])


def draw(panels: list[tuple[str, str, dict[int, float]]], path: Path) -> None:
    """One panel for each, on logarithmic axes, beside a line of slope 1."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"svg.hashsalt": "scaling", "font.size": 9})
    figure, axes = pyplot.subplots(1, len(panels), figsize=(7.2, 2.9), layout="constrained")
    for axis, (title, what, found) in zip(axes, panels, strict=True):
        sizes = np.array(sorted(found))
        seconds = np.array([found[size] for size in sizes])
        axis.loglog(sizes, seconds[-1] * sizes / sizes[-1], "--", color="0.6", label="linear")
        axis.loglog(sizes, seconds, "o-", color="#1f5fa8", label=f"measured, slope {slope(found):.2f}")
        axis.set(title=title, xlabel=what, ylabel="processor seconds, one thread")
        axis.minorticks_off()
        if sizes[-1] < 100_000:
            axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
            axis.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
        axis.grid(color="0.92")
        axis.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("scaling.svg"))
    output = parser.parse_args().output
    torch.set_num_threads(1)
    panels = [
        ("Training: CHNR, 4 epochs", "training pairs", training()),
        ("Evaluation: 4 directions, all metrics", "queries x items", evaluation()),
    ]
    for title, what, found in panels:
        print(f"{title} ({what}): slope {slope(found):.2f}")
        for size, seconds in found.items():
            print(f"  {size:>12,} {seconds:9.3f} s {seconds / size * 1e6:9.4f} microseconds each")
    draw(panels, output)


if __name__ == "__main__":
    main()
