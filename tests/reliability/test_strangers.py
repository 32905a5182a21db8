"""Plugins that misbehave while they run: the other cells finish, the command ends, and nothing of them stays."""

from __future__ import annotations

import json

import pytest

TROUBLE = {
    "unforeseen": "Unforeseen: nobody catches this",
    "interrupt": "KeyboardInterrupt: ",
    "thread": "",
    "children": "",
    "change": "Unforeseen: all is changed",
    "write": "",
    "well": "",
}
"""What happens in a cell, in this order, and what its record says of it; "" where it is ok."""


@pytest.mark.parametrize("executor", [("serial",), ("local", "--workers", "1")], ids=["serial", "local"])
def test_a_grid_outlives_what_its_cells_do(bench, executor):
    for seed, what in enumerate(TROUBLE):
        bench.trouble(**{f"b8_{seed}": what})
    command = bench.start(*bench.words("8", f"0-{len(TROUBLE) - 1}", "--executor", *executor, "--json"))
    assert command.code() == 1, command.errors
    command.nobody_left()
    records = json.loads(command.output)
    assert len(records) == len(TROUBLE)
    for record, (what, message) in zip(records, TROUBLE.items(), strict=True):
        assert record["status"] == ("failed" if message else "ok"), (what, record["error"])
        assert message in (record["error"] or {"message": ""})["message"]
    assert "note: left behind by a plugin and ended: process " in command.errors
    assert "sleep 3600" in command.errors
    assert "sleep 3601" in command.errors
    if executor[0] == "serial":
        assert "note: left behind by a plugin and not waited for: thread 'the-one-that-stays'" in command.errors
        assert "8-5 prints this" in command.errors
        assert "written by the system" in command.errors
        assert "written by a child" in command.errors


def test_a_cell_that_ends_the_process_of_the_command_is_named_afterwards(bench):
    bench.trouble(b8_1="exit 0")
    words = bench.words("8", "0-2", "--executor", "serial")
    command = bench.start(*words)
    assert command.code() == 0, "the plugin says so"
    assert set(bench.statuses().values()) == {"ok"}
    sentence = f"8 bits, seed 1 ran in process {command.pid} when that was killed or ended without a word; if the cell "
    status = bench.start("status")
    assert status.code() == 0, status.errors
    assert sentence in status.output
    assert "killed, 3 cells: 2 planned, 1 ok" in status.output

    resumed = bench.start(*words[:-1], "local", "--workers", "1")
    assert resumed.code() == 1, resumed.errors
    assert f"note: counted on small, noise 0, {sentence}" in resumed.errors
    assert {name: record["status"] for name, record in bench.records().items()} == {
        "8-0": "ok", "8-1": "failed", "8-2": "ok",
    }  # fmt: skip
