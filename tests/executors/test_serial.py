"""In the process of the command a cell goes the short way: it is prepared once, and nothing of it becomes text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness_plugins.executors.serial import SerialExecutor

import harness.execution.worker
from harness.cells.workbench import Workbench
from harness.execution import GO_ON, Session, Task

STACK = """
import inspect, json, pathlib, torch
from harness import Need, Phase, Recipe, hookimpl

class Stack:
    batch_size = 64

    def begin(self, pairs, phases, run):
        self.bits = run.n_bits

    def step(self, batch, trust):
        frames = [(frame.frame.f_globals["__name__"], frame.function) for frame in inspect.stack()[1:]]
        pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(frames[::-1]))
        return torch.zeros(())

    def encode_image(self, image):
        return image[:, : self.bits] - 0.1

    def encode_text(self, text):
        return text[:, : self.bits] - 0.1

@hookimpl
def register_hashers(register):
    register("stack", Stack, summary="writes down who called it", offers=Need.EPOCHS)

@hookimpl
def register_methods(register):
    register("stack", Recipe("stack", phases=(Phase("all", epochs=1),)), summary="writes down who called it")
"""

MOST_FRAMES = 10


def test_a_debugger_sees_few_frames_between_the_verb_and_the_first_step(harness, features, tmp_path):
    (tmp_path / "stack.py").write_text(STACK)
    result = harness(
        "run", "--features", features(), "--plugin", tmp_path / "stack.py", "--method", "stack", "--bits", "4"
    )
    assert result.code == 0, result.err
    frames = [tuple(frame) for frame in json.loads((tmp_path / "stack.json").read_text())]
    way = frames[frames.index(("harness.cli.running.run", "command")) + 1 :]
    ours = [frame for frame in way if frame[0].split(".")[0] in ("harness", "harness_plugins")]
    assert ("harness_plugins.executors.serial", "run") in ours
    assert len(ours) <= MOST_FRAMES, ours


def test_each_cell_is_prepared_once(harness, features, monkeypatch):
    asked = []
    prepare = Workbench.prepare
    monkeypatch.setattr(Workbench, "prepare", lambda self, request: (asked.append(request), prepare(self, request))[1])
    result = harness("run", "--features", features(), "--method", "cca-itq,random-codes", "--bits", "8", "--json")
    assert [record["status"] for record in result.json] == ["ok", "ok"]
    assert len(asked) == 2


@pytest.mark.parametrize("here", [True, False])
def test_a_task_that_came_as_text_is_run_from_it(here, monkeypatch):
    def run(*arguments, stopped):
        calls.append(arguments)
        return "the reply"

    calls: list[object] = []
    monkeypatch.setattr(harness.execution.worker, "run_task", None if here else run)
    session = Session(Path(), stopping=lambda: GO_ON)
    (ended,) = SerialExecutor().run([Task("hash", "title", "the text", run if here else None)], session)
    assert (ended.how, ended.reply) == ("finished", "the reply")
    said = () if here else ("the text",)
    assert calls == [(*said, {"executor": "serial", "worker": "0"}, session.progressed)]
