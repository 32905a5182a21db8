"""TensorBoard, MLflow and Weights & Biases for real, without a network: what was logged is read back by each's own
reader, in a process of its own (their imports take seconds, and this one stays as it is).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from harness.execution.attempt import attempt
from harness.execution.trackers.group import Trackers, choose_trackers
from harness.plugin.loading import load_registry
from harness.runtime.settings import RunSettings


def read_back(program: str, **environment: str):
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def processes_with(mark: str) -> list[str]:
    """Names of the processes whose environment holds a text: wandb starts a program that is nobody's child."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if mark in process.environ().values():
                found.append(process.info["name"])
        except psutil.Error:
            continue
    return found


@pytest.fixture
def tracked(prepared, tmp_path, monkeypatch):
    """Run a cell, or the same again and again, under a tracker; its last record."""
    job, metrics = prepared("chnr", epochs=4, settings={"hasher.beta": "0.01"})

    def run(text: str, runs: int = 1):
        notes: list[str] = []
        monkeypatch.setenv("TRACKED_BY", str(tmp_path))
        with Trackers(choose_trackers(load_registry(environment={}), [text]), note=notes.append) as trackers:
            for _ in range(runs):  # the last one alone is said to have finished
                outcome = attempt(job, metrics, RunSettings(device="cpu"), trackers)
            assert processes_with(str(tmp_path))
            trackers.run_finished(outcome.record, tmp_path / "the run")
        assert notes == []
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and processes_with(str(tmp_path)):
            time.sleep(0.05)
        assert processes_with(str(tmp_path)) == []
        return outcome.record

    return run


def test_tensorboard(tracked, tmp_path):
    pytest.importorskip("tensorboard")
    record = tracked(f"tensorboard:folder={tmp_path / 'board'}")
    found = read_back(f"""
import json
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
events = EventAccumulator({str(tmp_path / "board" / record.hash)!r}); events.Reload()
scalars = {{tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}}
texts = {{tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]
         if not tag.startswith("_hparams_")}}
start = metadata.parse_session_start_info_plugin_data(
    events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
print(json.dumps([scalars, texts, sorted(start.hparams), start.hparams["bits"].number_value]))
""")
    scalars, texts, parameters, bits = found
    assert [step for step, _ in scalars["loss/warm-up"]] == [1, 2]
    assert [step for step, _ in scalars["loss/noisy"]] == [1, 2]
    assert scalars["i2t/map"] == [[0, pytest.approx(record.metrics["i2t"]["map"])]]
    assert scalars["cost/parameters/hasher"][0][1] == record.cost["parameters"]["hasher"]
    assert texts["hash"] == record.hash
    assert texts["status"] == "ok"
    assert texts["folder"] == str(tmp_path / "the run")
    assert texts["command"] == record.command
    assert bits == 16
    assert "parameters.hasher.beta" in parameters


def test_mlflow(tracked, tmp_path):
    pytest.importorskip("mlflow")
    folder = tmp_path / "tracking"
    record = tracked(f"mlflow:uri={folder},experiment=grid", runs=2)
    runs = read_back(
        f"""
import json
from mlflow import MlflowClient
client = MlflowClient({folder.as_uri()!r})
experiment = client.get_experiment_by_name("grid").experiment_id
print(json.dumps([
    [run.info.status, run.info.run_name, run.data.params, run.data.metrics, run.data.tags,
     [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, "loss/noisy")]]
    for run in client.search_runs([experiment], order_by=["attributes.status ASC"])]))
""",
        MLFLOW_ALLOW_FILE_STORE="true",
    )
    assert len(runs) == 2
    status, title, parameters, metrics, tags, history = runs[0]
    assert (status, runs[1][0]) == ("FINISHED", "KILLED")
    assert title.startswith("chnr [")
    assert parameters["parameters.hasher.beta"] == "0.01"
    assert parameters["bits"] == "16"
    assert metrics["t2i/map"] == pytest.approx(record.metrics["t2i"]["map"])
    assert metrics["seconds/training"] == pytest.approx(record.timings["training"])
    assert [step for step, _ in history] == [1, 2]
    assert tags["hash"] == record.hash
    assert tags["folder"] == str(tmp_path / "the run")


def test_metric_names_are_those_mlflow_allows():
    from harness_plugins.trackers.mlflow import _name

    assert _name("i2t/map_relevant@20") == "i2t/map_relevant_at_20"
    assert _name("loss/warm-up (2)") == "loss/warm-up _2_"


def test_weights_and_biases_offline(tracked, tmp_path):
    pytest.importorskip("wandb")
    folder = tmp_path / "runs"
    record = tracked(f"wandb:mode=offline,folder={folder},project=grid")
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    found = read_back(f"""
import json
from pathlib import Path
from wandb.proto import wandb_internal_pb2 as pb

def records(content):
    # A LevelDB log behind a header of 7 bytes: blocks of 32 KiB, parts with checksum, length and kind.
    at, whole = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""

kinds, summary, config, history, name = [], {{}}, {{}}, [], ""
for data in records(Path({str(file)!r}).read_bytes()):
    message = pb.Record(); message.ParseFromString(data)
    kinds.append(message.WhichOneof("record_type"))
    if kinds[-1] == "run":
        name = message.run.display_name
        config.update({{item.key: json.loads(item.value_json) for item in message.run.config.update}})
    if kinds[-1] == "summary":
        summary.update({{item.key or "/".join(item.nested_key): json.loads(item.value_json)
                         for item in message.summary.update}})
    if kinds[-1] == "history":
        history.append({{item.key or "/".join(item.nested_key): json.loads(item.value_json)
                         for item in message.history.item}})
print(json.dumps([sorted(set(kinds)), summary, config, history, name]))
""")
    kinds, summary, config, history, name = found
    assert {"run", "history", "summary", "exit"} <= set(kinds)
    assert name.startswith("chnr [")
    assert config["bits"] == 16
    assert config["hash"] == record.hash
    assert config["parameters.hasher.beta"] == 0.01
    assert summary["i2t/map"] == pytest.approx(record.metrics["i2t"]["map"])
    assert summary["folder"] == str(tmp_path / "the run")
    assert [entry["epoch/noisy"] for entry in history if "loss/noisy" in entry] == [1, 2]


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("tensorboard", "tensorboard", "tensorboard"), ("mlflow", "mlflow", "mlflow"), ("wandb", "wandb", "wandb")],
)
def test_a_library_that_is_missing_is_one_sentence(name, library, extra, tmp_path, prepared, monkeypatch):
    """A folder in front of everything else holds a package of that name which cannot be imported."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / f"{library}.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "blocked"))
    notes: list[str] = []
    job, metrics = prepared()
    with Trackers(choose_trackers(load_registry(environment={}), [name]), note=notes.append) as trackers:
        record = attempt(job, metrics, RunSettings(device="cpu"), trackers).record
    assert record.status == "ok"
    (note,) = notes
    assert note.startswith(f"tracker {name}: ")
    assert note.endswith(f"is not installed: pip install 'noisy-hashing-harness[{extra}]'; the runs go on without it.")
