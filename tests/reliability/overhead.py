"""How long a sweep takes beyond what its cells take: ``.venv/bin/python tests/reliability/overhead.py``.

Each cell sleeps for two seconds where others train. What lies between two cells of a worker is the harness: assembling
the data, codes, metrics, the record on disk, and handing out the next cell.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent)
sys.path.append(str(HERE))

import numpy as np  # noqa: E402
from conftest import feature_arrays  # noqa: E402
from reliability_bench import Bench  # noqa: E402


def main() -> None:
    """Run one sweep and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--executor", default="local")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        bench = Bench(Path(folder), None)
        bench.counted.mkdir()
        np.savez(bench.folder / "small.npz", **feature_arrays(n=600))  # type: ignore[arg-type]
        words = bench.words(
            "32", f"0-{options.cells - 1}", "--set", f"hasher.seconds={options.seconds}", "--results", bench.results,
            "--executor", options.executor,
        )  # fmt: skip
        if options.executor == "local":
            words += ["--workers", str(options.workers)]
        environment = {**os.environ, "COUNTED": str(bench.counted), "HARNESS_CACHE": f"{folder}/cache"}
        began = time.time()
        subprocess.run(
            [sys.executable, "-m", "harness", *words], check=True, env=environment, stdout=subprocess.DEVNULL
        )
        wall = time.time() - began
        of_worker = defaultdict(list)
        for event in bench.events():
            if event.what in ("begin", "end"):
                of_worker[event.pid].append(event)
        gaps = [
            after.time - before.time
            for events in of_worker.values()
            for before, after in pairwise(events)
            if before.what == "end"
        ]
        start = min(events[0].time for events in of_worker.values()) - began
        workers = len(of_worker)
        ideal = options.cells * options.seconds / workers
        rows = [
            ("cells x seconds / workers", f"{options.cells} x {options.seconds:g} / {workers} = {ideal:.1f} s"),
            ("wall time", f"{wall:.1f} s"),
            ("start until the first cell fits", f"{start:.1f} s"),
            ("between two cells of a worker, median", f"{statistics.median(gaps) * 1000:.0f} ms"),
            ("between two cells of a worker, mean", f"{statistics.mean(gaps) * 1000:.0f} ms"),
            ("share of a one-minute cell", f"{statistics.mean(gaps) / 60:.2%}"),
            ("all overhead, start-up and tables included, for each cell",
             f"{(wall - ideal) * workers / options.cells * 1000:.0f} ms"),
        ]  # fmt: skip
        width = max(len(label) for label, _ in rows)
        for label, value in rows:
            print(f"{label:<{width}}  {value}")
        print(json.dumps({"load": os.getloadavg()}))


if __name__ == "__main__":
    main()
