"""On a terminal nothing is wrapped: titles and names give way in their middle, numbers and commands never."""

from __future__ import annotations

import io
import re
import time
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from harness.api.drawing import columns_of_bars, drawn
from harness.api.progress import BarListener, Counts, PlainListener, TableListener
from harness.cli.running.status import described
from harness.execution.worker_state import WorkerState
from harness.records.schema import Failure
from harness.runtime.context import Progress
from harness.runtime.outlets import name_and_bar, numbers

TITLE = "chnr [detector.weights=cubed, epochs=150] on rsicd, noise 0.4, 128 bits, seed 0, data seed 3, precision bf16"
OUTCOME = "finished in 3105.2 s: map i2t 0.816, t2i 0.828, detector AUROC 0.626"
WIDTHS = pytest.mark.parametrize("width", [80, 60])


def terminal(width):
    return Console(
        file=io.StringIO(), force_terminal=True, color_system=None, width=width, highlight=False, markup=False
    )


def lines_of(console):
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue()).replace("\r", "\n")
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def ended(record, **changed):
    metrics = {"i2t": {"map": 0.816}, "t2i": {"map": 0.828}, "detector": {"auroc": 0.626}}
    return record(metrics=metrics, timings={"total": 3105.2}, **changed)


@pytest.fixture
def job():
    return SimpleNamespace(cell=SimpleNamespace(title=TITLE), notes=["a remark " * 20])


@WIDTHS
@pytest.mark.parametrize("listener", ["bars", "table"])
def test_lines_above_a_display_fit_and_keep_their_numbers(record, job, width, listener):
    console = terminal(width)
    shown = BarListener(SimpleNamespace(console=console)) if listener == "bars" else TableListener(None, 2)
    shown.live = SimpleNamespace(console=console)
    PlainListener.grid_started(shown, [job], [])
    PlainListener.cell_started(shown, 1, 12, job)
    shown.cell_finished(job, ended(record))
    lines = lines_of(console)
    assert max(map(len, lines)) <= width
    assert any(
        line.startswith("[1/12] chnr [d") and line.endswith("precision bf16") and "..." in line for line in lines
    )
    assert OUTCOME in " ".join(" ".join(lines).split()), "folded at most, and at blanks"


def test_lines_that_go_elsewhere_are_whole(record, job, capsys):
    listener = PlainListener()
    listener.cell_started(1, 12, job)
    listener.cell_finished(job, ended(record))
    assert capsys.readouterr().err == f"[1/12] {TITLE}\n  {OUTCOME}\n"


def test_a_wide_terminal_has_cell_and_outcome_in_one_line(record, job):
    listener, console = TableListener(None, 2), terminal(200)
    listener.live = SimpleNamespace(console=console)
    listener.cell_finished(job, ended(record))
    assert lines_of(console) == [f"{TITLE}: {OUTCOME}"]


def test_the_command_that_repeats_a_cell_is_one_line_for_copying(record, job):
    listener, console = TableListener(None, 2), terminal(60)
    listener.live = SimpleNamespace(console=console)
    error = Failure(kind="HarnessError", message="too bad " * 20, traceback=[])
    listener.cell_finished(
        job, ended(record, status="failed", error=error, command="harness run " + "--method x " * 20)
    )
    *others, command = lines_of(console)
    assert command == "  repeat with: harness run " + ("--method x " * 20).rstrip()
    assert max(map(len, others)) <= 60


def worker(**changed):
    known = {
        "host": "h", "pid": 1, "executor": "slurm", "worker": "node-17.cluster.example.org:0", "hash": "a" * 12,
        "title": TITLE, "started": time.time() - 12000, "updated": time.time(), "phase": "alternating-optimisation",
        "epoch": 100, "epochs": 150, "loss": 12345.678,
    }  # fmt: skip
    return WorkerState(**{**known, **changed})


@WIDTHS
def test_the_table_of_workers_fits_and_keeps_its_numbers(width):
    console = terminal(width)
    counts = Counts(12345, time.time() - 100, kept=3, ok=4000, failed=11)
    console.print(drawn([worker(), worker(phase="", epoch=0, loss=None)], counts))
    lines = lines_of(console)
    assert max(map(len, lines)) <= width
    assert len(lines) <= 5, "header, two workers, and one or two lines for all"
    assert re.search(r"s.*\.\.\..* c.*\.\.\..* al.* 100/150 +1\.235e\+04 +3 h 20 min$", lines[1]), lines[1]
    assert counts.sentence().partition(";")[0] in " ".join(lines)


@WIDTHS
@pytest.mark.parametrize("columns", [columns_of_bars, name_and_bar], ids=["training", "any work"])
def test_bars_fit_and_keep_their_numbers(width, columns):
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn

    more = () if columns is columns_of_bars else map(numbers, (MofNCompleteColumn, TimeRemainingColumn))
    bars, console = Bars(*columns(), *more), terminal(width)
    bars.add_task("augmented view 17 of the images of a data set", total=12345, completed=12000, loss="loss 1.235e+04")
    console.print(bars.get_renderable())
    (line,) = lines_of(console)
    assert len(line) <= width
    assert re.match(r"au.*\.\.\..*━.*12000/12345", line)
    assert line.endswith("-:--:--")
    assert columns is name_and_bar or "loss 1.235e+04" in line


@WIDTHS
def test_bars_of_a_run_show_phase_and_loss(width, job):
    console = terminal(width)
    bars = Bars(*columns_of_bars(), console=console)
    listener = BarListener(bars)
    listener.grid_started([job, job], [])
    listener.progressed(Progress("noisy", 3, 150, 0.123))
    console.print(bars.get_renderable())
    cells, noisy = lines_of(console)[-2:]
    assert max(len(cells), len(noisy)) <= width
    assert re.match(r"cells +0/2 ", cells)
    assert re.match(r"noisy .* 3/150 loss 0\.123 ", noisy)


@WIDTHS
def test_status_fits_and_keeps_its_numbers(width):
    one = worker()
    facts = {
        "sweep": "a-long-name-of-a-sweep-12345678", "folder": "results/sweeps/x", "state": "running", "cells": 12345,
        "counts": {"planned": 8, "running": 1, "ok": 4000, "failed": 1}, "seconds_left": [60.0, 12000.0],
        "unknown_left": 7, "fatal": ["word " * 30], "command": "",
        "failures": [{"hash": "b" * 12, "cell": TITLE, "status": "failed", "error": "too bad " * 20}],
        "running": [
            {"worker": f"{one.executor} {one.worker}", "cell": TITLE, "phase": one.phase, "epoch": 100, "epochs": 150,
             "loss": one.loss, "seconds": 12000.0},
        ],
    }  # fmt: skip
    lines = described(facts, width).split("\n")
    assert max(map(len, lines)) <= width
    (row,) = (line for line in lines if "100/150" in line)
    assert re.fullmatch(r"s\S* .*\.\.\..*100/150 +1\.235e\+04 +3 h 20 min", row), row
    assert f"... ({'b' * 12})" not in lines
    assert any(line.startswith("failed: chnr") and line.endswith(f"precision bf16 ({'b' * 12})") for line in lines)
    said = " ".join(" ".join(lines).split())
    assert "1 min to 3 h 20 min left; time of 7 cells unknown: no record is like them" in said
    assert TITLE in described(facts), "whole where it is no terminal"
