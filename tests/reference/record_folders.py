"""What tables must show, from record.json alone: read with json, and nothing of the harness."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pandas as pd


def raw(results: Path) -> pd.DataFrame:
    """Every record.json below a folder as one row, read with json and nothing of the harness."""
    rows = []
    for path in sorted(results.glob("runs/*/*/*/record.json")):
        content = json.loads(path.read_text())
        cell = content["cell"]
        rows.append(
            {
                **{name: cell[name] for name in ("row", "dataset", "noise", "bits", "seed", "data_seed", "granted")},
                "status": content["status"],
                "i2t": content["metrics"].get("i2t", {}).get("map"),
                "t2i": content["metrics"].get("t2i", {}).get("map"),
                "hash": content["hash"],
            }
        )
    return pd.DataFrame(rows)


def random_runs(seed: int) -> list[dict[str, Any]]:
    """Runs of random methods, noise rates, lengths and seeds: some fail, some are missing, some have no value."""
    numbers = random.Random(seed)
    runs = []
    for method in ("alpha", "beta", "gamma", "oracle"):
        for dataset in ("one", "two"):
            for noise in (0.0, 0.2, 0.4):
                for bits in (16, 64):
                    for training in range(numbers.choice([0, 1, 2, 5])):
                        ok = numbers.random() > 0.15
                        value = round(numbers.random(), 2)  # two digits: equal means happen
                        runs.append(
                            {
                                "method": method,
                                "dataset": dataset,
                                "data": dataset,
                                "noise": noise,
                                "bits": bits,
                                "seed": training,
                                "status": "ok" if ok else numbers.choice(["failed", "oom", "timeout"]),
                                "granted": ["noise-mask"] if method == "oracle" else [],
                                "i2t": None if numbers.random() < 0.1 else value,
                                "t2i": value / 3,
                            }
                        )
    numbers.shuffle(runs)
    return runs
