"""A sweep may be killed at any moment: nothing finished is lost, and nothing finished is computed again."""

from __future__ import annotations

import random
import signal
import time

import pytest

BITS, SEEDS, CELLS = "8,16", "0-9", 20
MORE = ("--set", "hasher.seconds=0.1")


@pytest.fixture
def uninterrupted(bench):
    """The records and arrays of a sweep that nobody disturbed."""

    def run():
        other = bench.folder / "uninterrupted"
        command = bench.start(*bench.words(BITS, SEEDS, "--set", "hasher.seconds=0.1", "--results", other))
        assert command.code() == 0, command.errors
        (bench.counted / "events").unlink()
        records = bench.records(other)
        return {name: (record, bench.arrays(record, other)) for name, record in records.items()}

    return run


def complete_and_equal(bench, expected):
    """All records are there and equal the undisturbed ones in codes and metrics."""
    records = bench.records()
    assert set(records) == set(expected)
    for name, (record, arrays) in expected.items():
        assert records[name]["status"] == "ok"
        assert records[name]["metrics"] == record["metrics"]
        assert records[name]["hash"] == record["hash"]
        assert bench.arrays(records[name]) == arrays


@pytest.mark.parametrize(
    ("executor", "kills"), [(("serial",), 4), (("local", "--workers", "2"), 2)], ids=["serial", "local"]
)
def test_sweep_that_is_killed_again_and_again_loses_and_repeats_nothing(bench, uninterrupted, executor, kills):
    expected = uninterrupted()
    chance = random.Random(0)
    words = bench.words(BITS, SEEDS, *MORE, "--executor", *executor)
    for kill in range(kills):
        begun = len(bench.events("begin"))
        command = bench.start(*words)
        bench.until_begun(begun + chance.randint(1, 3))
        time.sleep(chance.uniform(0, 0.15))
        assert not command.ended, command.errors
        (command.send_group if kill % 2 else command.send)(signal.SIGKILL)
        command.nobody_left()  # workers whose sweep was killed end by themselves
        assert command.code() == -signal.SIGKILL
    command = bench.start(*words)
    assert command.code() == 0, command.errors
    complete_and_equal(bench, expected)
    bench.check_nothing_twice()
    assert len(bench.events("stored")) == CELLS, "each record was stored once"


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_death_between_writing_and_renaming_a_record(bench, executor):
    (bench.counted / "die").write_text("2 4")
    words = bench.words("8", "0-3", "--executor", executor, *(("--workers", "1") if executor == "local" else ()))
    codes = []
    for _ in range(4):
        command = bench.start(*words)
        codes.append(command.code())
        if codes[-1] == 0:
            break
    # The serial sweep dies with its cell; a local one goes on and finds the cell's worker dead.
    assert codes == ([-signal.SIGKILL] * 2 + [0] if executor == "serial" else [1, 0]), command.errors
    assert {record["status"] for record in bench.records().values()} == {"ok"}
    assert len(bench.records()) == 4
    bench.check_nothing_twice()
