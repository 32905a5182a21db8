"""A tracker hears everything, and nothing that it does reaches a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import numpy as np
import psutil
import pytest

from harness.errors import HarnessError
from harness.execution.attempt import attempt
from harness.execution.trackers import group
from harness.execution.trackers.group import Trackers, choose_trackers
from harness.plugin.loading import load_registry
from harness.runtime.context import Progress
from harness.runtime.settings import RunSettings

CPU = RunSettings(device="cpu")

DIARY = """
import json, os, random, sys, time
from pathlib import Path
from harness import HarnessError, Parameter, hookimpl


class Diary:
    def __init__(self, file: str = "", fails: str = "") -> None:
        self.file, self.fails = file, fails
        self.misbehave("made")
        self.write("made", os.getpid())

    def misbehave(self, where):
        random.seed(0)
        kind, _, place = self.fails.partition(" ")
        if place == where:
            {"raises": self.raises, "exits": sys.exit, "crashes": os.abort, "hangs": lambda: time.sleep(600),
             "says": self.says, "prints": lambda: print("noise on standard output")}[kind]()

    def raises(self):
        raise ValueError("no\\nway")

    def says(self):
        raise HarnessError("Library X is not installed: pip install x.")

    def write(self, *entry):
        with Path(self.file).open("a") as file:
            file.write(json.dumps(entry) + "\\n")

    def run_started(self, cell):
        self.misbehave("start")
        self.write("started", cell.hash, cell.title, sorted(cell.facts), cell.command, cell.started, sorted(vars(cell)))

    def epoch_reported(self, progress):
        self.misbehave("epoch")
        self.write("epoch", progress.phase, progress.epoch, progress.loss)

    def run_finished(self, record, folder):
        self.misbehave("finish")
        self.write("finished", record.hash, record.status, record.metrics["i2t"]["map"], str(folder))

    def close(self):
        self.misbehave("close")
        self.write("closed")


@hookimpl
def register_trackers(register):
    register("diary", Diary, summary="writes everything down")
"""


@pytest.fixture
def diary(tmp_path):
    """``diary(fails="raises epoch")``: opened trackers, and what they wrote and noted."""
    plugin, file = tmp_path / "diary.py", tmp_path / "diary.txt"
    plugin.write_text(DIARY)
    registry = load_registry([plugin])
    notes: list[str] = []

    def start(fails: str = ""):
        return Trackers(choose_trackers(registry, [f"diary:file={file},fails={fails}"]), [plugin], notes.append)

    def entries():
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    start.entries, start.notes, start.registry, start.plugin, start.file = entries, notes, registry, plugin, file
    return start


def run_with(trackers, job, metrics, folder):
    with trackers:
        outcome = attempt(job, metrics, CPU, trackers)
        trackers.run_finished(outcome.record, folder)
    return outcome


def test_it_hears_of_start_epochs_and_record(diary, prepared, tmp_path):
    job, metrics = prepared("chnr", epochs=4)
    record = run_with(diary(), job, metrics, tmp_path / "run").record
    heard = diary.entries()
    assert [entry[0] for entry in heard] == ["made", "started", *["epoch"] * 6, "finished", "closed"]
    _, cell_hash, title, facts, command, started, fields = heard[1]
    assert (cell_hash, title) == (job.cell.hash, job.cell.title)
    assert facts == sorted(job.cell.facts)
    assert command.startswith("harness run --method chnr")
    assert started == record.started
    assert fields == ["command", "facts", "hash", "started", "title"]  # no labels, no mask, no features
    assert [entry[1:3] for entry in heard[2:4]] == [["detector", 1], ["detector", 2]]
    assert all(isinstance(entry[3], float) for entry in heard[2:8])
    assert heard[-2][1:] == [record.hash, "ok", record.metrics["i2t"]["map"], str(tmp_path / "run")]
    assert diary.notes == []
    assert not psutil.pid_exists(heard[0][1])


@pytest.fixture
def plain(prepared):
    job, metrics = prepared("chnr", epochs=4)
    return job, metrics, attempt(job, metrics, CPU)


@pytest.mark.parametrize(
    ("fails", "heard", "note"),
    [
        ("raises made", 0, "ValueError: no way ("),
        ("says made", 0, "Library X is not installed: pip install x; the runs go on without it."),
        ("exits start", 1, "SystemExit"),
        ("raises epoch", 2, "diary.py, line"),
        ("crashes epoch", 2, "its process ended before the runs did"),
        ("raises finish", 8, "ValueError: no way ("),
        ("raises close", 9, "ValueError: no way ("),
        ("prints epoch", 10, None),
    ],
)
def test_a_tracker_that_fails_changes_no_run(diary, plain, tmp_path, fails, heard, note):
    job, metrics, expected = plain
    trackers = diary(fails)
    with trackers:
        for number in range(2):  # one note, however many runs
            outcome = attempt(job, metrics, CPU, trackers)
            trackers.run_finished(outcome.record, tmp_path / str(number))
            assert outcome.record.status == "ok"
            assert outcome.record.metrics == expected.record.metrics
            for name, array in expected.arrays.items():
                np.testing.assert_array_equal(array, outcome.arrays[name], err_msg=name)
    if note is None:
        assert diary.notes == []
        assert len(diary.entries()) == 2 * 8 + 2
        return
    assert len(diary.notes) == 1
    assert diary.notes[0].startswith("tracker diary: ")
    assert note in diary.notes[0]
    first_run = diary.entries()[:heard]
    assert len(first_run) == heard


@pytest.mark.parametrize("fails", ["hangs epoch", "hangs close"])
def test_a_tracker_that_hangs_holds_nothing_up_and_is_stopped(diary, prepared, tmp_path, monkeypatch, fails):
    monkeypatch.setattr(group, "PATIENCE_SECONDS", 1.0)
    job, metrics = prepared("chnr", epochs=4)
    trackers = diary(fails)
    begin = time.monotonic()
    outcome = attempt(job, metrics, CPU, trackers)
    trackers.run_finished(outcome.record, tmp_path)
    in_between = time.monotonic()
    trackers.close()
    assert in_between - begin < 10
    assert time.monotonic() - in_between < 8
    assert outcome.record.status == "ok"
    assert diary.notes == ["tracker diary: it did not end within 1 s and was stopped; the runs go on without it."]
    assert not psutil.pid_exists(diary.entries()[0][1])


def test_news_that_pile_up_are_given_up(diary, monkeypatch):
    monkeypatch.setattr(group, "MOST_PENDING_BYTES", 200_000)
    trackers = diary("hangs made")
    begin = time.monotonic()
    for epoch in range(20_000):
        trackers.epoch_reported(Progress("training", epoch, 20_000, 0.5))
    assert time.monotonic() - begin < 10
    trackers.close()
    assert len(diary.notes) == 1
    assert "does not keep up" in diary.notes[0]


def test_a_slow_tracker_gets_everything_in_the_end(diary):
    trackers = diary()
    for epoch in range(3_000):
        trackers.epoch_reported(Progress("training", epoch, 3_000, None))
    trackers.close()
    assert [entry[2] for entry in diary.entries()[1:-1]] == list(range(3_000))
    assert diary.notes == []


def test_when_the_run_s_process_is_killed_the_tracker_closes_and_ends(diary):
    program = f"""
import os, signal
from pathlib import Path
from harness.runtime.context import Progress
from harness.plugin.loading import load_registry
from harness.execution.trackers.group import Trackers, choose_trackers
plugin = Path({str(diary.plugin)!r})
trackers = Trackers(choose_trackers(load_registry([plugin]), ["diary:file={diary.file}"]), [plugin])
trackers.epoch_reported(Progress("training", 1, 2, 0.5))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (not diary.entries() or diary.entries()[-1][0] != "closed"):
        time.sleep(0.1)
    assert [entry[0] for entry in diary.entries()] == ["made", "epoch", "closed"]


def test_ctrl_c_is_for_the_runs(diary):
    trackers = diary()
    trackers.epoch_reported(Progress("training", 1, 2, 0.5))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and len(diary.entries()) < 2:
        time.sleep(0.05)
    os.kill(diary.entries()[0][1], signal.SIGINT)
    trackers.epoch_reported(Progress("training", 2, 2, 0.5))
    trackers.close()
    assert [entry[0] for entry in diary.entries()] == ["made", "epoch", "epoch", "closed"]


def test_closing_twice_is_no_error(diary):
    trackers = diary()
    trackers.close()
    trackers.close()
    assert [entry[0] for entry in diary.entries()] == ["made", "closed"]
    assert diary.notes == []


def test_without_trackers_nothing_is_started(diary, prepared, tmp_path, record):
    job, _ = prepared()
    before = psutil.Process().children()  # an earlier test may have left multiprocessing's own helper
    trackers = Trackers(choose_trackers(diary.registry, []))
    trackers.run_started(job, datetime.now(UTC))
    trackers.epoch_reported(Progress("training", 1, 2))
    trackers.run_finished(record(), tmp_path)
    trackers.close()
    assert psutil.Process().children() == before


@pytest.fixture(scope="module")
def registry():
    return load_registry(environment={})


def test_a_name_alone_has_its_defaults(registry):
    (chosen,) = choose_trackers(registry, ["tensorboard"])
    assert (chosen.name, chosen.values) == ("tensorboard", {"folder": "results/tensorboard"})


def test_parameters_follow_a_colon_and_may_hold_colons_and_equal_signs(registry):
    first, second = choose_trackers(
        registry, ["mlflow:uri=http://host:5000/a?b=c,experiment=paper grid", "wandb:mode=offline"]
    )
    assert first.values == {"uri": "http://host:5000/a?b=c", "experiment": "paper grid"}
    assert second.values["mode"] == "offline"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["tensorbord"], "unknown tracker 'tensorbord': did you mean 'tensorboard'"),
        (["tensorboard:foldr=x"], "unknown parameter of tracker tensorboard 'foldr': did you mean 'folder'"),
        (["tensorboard:folder"], "expected tensorboard:PARAMETER=VALUE, and 'folder' has no '='"),
        (["wandb:mode=ofline"], "unknown value of --tracker wandb:mode 'ofline': did you mean 'offline'"),
        (["tensorboard", "tensorboard:folder=x"], "tensorboard is named twice"),
        ([""], "unknown tracker ''"),
    ],
)
def test_mistakes_are_one_sentence(registry, texts, message):
    with pytest.raises(HarnessError) as error:
        choose_trackers(registry, texts)
    assert message in str(error.value)
