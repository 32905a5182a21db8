"""What tests of executors share: small grids with a method that rests."""

from __future__ import annotations

from pathlib import Path

import pytest

SLEEPY = Path(__file__).with_name("sleepy.py")


@pytest.fixture
def grid(harness, features, tmp_path):
    """``grid("ray", "address=...", seconds=0.1, seeds="0,1", ...)`` runs one cell per seed."""
    path = features()

    def run(executor, *options, results="results", seeds="0,1", seconds=0.0, mode="well", words=()):
        journal = tmp_path / "journal"
        settings = {"seconds": seconds, "mode": mode, "journal": journal}
        return harness(
            "run", "--method", "sleepy", "--plugin", SLEEPY, "--features", path, "--bits", "8", "--seed", seeds,
            *(word for name, value in settings.items() for word in ("--set", f"hasher.{name}={value}")),
            "--executor", executor, *(word for option in options for word in ("--executor-option", option)),
            "--results", tmp_path / results, *words,
        )  # fmt: skip

    run.journal = tmp_path / "journal"
    return run


@pytest.fixture
def computed(grid):
    """How often each seed was fitted."""

    def count() -> dict[int, int]:
        found: dict[int, int] = {}
        for line in grid.journal.read_text().splitlines():
            seed = int(line.split()[1])
            found[seed] = found.get(seed, 0) + 1
        return found

    return count
