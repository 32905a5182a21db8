"""A sweep of 200 small cells is killed with SIGKILL at 50 random moments, and resumed each time.

``.venv/bin/python tests/reliability/full_kill_test.py`` prints a table and ends with exit code 1 if anything was lost,
damaged or computed again. A part of the kills falls between writing and renaming a record. Takes some minutes.
"""

from __future__ import annotations

import argparse
import collections
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent)  # there is a conftest here, too
sys.path.append(str(HERE))

import numpy as np  # noqa: E402
from conftest import feature_arrays  # noqa: E402
from reliability_bench import Bench, Command, until  # noqa: E402

KINDS = ("driver", "group", "before the rename")


def main() -> int:
    """Run the test; 0 if everything holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--executors", default="serial,local", help="one of them is drawn for each pass")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="full-kill-test-") as folder:
        server = subprocess.Popen(
            [sys.executable, str(HERE / "launcher.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            return _test(Bench(Path(folder), server), options)
        finally:
            server.kill()


def _test(bench: Bench, options: argparse.Namespace) -> int:
    (bench.counted / "trouble").mkdir(parents=True)
    np.savez(bench.folder / "small.npz", **feature_arrays(n=60, d_image=8, d_text=6, classes=4))  # type: ignore[arg-type]
    bits = "8,16"
    grid = bits, f"0-{options.cells // 2 - 1}", "--set", "hasher.seconds=0.1"

    other = bench.folder / "uninterrupted"
    began = time.monotonic()
    command = bench.start(*bench.words(*grid, "--executor", "serial", "--results", other))
    if until(lambda: command.ended, "the uninterrupted sweep", 1200) and command.code():
        print(command.errors)
        return 1
    undisturbed = time.monotonic() - began
    expected = bench.records(other)
    (bench.counted / "events").unlink()

    chance = random.Random(options.seed)
    kills: collections.Counter[tuple[str, str]] = collections.Counter()
    began = time.monotonic()
    while sum(kills.values()) < options.kills:
        executor = chance.choice(options.executors.split(","))
        kind = chance.choice(KINDS)
        if not _pass(bench, grid, executor, kind, chance, options.workers):
            break  # complete before all kills were made
        kills[executor, kind] += 1
        print(f"\r{sum(kills.values())} kills, {len(bench.statuses())} records", end="", file=sys.stderr, flush=True)
    command = bench.start(*bench.words(*grid, "--executor", "local", "--workers", options.workers))
    until(lambda: command.ended, "the last pass", 1200)
    disturbed = time.monotonic() - began
    return _report(bench, other, expected, kills, command, (undisturbed, disturbed), options)


def _pass(bench: Bench, grid: Any, executor: str, kind: str, chance: random.Random, workers: int) -> bool:
    """Start or resume the sweep and kill it at a random moment; False if it was complete before that."""
    begun, renamed = len(bench.events("begin")), len(bench.events("rename"))
    die = bench.counted / "die"
    die.write_text(str(renamed + chance.randint(1, 4)) if kind == "before the rename" else "")
    more = ("--workers", workers) if executor == "local" else ()
    command = bench.start(*bench.words(*grid, "--executor", executor, *more))
    if kind == "before the rename":
        wanted = int(die.read_text())
        until(lambda: command.ended or len(bench.events("rename")) >= wanted, "a rename")
    else:
        wanted = begun + chance.randint(1, 4)
        until(lambda: command.ended or len(bench.events("begin")) >= wanted, "a cell")
        time.sleep(chance.uniform(0, 0.2))
    if command.ended and command.code() != -signal.SIGKILL:
        return False
    if not command.ended:
        (command.send if kind == "driver" else command.send_group)(signal.SIGKILL)
    command.nobody_left()
    return True


def _report(
    bench: Bench, other: Path, expected: dict[str, Any], kills: collections.Counter[tuple[str, str]], last: Command,
    seconds: tuple[float, float], options: argparse.Namespace,
) -> int:  # fmt: skip
    records = bench.records()
    equal = sum(
        name in records
        and records[name]["status"] == "ok"
        and records[name]["metrics"] == record["metrics"]
        and bench.arrays(records[name]) == bench.arrays(record, other)
        for name, record in expected.items()
    )
    twice = 0
    try:
        bench.check_nothing_twice()
    except AssertionError as error:
        print(error)
        twice = 1
    stored = collections.Counter(event.name for event in bench.events("stored") if event.more["status"] == "ok")
    begun = len(bench.events("begin"))
    done = sum(kills.values())
    rows = [
        ("cells", options.cells),
        ("kills", done),
        *((f"  {executor}, {kind}", number) for (executor, kind), number in sorted(kills.items())),
        ("exit code of the last pass", last.code()),
        ("records, complete and ok", sum(record["status"] == "ok" for record in records.values())),
        ("equal to the uninterrupted sweep in metrics and bytes of arrays.npz", equal),
        ("stored more than once", sum(number > 1 for number in stored.values())),
        ("begun after they were stored", twice),
        ("fits begun (cells, and those that a kill interrupted)", begun),
        ("seconds, uninterrupted (serial)", round(seconds[0], 1)),
        ("seconds, with all kills", round(seconds[1], 1)),
    ]
    width = max(len(label) for label, _ in rows)
    print(file=sys.stderr)
    for label, value in rows:
        print(f"{label:<{width}}  {value}")
    good = (
        equal == len(records) == len(expected) == options.cells and not last.code() and not twice
        and max(stored.values()) == 1 and done == options.kills
    )  # fmt: skip
    print("everything holds" if good else "VIOLATED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
